"""The Spark session of a run: how it starts, its settings, and what its errors mean."""

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from data_prep.spark.config import SparkConfig
from dialogpt.command_line import UserError

_OURS = {
    "spark.app.name": "dialogpt",
    "spark.ui.showConsoleProgress": "true",
}
"""Settings of a session that we start, where the user sets nothing else."""


@contextmanager
def spark_session(config: SparkConfig, master: str) -> Iterator[SparkSession]:
    """A session; one that is active already (a notebook's, a test's) is used and left as it is.

    Args:
        config: with further settings.
        master: of the cluster; "" takes what spark-submit or spark-defaults.conf says.

    Raises:
        UserError: there is no such cluster.
    """
    # Of pyspark 4.3 with pandas 3; nothing of pandas is used here.
    warnings.filterwarnings("ignore", message="PySpark does not yet", category=FutureWarning)
    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    if master.startswith("local"):  # the workers are on this machine
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = _started(config, master)
    try:
        spark.sparkContext.setLogLevel("ERROR")
        yield spark
    finally:
        spark.stop()


def _started(config: SparkConfig, master: str) -> SparkSession:
    builder = SparkSession.builder
    if master:
        builder = builder.master(master)
    chosen = dict(setting.split("=", 1) for setting in config.settings)
    for name, value in {**_OURS, **chosen}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise UserError(
            f"--master {master or '(that of spark-submit)'}: Spark did not start: "
            f"{_first_cause(str(error))}; expected local[N], local-cluster[...], "
            "spark://host:7077, yarn or k8s://https://host:port"
        ) from error


@contextmanager
def sql_settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Settings of the session, until the block ends."""
    before = {name: spark.conf.get(name, None) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Turn what the user can mend about a failed job into a UserError.

    Args:
        what: the job does, for messages.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        message = str(error)
        ours = re.search(r"dialogpt\.command_line\.UserError: (.*)", message)
        if ours is not None:
            raise UserError(f"{what}: {ours[1]}") from error
        for pattern, remedy in _REMEDIES:
            if found := re.search(pattern, message):
                raise UserError(f"{what}: {found[0]}; {remedy}") from error
        raise


_REMEDIES = (
    (
        r"ModuleNotFoundError: No module named '(data_prep|dialogpt|pyarrow|msgspec)[^']*'",
        "install the project with all it needs on every worker (docs/spark.md says how), or let "
        "PYSPARK_PYTHON or spark.pyspark.python name the Python that has it",
    ),
    (
        r"(File|Path does not exist:?|FileNotFoundException:?) ?(file:|/)\S*( does not exist)?",
        "executors on other machines do not see the paths of this one: name a folder that all of "
        "them share, or a URI (hdfs://, s3a://, ...)",
    ),
    (
        r"Python worker exited unexpectedly",
        "perhaps for want of memory: give more --num_partitions, or a larger "
        "spark.executor.memoryOverhead (docs/spark.md)",
    ),
)
"""Parts of messages of Spark, and what to do about them."""


def _first_cause(message: str) -> str:
    """The last line of a message that says what was wrong, without its stack trace."""
    causes = re.findall(r"(?:Caused by|^|: )((?:[\w.]+Exception|[\w.]+Error): [^\n]*)", message)
    return (causes[-1] if causes else message.strip().split("\n")[0]).rstrip(".")
