"""`python -m data_prep shards --engine spark`: a task for each part of the dialogues."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from pyspark.sql import SparkSession

from data_prep.config import ShardsConfig
from data_prep.spark.executors import require_executors
from data_prep.spark.scratch import scratch_folder
from data_prep.spark.storage import HadoopFolder
from data_prep.spark.workers import SparkWorkers
from data_prep.stages import JsonObject, Report, Stage, Workers
from dialogpt.command_line import UserError, require_folder
from dialogpt.records import SPLITS


@contextmanager
def shard_workers_in(
    spark: SparkSession, config: ShardsConfig
) -> Iterator[tuple[ShardsConfig, Workers]]:
    """What `write_shards` is to be given: the config with absolute paths, and executors.

    Args:
        spark: has the executors.
        config: what to do. Both folders are on a file system that all machines share.

    Raises:
        UserError: there are no dialogues, or an executor does not see a folder.
    """
    dialogues, output = _shared(spark, config.dialogues), _shared(spark, config.output)
    require_folder(dialogues, "dialogues", "run `python -m data_prep extract` first")
    output.mkdir(parents=True, exist_ok=True)
    require_executors(spark, [dialogues, output])
    absolute = replace(config, dialogues=str(dialogues), output=str(output))
    yield absolute, SparkWorkers(spark, apart=_apart)
    for left in (path for split in SPLITS for path in (output / split).glob(".shard-*")):
        left.unlink()  # of attempts that were killed


def _shared(spark: SparkSession, location: str) -> Path:
    path = HadoopFolder(spark, location).local_path
    if path is None:
        raise UserError(
            f"{location}: shards are LMDB files, read and written by path; name a folder that all "
            "machines share as a file system (a mount), or copy the dialogues and give --engine "
            "local"
        )
    return path


def _apart(stage: Stage[Any]) -> Stage[Any]:
    return replace(stage, work=ShardApart(stage.work))


@dataclass(frozen=True, slots=True)
class ShardApart:
    """Writes a shard on this machine's disk, and copies it to its folder.

    Several attempts may do so at the same time: they write the same bytes. LMDB maps its file into
    memory, which the file systems that machines share do not all do well.

    Attributes:
        work: writes the shard of a ShardTask.
    """

    work: Callable[[Any, Report], JsonObject]

    def __call__(self, task: Any, report: Report) -> JsonObject:
        """The description of the shard."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # tasks use all cores already
        with TemporaryDirectory(prefix="dialogpt-shard-", dir=scratch_folder()) as name:
            description = self.work(replace(task, folder=Path(name)), report)
            task.folder.mkdir(parents=True, exist_ok=True)
            # The .json means that the others are there.
            for path in sorted(Path(name).iterdir(), key=lambda path: path.suffix == ".json"):
                copy = task.folder / f".{path.name}.{uuid4().hex}"
                shutil.copyfile(path, copy)
                copy.replace(task.folder / path.name)
        return description
