"""Whether the executors can do what will be asked of them, before it is."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from data_prep.spark.session import named_errors
from dialogpt import __version__
from dialogpt.command_line import UserError

_TASKS_PER_SLOT = 2


def require_executors(spark: SparkSession, folders: Sequence[Path]) -> None:
    """Make sure that executors have the project, and see some folders.

    Not every executor need get one of the tasks that look; later errors say the same.

    Args:
        spark: has the executors.
        folders: that they will read or write.

    Raises:
        UserError: one of them has not, or does not.
    """
    num_tasks = _TASKS_PER_SLOT * spark.sparkContext.defaultParallelism
    with named_errors("look at the executors"):
        tasks = spark.sparkContext.parallelize(range(num_tasks), num_tasks)
        problems = tasks.mapPartitions(
            partial(_problems, paths=folders, version=__version__)
        ).collect()
    if problems:
        raise UserError(problems[0])


def _problems(_: Iterable[int], *, paths: Sequence[Path], version: str) -> Iterator[str]:
    """A task: what is wrong on this machine."""
    import socket

    host = socket.gethostname()
    if __version__ != version:
        yield f"{host}: expected dialogpt {version}, found {__version__}; install the same"
    for path in paths:
        if not path.is_dir():
            yield (
                f"{path}: the executor on {host} does not see this folder; name one that all "
                "machines share, or a URI (hdfs://, s3a://, ...)"
            )
