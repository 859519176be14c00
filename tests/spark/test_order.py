"""Pieces of what is read are put together in its order, however Spark gives them to tasks."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support_dumps import as_lines, comment

from data_prep.config import ExtractConfig
from data_prep.inventory import DumpFile
from data_prep.spark.parcels import COMMENTS, from_batches, unpack
from data_prep.spark.summaries import Report

pytest.importorskip("pyspark")

from data_prep.spark.building import in_order
from data_prep.spark.dealing import Reading
from data_prep.spark.parquet import read_rows
from data_prep.spark.reading import read_splits
from data_prep.spark.sources import DumpSource

READING = Reading(1, ExtractConfig(dumps="", output=""))
SCHEMA = pa.schema([("text", pa.string()), ("month", pa.int32())])


def table(text: str, months: Iterable[int]) -> pa.Table:
    rows = [{"text": f"{text}{number}", "month": month} for number, month in enumerate(months)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def test_tables_come_in_the_order_of_months_and_then_of_places() -> None:
    tables = {
        ("a", 9, 0): table("late ", [201501, 201502]),
        ("a", 0, 1): table("second ", [201502]),
        ("a", 0, 0): table("first ", [201502, 201501]),
        ("b", 0, 0): table("other ", [201412]),
    }
    assert in_order(SCHEMA, tables).column("text").to_pylist() == [
        *("other 0", "first 1", "late 0"),
        *("first 0", "second 0", "late 1"),
    ]


def names_in_order(batches: Iterable[pa.RecordBatch]) -> list[int]:
    """The ids of all comments, as a partition gets them."""
    parcels = [p for p in from_batches(batches) if p.kind == COMMENTS]
    tables = {parcel.place: unpack(parcel.payload) for parcel in parcels}
    assert len(tables) == len(parcels), "two parcels have one place"
    ids: list[int] = in_order(SCHEMA, tables).column("id").to_pylist()
    return ids


def lines(numbers: Iterable[int]) -> list[bytes]:
    return [as_lines([comment(str(n))]).rstrip(b"\n") for n in numbers]


@pytest.mark.parametrize("splits", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
@pytest.mark.parametrize("batch_rows", [1, 4, 9])
def test_a_task_may_get_the_splits_of_a_dump_in_any_order(
    splits: list[int], batch_rows: int
) -> None:
    rows = [
        {"value": line, "dump": 5, "start": 1000 * split}
        for split in splits
        for line in lines(range(3 * split, 3 * split + 3))
    ]
    dump = DumpFile(Path("RC_2015-01"), "RC", "2015-01", 2000)
    batches = in_batches(rows, batch_rows)
    found = read_splits(batches, sources={5: DumpSource(5, dump, "", b"")}, reading=READING)
    assert names_in_order(found) == list(range(9))


@pytest.mark.parametrize("pieces", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
@pytest.mark.parametrize("batch_rows", [1, 2, 4, 9])
def test_a_task_may_get_the_pieces_of_a_parquet_file_in_any_order(
    pieces: list[int], batch_rows: int
) -> None:
    rows = [
        {"value": lines([n])[0], "month": f"2015-0{1 + n % 2}", "path": "file:/a", "row": n}
        for piece in pieces
        for n in range(3 * piece, 3 * piece + 3)
    ]
    found = read_rows(in_batches(rows, batch_rows), kind="RC", reading=READING)
    assert names_in_order(found) == [*range(0, 9, 2), *range(1, 9, 2)]


def in_batches(rows: list[dict[str, Any]], batch_rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), batch_rows):
        part = rows[start : start + batch_rows]
        yield pa.record_batch({name: [row[name] for row in part] for name in rows[0]})


def test_of_the_unusable_lines_of_a_dump_the_first_are_shown_however_many_tasks_read_it() -> None:
    report = Report()
    for block in (30, 10, 20, 40):
        unusable = {"missing_id": [f"{block}:1", f"{block}:2"]}
        note = {"stage": "read", "place": ["000000", block], "dump": 0, "unusable": unusable}
        report.add({**note, "counts": {}, "examples": [], "damage": None, "sha256": ""})
    assert report.unusable() == {"missing_id": ["10:1", "10:2", "20:1"]}
    assert [note["place"][1] for note in report.readings] == [10, 20, 30, 40]
