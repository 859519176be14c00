"""Results in a folder that the driver and all executors share: the files of the local engine."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from data_prep.counts import with_total
from data_prep.dialogues import DIALOGUES_FOLDER
from data_prep.publication import (
    go_on_publishing,
    missing_results,
    publish,
    read_manifest,
    require_no_links,
)
from data_prep.purging.dialogues import keep_out
from data_prep.purging.ids import PURGED_IDS_FILE
from data_prep.spark.finishing import Finishing, SharedFolders, write_part, written_parts
from data_prep.spark.parcel_files import notes_of, read_parcels, write_parcels
from data_prep.spark.parcels import PARCEL_COLUMNS, from_batches
from data_prep.spark.storage import HadoopFolder
from data_prep.spark.summaries import Report
from data_prep.stages import JsonObject
from dialogpt.folders import begin_folder, sole_use

_NOTE = "extract.json"  # says what the folder is for, from its first moment on
_MADE_BY = {"made_by": "python -m data_prep extract"}
_REJECTS = "rejects"


class SharedOutput:
    """See `outputs.Output`.

    Args:
        spark: does the work.
        folder: of the results.
        path: the same.
    """

    def __init__(self, spark: SparkSession, folder: HadoopFolder, path: Path) -> None:
        self._spark = spark
        self.work = folder / "work" / "spark"
        self._path = path
        self._work = path / "work" / "spark"
        self._final = self._work / "final"
        self._folders = SharedFolders(
            attempts=self._work / "attempts",
            dialogues=self._final / DIALOGUES_FOLDER,
            rejects=self._final / _REJECTS,
        )

    @contextmanager
    def sole_use(self) -> Iterator[None]:
        """See Output; UserError if another run is at work in the folder."""
        if not (self._path / _NOTE).is_file():
            begin_folder(self._path / _NOTE, _MADE_BY)
        with sole_use(self._path):
            require_no_links(self._path)
            go_on_publishing(self._path)
            self._work.mkdir(parents=True, exist_ok=True)
            yield

    def manifest(self) -> JsonObject | None:
        """See Output."""
        manifest = read_manifest(self._path)
        if manifest is None or missing_results(self._path, manifest):
            return None
        return manifest

    def read(self, name: str) -> bytes | None:
        """See Output."""
        path = self._path / name
        return path.read_bytes() if path.is_file() else None

    def begin_results(self) -> None:
        """See Output."""
        for folder in (self._final, self._folders.attempts):
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.make()

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """See Output."""
        path = self._final / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(pieces)

    def write_dialogues(
        self, candidates: DataFrame, finishing: Finishing, num_partitions: int, report: Report
    ) -> None:
        """See Output."""
        place = self.work / "finished"
        write_parcels(written_parts(candidates, finishing, self._folders), place)
        missing = set(range(num_partitions))
        for number, note in notes_of(read_parcels(self._spark, place)):
            report.add(self._with_paths(note))
            missing.discard(number)
        # Tasks without candidates need not run; their files are there all the same.
        for number in sorted(missing):
            report.add(self._with_paths(write_part(number, [], finishing, self._folders)))

    def _with_paths(self, note: JsonObject) -> JsonObject:
        files = {f"{DIALOGUES_FOLDER}/{path}": facts for path, facts in note["files"].items()}
        return {**note, "files": files}

    def write_rejects(self, rejects: DataFrame) -> None:
        """See Output."""
        write = partial(_write_files, folders=self._folders)
        in_order = rejects.repartition("name").sortWithinPartitions("name", "number")
        in_order.mapInArrow(write, PARCEL_COLUMNS).collect()

    def publish(self, manifest: JsonObject, options: str) -> None:
        """See Output."""
        shutil.rmtree(self._folders.attempts, ignore_errors=True)
        if not any(self._folders.rejects.iterdir()):
            self._folders.rejects.rmdir()
        counts = keep_out(self._final, self._path / PURGED_IDS_FILE)
        if counts:
            manifest = {**manifest, "counts": with_total(counts)["total"]}
        publish(self._final, self._path, manifest)
        (self._path / "extract.yaml").write_text(options, encoding="utf-8")


def _write_files(
    batches: Iterable[pa.RecordBatch], *, folders: SharedFolders
) -> Iterator[pa.RecordBatch]:
    """A task: files in pieces, one after the other -> files."""
    for name, pieces in groupby(from_batches(batches), lambda parcel: parcel.name):
        with TemporaryDirectory(dir=folders.attempts) as attempt:
            path = Path(attempt) / name
            with path.open("wb") as file:
                for piece in pieces:
                    file.write(piece.payload)
            path.replace(folders.rejects / f"{name}.parquet")
    yield from ()
