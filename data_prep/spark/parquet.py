"""Parquet of comments and submissions -> parcels of posts.

A row becomes the line of JSON that a dump would have for it, and that goes the way of all lines: so
ids may be Reddit's strings or numbers, times numbers or strings, and what is lacking is counted
under the same names.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, StructType, TimestampNTZType, TimestampType

from data_prep.dump import LineBlock
from data_prep.inventory import DumpFile, Kind
from data_prep.posts import COMMENTS, SUBMISSIONS
from data_prep.spark.dealing import Reading
from data_prep.spark.dump_bytes import joined_lines
from data_prep.spark.parcels import PARCEL_COLUMNS, Parcel, to_batches
from dialogpt.command_line import UserError

_FORMATS = {"RC": COMMENTS, "RS": SUBMISSIONS}
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def posts_of_parquet(spark: SparkSession, folder: str, kind: Kind, reading: Reading) -> DataFrame:
    """The posts of Parquet files as parcels.

    Args:
        spark: reads.
        folder: of the files, a URI.
        kind: "RC" for comments, "RS" for submissions.
        reading: how.

    Raises:
        UserError: a column is lacking that no post can be without.
    """
    rows = spark.read.parquet(folder)
    needed = [field.name for field in _FORMATS[kind].fields if field.is_needed]
    absent = [name for name in needed if name not in rows.columns]
    if absent:
        raise UserError(
            f"{folder}: expected the columns {', '.join(needed)}, found no {', '.join(absent)}"
        )
    names = [field.name for field in _FORMATS[kind].fields if field.name in rows.columns]
    lines = rows.select(
        F.to_json(F.struct(*[_plain(rows.schema, name) for name in names])).alias("value"),
        _month(rows.schema).alias("month"),
        F.col("_metadata.file_path").alias("path"),
        F.col("_metadata.row_index").alias("row"),
    )
    read = partial(read_rows, kind=kind, reading=reading)
    return lines.select(
        F.col("value").cast("binary").alias("value"), "month", "path", "row"
    ).mapInArrow(read, PARCEL_COLUMNS)


def _plain(schema: StructType, name: str) -> Column:
    """A column as dumps have it: times are seconds since 1970."""
    if isinstance(schema[name].dataType, (TimestampType, TimestampNTZType)):
        return F.unix_timestamp(F.col(name)).alias(name)
    return F.col(name)


def _month(schema: StructType) -> Column:
    """Such as "2015-02": from the column `month`, or else from the time of the post."""
    if "month" not in schema.names:
        if "created_utc" not in schema.names:
            return F.lit("1970-01")
        seconds = _plain(schema, "created_utc").cast("double").cast("long")
        return F.coalesce(F.date_format(F.timestamp_seconds(seconds), "yyyy-MM"), F.lit("1970-01"))
    if isinstance(schema["month"].dataType, DateType):  # what Spark makes of folders month=2015-02
        return F.date_format(F.col("month"), "yyyy-MM")
    month = F.coalesce(F.col("month").cast("string"), F.lit(""))
    return F.regexp_replace(month, r"^(\d{4})(\d{2})$", "$1-$2")


def read_rows(
    batches: Iterable[pa.RecordBatch], *, kind: Kind, reading: Reading
) -> Iterator[pa.RecordBatch]:
    """A task: rows -> parcels.

    Args:
        batches: columns `value` (a line of JSON), `month`, `path` and `row`.
        kind: of posts.
        reading: how.
    """
    for (path, month, _), runs in groupby(_numbered(batches), lambda run: run[0]):
        rows = (rows for _, rows in runs)
        yield from to_batches(_file(path, month, rows, kind, reading))


def _numbered(
    batches: Iterable[pa.RecordBatch],
) -> Iterator[tuple[tuple[str, str, int], pa.RecordBatch]]:
    """Rows of one file and month with these, and with how often rows went back so far."""
    last, num_jumps = ("", 0), 0
    for batch in batches:
        for rows in _runs(batch):
            path, row = rows.column("path")[0].as_py(), rows.column("row")[0].as_py()
            num_jumps += (path, row) < last or path != last[0]
            last = (path, row)
            yield (path, rows.column("month")[0].as_py(), num_jumps), rows


def _runs(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of one file and month, in which row numbers ascend.

    Spark may give a task two pieces of a file, the later one first.
    """
    months = batch.column("month").dictionary_encode()
    paths = np.asarray(batch.column("path").dictionary_encode().indices)
    goes_back = (np.diff(batch.column("row").to_numpy()) < 0) | (np.diff(paths) != 0)
    stretches = np.concatenate([np.zeros(min(len(paths), 1), np.int64), np.cumsum(goes_back)])
    keys = stretches * len(months.dictionary) + np.asarray(months.indices)
    for key in np.unique(keys):
        yield batch.filter(pa.array(keys == key))


def _file(
    path: str, month: str, batches: Iterator[pa.RecordBatch], kind: Kind, reading: Reading
) -> Iterator[Parcel]:
    if not _MONTH.fullmatch(month):
        raise UserError(f'{path}: expected months such as "2015-02" or 201502, found {month!r}')
    first = next(batches)
    row = first.column("row")[0].as_py()
    # Copies of a comment are told apart by month, file and row: the last one counts.
    place = (path, row)
    yield from reading.read(
        DumpFile(Path(f"{Path(path).name} from row {row}"), kind, month, 0),
        _blocks(first, batches),
        place,
        rejects_name=f"read-{kind}_{month}-{Path(path).stem}-{row:012d}",
        facts=lambda: {"dump": path, "sha256": ""},
    )


def _blocks(first: pa.RecordBatch, others: Iterable[pa.RecordBatch]) -> Iterator[LineBlock]:
    first_line = 1
    for batch in chain([first], others):
        yield LineBlock(first_line, joined_lines(batch.column("value")) + b"\n")
        first_line += batch.num_rows
