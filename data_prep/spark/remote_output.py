"""Results on a file system that Spark knows and Python does not: Spark writes the files.

Spark's own committer sees to it that of several attempts at a task one counts, and that nothing is
there half.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

from data_prep.dialogues import DIALOGUE_SCHEMA, DIALOGUES_FOLDER
from data_prep.publication import MANIFEST_FILE, RESULTS
from data_prep.rejects import REJECT_SCHEMA
from data_prep.spark.finishing import Finishing, finished
from data_prep.spark.parcel_files import notes_of, read_parcels, write_parcels
from data_prep.spark.parcels import REJECTS, from_batches, unpack
from data_prep.spark.storage import HadoopFolder
from data_prep.spark.summaries import Report
from data_prep.stages import JsonObject
from dialogpt.records import SPLITS

DIALOGUE_COLUMNS = (
    "turns array<string>, speakers array<tinyint>, turn_ids array<string>, thread_id string, "
    "subreddit string, month string, created_utc long, score int, knowledge array<string>"
)
"""DIALOGUE_SCHEMA, as Spark writes it."""
REJECT_COLUMNS = (
    "kind string, reason string, detail string, turns array<string>, turn_ids array<string>, "
    "num_turns int, thread_id string, subreddit string, month string, score long"
)
"""REJECT_SCHEMA, as Spark writes it."""

_REJECTS = "rejects"
_ROWS_AT_ONCE = 16_384


class RemoteOutput:
    """See `outputs.Output`.

    Args:
        spark: writes.
        folder: of the results.
    """

    def __init__(self, spark: SparkSession, folder: HadoopFolder) -> None:
        self.work = folder / "work" / "spark"
        self._spark = spark
        self._folder = folder
        self._final = self.work / "final"

    @contextmanager
    def sole_use(self) -> Iterator[None]:
        """See Output; nothing is held: such file systems have no locks."""
        self.work.make()
        yield

    def manifest(self) -> JsonObject | None:
        """See Output."""
        found = self._folder.read(MANIFEST_FILE)
        manifest: JsonObject | None = orjson.loads(found) if found else None
        return manifest

    def read(self, name: str) -> bytes | None:
        """See Output."""
        return self._folder.read(name)

    def begin_results(self) -> None:
        """See Output."""
        self._final.delete()
        self._final.make()

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """See Output."""
        with self._final.writer(name) as file:
            for piece in pieces:
                file.write(piece)

    def write_dialogues(
        self, candidates: DataFrame, finishing: Finishing, num_partitions: int, report: Report
    ) -> None:
        """See Output."""
        place = self.work / "finished"
        write_parcels(finished(candidates, finishing), place)
        parcels = read_parcels(self._spark, place)
        if finishing.keep_rejects:
            self.write_rejects(parcels.where(parcels.kind == REJECTS))
        for split in SPLITS:
            rows = parcels.where(parcels.kind == split).mapInArrow(_rows, DIALOGUE_COLUMNS)
            target = self._final / DIALOGUES_FOLDER / split
            _writer(rows).mode("overwrite").parquet(target.uri)
            for entry in target.entries():
                path = f"{DIALOGUES_FOLDER}/{split}/{entry.name}"
                report.files[path] = {"size": entry.size}
        for _, note in notes_of(parcels):
            report.add(note)

    def write_rejects(self, rejects: DataFrame) -> None:
        """See Output."""
        in_order = rejects.repartition("name").sortWithinPartitions("name", "number")
        rows = in_order.mapInArrow(_rejected, REJECT_COLUMNS)
        _writer(rows).mode("append").parquet((self._final / _REJECTS).uri)

    def publish(self, manifest: JsonObject, options: str) -> None:
        """See Output."""
        names = {MANIFEST_FILE, *(entry.name for entry in self._final.entries())}
        if unknown := names.difference(RESULTS):
            raise AssertionError(f"not listed as results of an extraction: {sorted(unknown)}")
        self._folder.delete(MANIFEST_FILE)  # of results that begin to go
        # What only an earlier run left would pass for a result of this one.
        for name in sorted({*RESULTS}.difference(names)):
            self._folder.delete(name)
        self.write("extract.yaml", [options.encode()])
        for entry in self._final.entries():
            self._folder.delete(entry.name)
            self._final.rename(entry.name, self._folder / entry.name)
        with self._folder.writer(MANIFEST_FILE) as file:
            file.write(orjson.dumps({**manifest, "results": sorted(names)}))


def _writer(rows: DataFrame) -> DataFrameWriter:
    return rows.write.option("compression", "zstd").option(
        "mapreduce.fileoutputcommitter.marksuccessfuljobs", "false"
    )


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A task: parcels of dialogues -> dialogues."""
    for parcel in from_batches(batches):
        yield from unpack(parcel.payload).cast(DIALOGUE_SCHEMA).to_batches(_ROWS_AT_ONCE)


def _rejected(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A task: Parquet files in pieces -> their rows."""
    for _, pieces in groupby(from_batches(batches), lambda parcel: parcel.name):
        content = b"".join(piece.payload.to_pybytes() for piece in pieces)
        for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches(_ROWS_AT_ONCE):
            yield batch.cast(REJECT_SCHEMA)
