"""Dumps of extreme sizes through the whole command, in a process whose memory is measured.

The default run holds one dump with a little of everything; `make test-slow` (-m slow) holds the
sizes of the issue. No test asserts a time; a generous limit on memory stands in each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hostile.section_7 import CONTROL
from support_dumps import as_lines, comment, counts_of, turn_ids_of

ROOT = Path(__file__).parents[2]
GIB = 2**30
OPTIONS = [
    *("--split.valid_fraction", "0", "--split.test_fraction", "0"),
    *("--num_workers", "1", "--num_partitions", "2"),
]


def extract_in_child(dumps: Path, output: Path, *, max_bytes: int, code: int = 0) -> None:
    """Run the command; it must end with the code, and never hold more than so much memory."""
    argv = ["--dumps", str(dumps), "--output", str(output), *OPTIONS]
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep", "extract", *argv],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == code
    unit = 1 if sys.platform == "darwin" else 1024
    assert usage.ru_maxrss * unit < max_bytes


def write_lines(folder: Path, lines: Iterable[bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "RC_2015-01.zst"
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as stream:
        for line in lines:
            stream.write(line)
        stream.write(as_lines(CONTROL))
    return path


def thread_of(size: int, parents: Iterable[int]) -> Iterator[bytes]:
    """A thread "x" of so many comments with the ids 1, 2, ...; parent 0 is the submission."""
    for number, parent in zip(range(1, size + 1), parents, strict=True):
        record: dict[str, Any] = {**comment("x", body="I am"), "id": 10**6 + number}
        parent_id = 10**6 + parent if parent else None
        yield as_lines([{**record, "link_id": "t3_x", "parent_id": parent_id}])


def total_of(output: Path) -> dict[str, int]:
    return counts_of(output)["total"]


def test_a_little_of_everything_stays_in_bounds(tmp_path: Path) -> None:
    """A chain of 5,000, siblings, a long line, a long body, tiny lines, frames, and a control."""
    size = 5_000
    path = write_lines(
        tmp_path / "dumps",
        [
            *thread_of(size, range(size)),
            *[as_lines([comment(f"s{n}", "t1_s", link_id="t3_y")]) for n in range(size)],
            as_lines([comment("s", link_id="t3_y", body="I am")]),
            as_lines([comment("l", link_id="t3_z", body="*a &amp; b" * 200_000)]),
            *[b"x" * (1 << 20)] * 100,
            b"\n",
            *[b"x\n"] * 200,
        ],
    )
    compress = zstandard.ZstdCompressor().compress
    path.write_bytes((compress(b"") + compress(b"\n")) * 500 + path.read_bytes())
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=GIB)
    total = total_of(tmp_path / "out")
    assert total["comments_read"] == size + size + 1 + 1 + 1 + 200 + 2
    assert total["comments_dropped.malformed_json"] == 201
    assert total["paths"] == 1 + size + 1 + 1
    assert total["paths_dropped.too_long"] == 1
    assert "a b" in turn_ids_of(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_000_000])
def test_a_thread_of_so_many_comments_is_one_tree(size: int, tmp_path: Path) -> None:
    parents = (number * 3 // 4 for number in range(size))
    write_lines(tmp_path / "dumps", thread_of(size, parents))
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=2 * GIB)
    total = total_of(tmp_path / "out")
    assert total["comments_kept"] == size + 2
    assert total["dialogues.train"] == total["paths"] - total.get("paths_dropped.too_few_turns", 0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [100_000])
def test_a_chain_of_so_many_comments_is_one_path(size: int, tmp_path: Path) -> None:
    write_lines(tmp_path / "dumps", thread_of(size, range(size)))
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=GIB)
    total = total_of(tmp_path / "out")
    assert total["comments_kept"] == size + 2
    assert total["paths"] == 2
    assert total["paths_dropped.too_long"] == 1
    assert turn_ids_of(tmp_path / "out") == ["a b"]


@pytest.mark.slow
def test_20_000_siblings_are_20_000_dialogues(tmp_path: Path) -> None:
    write_lines(tmp_path / "dumps", thread_of(20_001, (min(n, 1) for n in range(20_001))))
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=GIB)
    assert total_of(tmp_path / "out")["dialogues.train"] == 20_001


@pytest.mark.slow
@pytest.mark.parametrize("size", [200_000])
def test_so_many_lines_of_the_same_comment_are_one_comment(size: int, tmp_path: Path) -> None:
    write_lines(tmp_path / "dumps", [as_lines([comment("c", link_id="t3_x")])] * size)
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=GIB)
    assert total_of(tmp_path / "out")["comments_dropped.duplicate_id"] == size - 1


@pytest.mark.slow
@pytest.mark.parametrize("size", [100 << 20])
def test_a_line_of_so_many_bytes_is_one_dropped_comment(size: int, tmp_path: Path) -> None:
    write_lines(tmp_path / "dumps", [b'{"id": ', b"x" * size, b"\n"])
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=2 * GIB)
    total = total_of(tmp_path / "out")
    assert total["comments_dropped.malformed_json"] == 1
    assert total["comments_read"] == 3
    assert turn_ids_of(tmp_path / "out") == ["a b"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [100 << 20])
@pytest.mark.parametrize("piece", ["I am ", "x", "*", "&amp;"])
def test_a_body_of_so_many_bytes_costs_its_neighbours_nothing(
    piece: str, size: int, tmp_path: Path
) -> None:
    record = json.dumps(comment("c", link_id="t3_x", body="PUT")).encode()
    before, _, after = record.partition(b"PUT")
    body = [piece.encode() * (1 << 16)] * (size // len(piece) >> 16)
    write_lines(tmp_path / "dumps", [before, *body, after + b"\n"])
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=4 * GIB)
    assert total_of(tmp_path / "out")["comments_read"] == 3
    assert turn_ids_of(tmp_path / "out") == ["a b"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [4 << 30])
def test_a_few_bytes_that_unpack_to_so_many_do_not_fill_the_memory(
    size: int, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "dumps", [b"x" * (1 << 20)] * (size >> 20) + [b"\n"])
    assert path.stat().st_size < size / 1000
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=2 * GIB)
    total = total_of(tmp_path / "out")
    assert total["comments_dropped.malformed_json"] == 1
    assert turn_ids_of(tmp_path / "out") == ["a b"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1_000_000])
def test_so_many_tiny_lines_are_counted_one_by_one(size: int, tmp_path: Path) -> None:
    write_lines(tmp_path / "dumps", [b"x\n"] * size)
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=2 * GIB)
    assert total_of(tmp_path / "out")["comments_dropped.malformed_json"] == size


@pytest.mark.slow
@pytest.mark.parametrize("size", [300_000])
def test_so_many_frames_are_one_text(size: int, tmp_path: Path) -> None:
    compress = zstandard.ZstdCompressor().compress
    path = write_lines(tmp_path / "dumps", [])
    path.write_bytes(compress(b"") * size + compress(b"\n") * size + path.read_bytes())
    extract_in_child(tmp_path / "dumps", tmp_path / "out", max_bytes=GIB)
    assert total_of(tmp_path / "out")["comments_read"] == 2
    assert turn_ids_of(tmp_path / "out") == ["a b"]
