"""Floors to measure against: the least that any extraction in one Python process has to do.

    python benchmarks/floors.py FLOOR FOLDER_OF_DUMPS

`decompress` (D) takes the comments through zstandard and looks at nothing. `six-fields` (F)
also parses every line with orjson and keeps six fields of each comment in lists.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import zstandard

FIELDS = ("id", "author", "parent_id", "link_id", "score", "body")
_CHUNK_BYTES = 4 << 20


def chunks(path: Path) -> Iterator[bytes]:
    """The decompressed bytes of a .zst file."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=2**31)
    with path.open("rb") as source:
        reader = decompressor.stream_reader(source, read_across_frames=True)
        while chunk := reader.read(_CHUNK_BYTES):
            yield chunk


def decompress(path: Path) -> int:
    """The number of decompressed bytes."""
    return sum(map(len, chunks(path)))


def six_fields(path: Path) -> int:
    """The number of comments, after FIELDS of all of them were in memory at once."""
    columns: list[list[object]] = [[] for _ in FIELDS]
    keep_id, keep_author, keep_parent, keep_link, keep_score, keep_body = (
        column.append for column in columns
    )
    loads, rest = orjson.loads, b""
    for chunk in chunks(path):
        lines = chunk.split(b"\n")
        lines[0] = rest + lines[0]
        rest = lines.pop()
        for line in lines:
            record = loads(line)
            keep_id(record["id"])
            keep_author(record["author"])
            keep_parent(record["parent_id"])
            keep_link(record["link_id"])
            keep_score(record["score"])
            keep_body(record["body"])
    if rest:
        raise ValueError(f"{path}: the last line has no line break")
    return len(columns[0])


FLOORS = {"decompress": decompress, "six-fields": six_fields}


def main() -> None:
    name, folder = sys.argv[1:]
    for path in sorted(Path(folder).glob("RC_*.zst")):
        print(path.name, FLOORS[name](path))


if __name__ == "__main__":
    main()
