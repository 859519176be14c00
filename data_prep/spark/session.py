"""The Spark session of a run: how it starts, its settings, and what its errors mean."""

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
_PYTHON_SETTING, _PYTHON_VARIABLE = "spark.pyspark.python", "PYSPARK_PYTHON"


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
    chosen = dict(setting.split("=", 1) for setting in config.settings)
    here = sys.executable if master.startswith("local") else ""  # the workers are on this machine
    with _worker_python(chosen.get(_PYTHON_SETTING, here)):
        spark = _started(chosen, master)
    try:
        _log_little(spark)
        yield spark
    finally:
        spark.stop()


@contextmanager
def _worker_python(program: str) -> Iterator[None]:
    """Let a context that starts in this block run its workers with some Python.

    pyspark reads the environment variable alone, whatever the settings say.

    Args:
        program: where the variable is not set; "" leaves it so.
    """
    if not program or os.environ.get(_PYTHON_VARIABLE):
        yield
        return
    os.environ[_PYTHON_VARIABLE] = program
    try:
        yield
    finally:
        del os.environ[_PYTHON_VARIABLE]


def _log_little(spark: SparkSession) -> None:
    """Errors only; not those of tasks, which the error of their job tells again."""
    spark.sparkContext.setLogLevel("ERROR")
    jvm: Any = spark._jvm
    log4j = jvm.org.apache.logging.log4j
    log4j.core.config.Configurator.setLevel("org.apache.spark.executor.Executor", log4j.Level.OFF)


def _started(chosen: Mapping[str, str], master: str) -> SparkSession:
    builder = SparkSession.builder
    if master:
        builder = builder.master(master)
    for name, value in {**_OURS, **chosen}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise UserError(
            f"--master {master or '(that of spark-submit)'}: Spark did not start: "
            f"{_why_not_started(str(error))}; expected local[N], local-cluster[...], "
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
        r"ModuleNotFoundError: No module named '[^']*'"
        r"|Cannot run program \"[^\"\n]*\"[^\n]*"
        r"|Python in worker has different version: \S+ than that in driver: [\d.]+"
        r"|EOFException occurred while reading the port number",
        "install the project with all it needs on every worker, for the driver's version of Python "
        "(docs/spark.md says how), and let PYSPARK_PYTHON or, where that is not set, the setting "
        "spark.pyspark.python name the Python that has it",
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


def _why_not_started(message: str) -> str:
    if "stopped SparkContext" in message:  # which became so while it started
        return (
            "the master did not answer, or refused (Spark's messages above say more); check that "
            "it runs, and its host and port"
        )
    return _first_cause(message)


def _first_cause(message: str) -> str:
    """The last line of a message that says what was wrong, without its stack trace."""
    causes = re.findall(r"(?:Caused by|^|: )((?:[\w.]+Exception|[\w.]+Error): [^\n]*)", message)
    return (causes[-1] if causes else message.strip().split("\n")[0]).rstrip(".")
