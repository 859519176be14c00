"""The search for duplicates with executors in the place of processes.

Its stages leave one another files, which are read here and there: so the folder of the results must
be one that all machines share.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from data_prep.candidates import CandidateWriter
from data_prep.config import DuplicatesConfig
from data_prep.duplicates.search import find_duplicates
from data_prep.finish import CorpusRules
from data_prep.spark.parcels import PARCEL_COLUMNS, Parcel, from_batches, unpack
from data_prep.spark.workers import SparkWorkers


def find_shared_duplicates(
    spark: SparkSession,
    candidates: DataFrame,
    config: DuplicatesConfig,
    *,
    folder: Path,
    num_partitions: int,
    rules: CorpusRules,
    frequent: pa.Table,
) -> tuple[Path, ...]:
    """What goes as a duplicate: a file for each partition, for `duplicates.search.read_drops`.

    Args:
        spark: does the work.
        candidates: parcels; those of a partition are in one task.
        config: what counts as a duplicate; not "none".
        folder: for what the stages leave one another; all machines share it.
        num_partitions: how many there are, with or without candidates.
        rules: the other rules; the file of frequent trigrams is written here.
        frequent: the frequent trigrams.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"part-{number:05d}.arrow" for number in range(num_partitions)]
    for path in paths:
        path.unlink(missing_ok=True)
    candidates.mapInArrow(partial(_write_candidates, paths=paths), PARCEL_COLUMNS).collect()
    for path in paths:
        if not path.is_file():
            with CandidateWriter(path):
                pass
    if rules.frequent is not None:
        pq.write_table(frequent, rules.frequent)
    found = find_duplicates(
        paths,
        folder / "search",
        config,
        key=rules.key,
        workers=SparkWorkers(spark),
        excludes=rules,
    )
    return found.drops


def _write_candidates(
    batches: Iterable[pa.RecordBatch], *, paths: list[Path]
) -> Iterator[pa.RecordBatch]:
    """A task: the candidates of one partition -> their file."""
    parcels = sorted(from_batches(batches), key=lambda parcel: parcel.place)
    if parcels:
        _write(parcels, paths[parcels[0].partition])
    yield from ()


def _write(parcels: list[Parcel], path: Path) -> None:
    with TemporaryDirectory(dir=path.parent) as attempt:
        file = Path(attempt) / path.name
        with CandidateWriter(file) as writer:
            for parcel in parcels:
                writer.write(unpack(parcel.payload))
        file.replace(path)
