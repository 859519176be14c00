"""Dumps -> parcels of posts, in one of two ways.

*Archives*: a task reads a whole file, whatever it is compressed with and however damaged, through
`data_prep.dump`, as the local engine does. *Lines*: Spark decompresses and finds the lines, so that
many tasks can read one plain or .bz2 file.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from data_prep.dump import LineBlock, is_compressed, read_lines
from data_prep.spark.dealing import Reading
from data_prep.spark.dump_bytes import BYTE_ORDER_MARK, as_file, file_pieces, joined_lines
from data_prep.spark.parcels import PARCEL_COLUMNS, Parcel, to_batches
from data_prep.spark.sources import DumpSource
from dialogpt.command_line import UserError

Batches: TypeAlias = Iterable[pa.RecordBatch]

WHOLE_FILES = {
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.files.maxPartitionBytes": str(1 << 62),
}
"""Settings with which Spark gives every file to one task."""

_PASSTHROUGH = "org.apache.hadoop.io.compress.PassthroughCodec"
_EXTENSION_OPTIONS = (
    "io.compress.passthrough.extension",
    "org.apache.hadoop.shaded.io.compress.passthrough.extension",  # in the jars of pip's pyspark
)
_MAGIC = {".bz2": b"BZh", ".gz": b"\x1f\x8b"}
"""Endings of archives of which Spark finds the lines, and how these archives begin."""
_CODECS = (*_MAGIC, ".gzip", ".zst", ".zstd", ".snappy", ".lz4", ".deflate", ".xz")
"""Endings of which Spark thinks that they say something."""


def posts_of_archives(
    spark: SparkSession, sources: Sequence[DumpSource], reading: Reading
) -> DataFrame:
    """The posts of dumps as parcels, one task a dump; to be run with the settings WHOLE_FILES."""
    read = partial(read_archives, sources={s.number: s for s in sources}, reading=reading)
    # Large files first, so that no large one is left alone at the end.
    frames = [_raw(spark, source) for source in sorted(sources, key=lambda s: -s.dump.size)]
    return _together(frames).mapInArrow(read, PARCEL_COLUMNS)


def _together(frames: list[DataFrame]) -> DataFrame:
    """The rows of all frames, in their order."""
    # Two by two: Spark looks through the whole of each union, and a chain of hundreds takes long.
    while len(frames) > 1:
        pairs = zip(frames[::2], [*frames[1::2], None], strict=False)
        frames = [left if right is None else left.unionAll(right) for left, right in pairs]
    return frames[0]


def _raw(spark: SparkSession, source: DumpSource) -> DataFrame:
    """The bytes of a file as rows: see `data_prep.spark.dump_bytes`."""
    number = F.lit(source.number).alias("dump")
    if source.dump.size <= len(source.head):  # of nothing, or a mark alone, Spark makes no row
        content = F.lit(bytearray(source.head.removeprefix(BYTE_ORDER_MARK)))
        return spark.range(1).select(content.alias("value"), number)
    reader = spark.read.option("lineSep", "\n").option("io.compression.codecs", _PASSTHROUGH)
    for option in _EXTENSION_OPTIONS:
        reader = reader.option(option, Path(source.dump.name).suffix.lower() or ".none")
    value = F.col("value").cast("binary").alias("value")
    return reader.text(source.pattern).select(value, number)


def read_archives(
    batches: Batches, *, sources: Mapping[int, DumpSource], reading: Reading
) -> Iterator[pa.RecordBatch]:
    """A task: whole files, as `_raw` gives them -> parcels.

    Args:
        batches: columns `value` and `dump`, one file after the other.
        sources: the dumps by number.
        reading: how.
    """
    filled = (batch for batch in batches if batch.num_rows)
    for number, of_dump in groupby(filled, lambda batch: batch.column("dump")[0].as_py()):
        yield from to_batches(_archive(sources[number], of_dump, reading))


def _archive(source: DumpSource, batches: Batches, reading: Reading) -> Iterator[Parcel]:
    digest = hashlib.sha256()
    pieces = file_pieces(
        batches,
        source.dump.name,
        size=source.dump.size,
        begins_with_mark=source.head.startswith(BYTE_ORDER_MARK),
    )
    with as_file(pieces, source.dump.name, is_compressed=is_compressed(source.head)) as file:
        yield from reading.read(
            source.dump,
            read_lines(file, lambda _: None, digest),
            (place_name(source), 0),
            rejects_name=_rejects_name(source),
            facts=lambda: {"dump": source.number, "sha256": digest.hexdigest()},
        )


def place_name(source: DumpSource) -> str:
    """Puts parcels in the order of the inventory."""
    return f"{source.number:06d}"


def _rejects_name(source: DumpSource) -> str:
    return f"read-{source.dump.kind}_{source.dump.month}"


def posts_of_lines(
    spark: SparkSession, sources: Sequence[DumpSource], reading: Reading
) -> DataFrame:
    """The posts of dumps as parcels, one task a split of a dump.

    Raises:
        UserError: a dump is not one whose lines Spark finds.
    """
    for source in sources:
        _require_lines(source)
    read = partial(read_splits, sources={s.number: s for s in sources}, reading=reading)
    frames = [_lines(spark, source) for source in sources]
    return _together(frames).mapInArrow(read, PARCEL_COLUMNS)


def _require_lines(source: DumpSource) -> None:
    ending = Path(source.dump.name).suffix.lower()
    magic = _MAGIC.get(ending)
    is_plain = ending not in _CODECS and not is_compressed(source.head)
    if not (is_plain or (magic and source.head.startswith(magic))):
        raise UserError(
            f"{source.dump.name}: expected a plain, .bz2 or .gz file that is what its ending says, "
            "as --spark.read lines takes them; give --spark.read archives"
        )


def _lines(spark: SparkSession, source: DumpSource) -> DataFrame:
    return (
        spark.read.option("lineSep", "\n")
        .text(source.pattern)
        .select(
            F.col("value").cast("binary").alias("value"),
            F.lit(source.number).alias("dump"),
            F.col("_metadata.file_block_start").alias("start"),
        )
    )


def read_splits(
    batches: Batches, *, sources: Mapping[int, DumpSource], reading: Reading
) -> Iterator[pa.RecordBatch]:
    """A task: lines of splits -> parcels.

    Args:
        batches: columns `value`, `dump` and `start`, one split after the other.
        sources: the dumps by number.
        reading: how.
    """
    runs = (run for batch in batches for run in _runs(batch))
    for (number, start), of_split in groupby(runs, _split_of):
        yield from to_batches(_split(sources[number], start, of_split, reading))


def _runs(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices of one split each."""
    if not batch.num_rows:
        return
    splits = np.stack([batch.column("dump").to_numpy(), batch.column("start").to_numpy()])
    cuts = np.flatnonzero((np.diff(splits, axis=1) != 0).any(axis=0)) + 1
    bounds = [0, *cuts.tolist(), batch.num_rows]
    for start, end in pairwise(bounds):
        yield batch.slice(start, end - start)


def _split_of(batch: pa.RecordBatch) -> tuple[int, int]:
    return batch.column("dump")[0].as_py(), batch.column("start")[0].as_py()


def _split(source: DumpSource, start: int, batches: Batches, reading: Reading) -> Iterator[Parcel]:
    dump = source.dump
    rejects_name = _rejects_name(source)
    if start:  # nobody knows how many lines go before: they are counted from here
        dump = replace(dump, path=Path(f"{dump.name} from byte {start}"))
        rejects_name += f"-{start:015d}"
    yield from reading.read(
        dump,
        _blocks(batches, is_first=start == 0),
        (place_name(source), start),
        rejects_name=rejects_name,
        facts=lambda: {"dump": source.number, "sha256": ""},
    )


def _blocks(batches: Batches, *, is_first: bool) -> Iterator[LineBlock]:
    first_line = 1
    for batch in batches:
        data = joined_lines(batch.column("value")) + b"\n"
        if is_first and first_line == 1:
            data = data.removeprefix(BYTE_ORDER_MARK)
        yield LineBlock(first_line, data)
        first_line += batch.num_rows
