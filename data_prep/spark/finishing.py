"""Candidates -> dialogues, now that the whole corpus is known, and where they are written.

To a folder that all machines share, tasks write the same files as the local engine, to the byte. On
any other file system Spark writes them: the same rows, under names that Spark gives.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame

from data_prep.counts import Tally
from data_prep.dialogues import DialogueWriter
from data_prep.duplicates.search import read_drops
from data_prep.finish import LastDrops, corpus_masks
from data_prep.rejects import Rejects
from data_prep.spark.dealing import file_parcels, rejects_file
from data_prep.spark.parcels import (
    PARCEL_COLUMNS,
    Parcel,
    from_batches,
    note,
    pack,
    to_batches,
    unpack,
)
from data_prep.stages import JsonObject
from dialogpt.data.manifest import file_sha256
from dialogpt.records import SPLITS


@dataclass(frozen=True, slots=True)
class Finishing:
    """What tasks need to know to finish a partition.

    Attributes:
        frequent: the frequent trigrams, a table packed.
        min_share: of trigrams that makes a response bland.
        purged: ids of comments and threads that somebody wanted to have removed.
        duplicates: what goes as a duplicate, a file for each partition; none if nobody looked.
        keep_rejects: whether whatever is dropped is kept.
    """

    frequent: "Broadcast[bytes]"
    min_share: float
    purged: tuple[str, ...]
    duplicates: tuple[Path, ...]
    keep_rejects: bool

    def drops(self, number: int, tally: Tally, rejects: Rejects) -> LastDrops:
        """What is dropped from the candidates of a partition."""
        masks = partial(
            corpus_masks,
            frequent=unpack(self.frequent.value).column("trigram").combine_chunks(),
            min_share=self.min_share,
            purged=pa.array(self.purged, pa.string()),
        )
        duplicates = read_drops(self.duplicates[number]) if self.duplicates else None
        return LastDrops(masks, duplicates, tally, rejects)


def finished(candidates: DataFrame, finishing: Finishing) -> DataFrame:
    """The dialogues as parcels of the kind of their split, with notes and rejects.

    Args:
        candidates: parcels, each partition in one task.
        finishing: how.
    """
    return candidates.mapInArrow(partial(_finish, finishing=finishing), PARCEL_COLUMNS)


def _finish(batches: Iterable[pa.RecordBatch], *, finishing: Finishing) -> Iterator[pa.RecordBatch]:
    parcels = _in_order(batches)
    if parcels:
        yield from to_batches(_dialogues(parcels, finishing))


def _in_order(batches: Iterable[pa.RecordBatch]) -> list[Parcel]:
    """The parcels of one kind and partition, in order."""
    return sorted(from_batches(batches), key=lambda parcel: parcel.place)


def _dialogues(parcels: Sequence[Parcel], finishing: Finishing) -> Iterator[Parcel]:
    number, tally = parcels[0].partition, Tally()
    with rejects_file(finishing.keep_rejects) as path:
        rejects = Rejects(path)
        drops = finishing.drops(number, tally, rejects)
        for count, parcel in enumerate(parcels):
            for split, dialogues in drops.dialogues(unpack(parcel.payload)):
                if dialogues.num_rows:
                    yield Parcel(split, number, "", 0, count, pack(dialogues))
        rejects.close()
        yield note(number, _result(tally, rejects), name="finish")
        yield from file_parcels(path, f"finish-part-{number:05d}", number)


def _result(tally: Tally, rejects: Rejects) -> JsonObject:
    return {"stage": "finish", "counts": tally.by_month(), "examples": rejects.examples}


@dataclass(frozen=True, slots=True)
class SharedFolders:
    """Folders that all machines share, of one file system.

    Attributes:
        attempts: each attempt at a task has a folder of its own in it.
        dialogues: of the splits.
        rejects: of what is dropped.
    """

    attempts: Path
    dialogues: Path
    rejects: Path

    def make(self) -> None:
        """Make them, where absent."""
        for folder in (self.attempts, self.rejects, *(self.dialogues / split for split in SPLITS)):
            folder.mkdir(parents=True, exist_ok=True)


def written_parts(candidates: DataFrame, finishing: Finishing, folders: SharedFolders) -> DataFrame:
    """Write the files of all partitions; the notes, which tell of the files, as parcels."""
    write = partial(_write_parts, finishing=finishing, folders=folders)
    return candidates.mapInArrow(write, PARCEL_COLUMNS)


def _write_parts(
    batches: Iterable[pa.RecordBatch], *, finishing: Finishing, folders: SharedFolders
) -> Iterator[pa.RecordBatch]:
    parcels = _in_order(batches)
    if parcels:
        number = parcels[0].partition
        content = write_part(number, parcels, finishing, folders)
        yield from to_batches([note(number, content, name="finish")])


def write_part(
    number: int, parcels: Iterable[Parcel], finishing: Finishing, folders: SharedFolders
) -> JsonObject:
    """Write the files of one partition.

    Another attempt at the same, later or at the same time, writes the same bytes: whichever gives
    them their names last makes no difference.

    Returns:
        JSON: what is counted, and "files" (path below the splits -> rows and checksum).
    """
    tally = Tally()
    with TemporaryDirectory(dir=folders.attempts) as name:
        attempt = Path(name)
        kept_rejects = attempt / "rejects.parquet" if finishing.keep_rejects else None
        rejects = Rejects(kept_rejects)
        drops = finishing.drops(number, tally, rejects)
        with DialogueWriter(attempt, number) as writer:
            for parcel in parcels:
                for split, dialogues in drops.dialogues(unpack(parcel.payload)):
                    writer.write_table(split, dialogues)
        rejects.close()
        files = {}
        for path, rows in writer.written.items():
            place = path.relative_to(attempt)
            files[str(place)] = {"sha256": file_sha256(path), "rows": rows}
            path.replace(folders.dialogues / place)
        if kept_rejects is not None:
            kept_rejects.replace(folders.rejects / f"finish-part-{number:05d}.parquet")
    return {**_result(tally, rejects), "files": files}
