"""One Spark cluster for all tests: two workers of one core, each a process of its own."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What viewfs://tests/data is: Hadoop's file system of links, which Python cannot open."""
    return tmp_path_factory.mktemp("mounted")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory, mounted: Path) -> Iterator[Any]:
    import pyspark
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    fast = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # no JVM lives long enough to gain by more
    settings = {
        "spark.driver.extraJavaOptions": fast,
        "spark.executor.extraJavaOptions": fast,
        "spark.ui.enabled": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.executorEnv.PYTHONPATH": str(TESTS),
        "spark.sql.shuffle.partitions": "3",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.hadoop.fs.viewfs.mounttable.tests.link./data": mounted.as_uri(),
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    # Where a local cluster's workers have their logs: Spark has no setting for it.
    logs = Path(pyspark.__file__).parent / "work" / session.sparkContext.applicationId
    session.stop()
    shutil.rmtree(logs, ignore_errors=True)
