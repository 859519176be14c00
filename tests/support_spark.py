"""Spark for tests: where it is lacking, and dumps with all that may go wrong."""

import bz2
import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from support_dumps import as_lines, comment

from data_prep.config import ExtractConfig
from data_prep.dialogues import read_dialogues
from data_prep.ids import base36
from data_prep.spark.config import SparkConfig
from data_prep.spark.entry import extract_with_spark
from data_prep.spark.requirements import require_spark
from dialogpt.command_line import UserError, parse_config
from dialogpt.records import SPLITS


def _why_not() -> str:
    try:
        require_spark()
    except UserError as error:
        return str(error)
    return ""


NO_SPARK = _why_not()
needs_spark = pytest.mark.skipif(bool(NO_SPARK), reason=NO_SPARK)

WORDS = ["what", "you", "say", "is", "the", "same", "as", "I", "said"]
OPTIONS = [
    *("--filters.excluded_subreddits", "default"),
    *("--filters.bland_count", "8"),
    *("--filters.bland_share", "0.5"),
    *("--multiref.min_responses", "2"),
    *("--split.valid_fraction", "0.2"),
    *("--split.test_fraction", "0.4"),
]
"""Options under which each rule, split and file has something to do for the dumps below."""


def records_of(number: int, *, seed: int, first: int = 0) -> list[dict[str, Any]]:
    """Comments of a few threads: copies, orphans, circles, deleted and excluded ones."""
    source = random.Random(seed)
    records = []
    for row in range(first, first + number):
        thread = row % 23
        parent = max(thread, row - 23 * source.randrange(6))  # now and then the comment itself
        record = comment(base36(row), f"t1_{base36(parent)}", link_id=f"t3_{base36(thread)}")
        if source.random() < 0.4:
            record["parent_id"] = record["link_id"]
        record |= {"body": " ".join(source.choices(WORDS, k=9)), "score": source.randrange(-3, 9)}
        if source.random() < 0.05:
            record["body"] = source.choice(
                ["[deleted]", "> quoted", "see www.x.org/a", "no \ud83d"]
            )
        if source.random() < 0.02:
            record["subreddit"] = "gonewild"
        records += [record] * (1 + (source.random() < 0.03))
    return records


def later_copies(records: Iterable[dict[str, Any]], *, seed: int) -> list[dict[str, Any]]:
    """Some of the comments again, as a later dump has them: with another text, or deleted."""
    source = random.Random(seed)
    return [
        {**record, "body": source.choice(["[deleted]", "This is what it says now and then"])}
        for record in records
        if source.random() < 0.1
    ]


UNUSABLE = (
    b'{"id": "zz1", "link_id": "t3_1", "body": "cut\n'
    b"[1, 2]\n\nnull\n"
    b'{"link_id": "t3_1", "parent_id": "t3_1", "body": "no id"}\n'
    b'{"id": "zz2", "link_id": "t3_1", "parent_id": "t3_1"}\r\n'
    b'{"id": "zz3", "link_id": "t3_1", "parent_id": "t3_1", "body": "odd \xff bytes of mine"}\n'
)
"""Lines that hold no post, blank ones, and one that is not UTF-8."""


def write_months(folder: Path) -> None:
    """Whole dumps of four months, each compressed in another way, and submissions of one."""
    folder.mkdir(parents=True)
    months = [records_of(500, seed=month, first=500 * month) for month in range(4)]
    months[1] += later_copies(months[0], seed=8)
    months[3] += later_copies(months[1], seed=9)
    lines = [as_lines(records) for records in months]
    (folder / "RC_2014-11").write_bytes(b"\xef\xbb\xbf" + lines[0] + UNUSABLE)
    (folder / "RC_2014-12.bz2").write_bytes(bz2.compress(UNUSABLE + lines[1]))
    (folder / "RC_2015-01.gz").write_bytes(gzip.compress(lines[2].removesuffix(b"\n")))
    (folder / "RC_2015-03.json").write_bytes(lines[3].replace(b"\n", b"\r\n"))
    submissions = [{"id": base36(thread)} for thread in range(0, 23, 2)]
    (folder / "RS_2014-11.gz").write_bytes(gzip.compress(as_lines(submissions) + UNUSABLE))


def parsed_months(dumps: Path) -> dict[str, list[dict[str, Any]]]:
    """The comments of `write_months` by month, but for lines that hold no JSON object."""
    months = {}
    for path in sorted(dumps.glob("RC_*")):
        opener: Any = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
        with opener(path, "rb") as file:
            records = [_object(line) for line in file]
        months[path.name[3:10]] = [r for r in records if r is not None and r.keys() >= NEEDED]
    return months


NEEDED = {"id", "link_id", "parent_id"}


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line.decode("utf-8", "replace").lstrip("\ufeff"))
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    if "body" in record:  # halves of surrogate pairs do not fit into Parquet
        record["body"] = (
            record["body"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )
    return record


def write_damaged_months(folder: Path) -> None:
    """The same, and archives that Spark cannot read by itself, damaged, cut short, or empty."""
    write_months(folder)
    records = [*records_of(900, seed=4, first=2000), *records_of(900, seed=5, first=2000)]
    whole = zstandard.ZstdCompressor(level=1).compress(as_lines(records))
    (folder / "RC_2015-04.zst").write_bytes(whole[: 2 * len(whole) // 3])
    (folder / "RC_2015-05").write_bytes(whole)  # told by its content
    (folder / "RC_2015-06.zst").write_bytes(b"")
    (folder / "RC_2015-08").write_bytes(b"\xef\xbb\xbf")
    damaged = bytearray(gzip.compress(as_lines(records_of(300, seed=6, first=3000))))
    damaged[-3000] ^= 0xFF
    (folder / "RC_2015-07.gz").write_bytes(bytes(damaged))
    (folder / "notes.md").write_text("no dump")


def dialogue_rows(output: Path) -> dict[str, list[dict[str, Any]]]:
    """All columns of the dialogues of each split, in an order of their own."""
    return {
        split: sorted(
            (row for batch in read_dialogues(output, split) for row in batch.to_pylist()),
            key=lambda row: (row["turn_ids"], row["month"]),
        )
        for split in SPLITS
    }


DAMAGED = 3


def run_spark(dumps: Path | str, output: Path | str, *options: str, read: str = "archives") -> int:
    """The exit code that the command would have, on the cluster of the test session."""
    argv = ["--dumps", str(dumps), "--output", str(output), *options]
    config, resolved = parse_config(ExtractConfig, argv, prog="extract")
    damages = extract_with_spark(config, SparkConfig(read=read), resolved, master="")
    return DAMAGED if damages else 0
