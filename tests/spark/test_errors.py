"""What users can mend about Spark, Java, the cluster and the paths is said in one message."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support_dumps import comment, write_dump
from support_spark import needs_spark, run_spark

from data_prep.config import ExtractConfig
from data_prep.spark import requirements
from data_prep.spark.config import SparkConfig
from data_prep.spark.entry import extract_with_spark
from dialogpt.command_line import UserError

ANYTHING = ExtractConfig(dumps="dumps", output="out")


def test_without_pyspark_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(requirements, "version", absent)
    with pytest.raises(UserError, match=r"pip install 'dialogpt\[spark\]'"):
        extract_with_spark(ANYTHING, SparkConfig(), "", master="local[1]")


def test_an_old_pyspark_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "version", lambda _: "3.5.1")
    with pytest.raises(UserError, match=r"pyspark 4\.1 or later, found 3\.5\.1"):
        extract_with_spark(ANYTHING, SparkConfig(), "", master="local[1]")


@pytest.fixture
def some_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "version", lambda _: "4.3.0")
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.usefixtures("some_pyspark")
def test_without_java_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"needs Java.*apt-get install.*brew.*conda.*JAVA_HOME"):
        extract_with_spark(ANYTHING, SparkConfig(), "", master="local[1]")


@pytest.mark.usefixtures("some_pyspark")
@pytest.mark.parametrize(
    ("version", "is_refused"), [("1.8.0_412", True), ("11.0.2", True), ("21.0.1", False)]
)
def test_an_old_java_is_refused(
    version: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if is_refused:
        with pytest.raises(UserError, match=f"needs Java 17, .*{version}"):
            requirements.require_spark()
    else:
        requirements.require_spark()


@pytest.mark.parametrize("settings", [["executor.memory=1g"], ["spark.executor.memory"]])
def test_a_setting_that_is_none_is_refused(settings: list[str]) -> None:
    with pytest.raises(ValueError, match=r"spark\.NAME=VALUE"):
        SparkConfig(settings=settings)


@needs_spark
def test_a_wrong_master_is_named() -> None:
    """In a process of its own: here a cluster may be at work already."""
    program = (
        "from data_prep.spark.config import SparkConfig\n"
        "from data_prep.spark.session import spark_session\n"
        "from dialogpt.command_line import run_command\n"
        "def start():\n"
        "    with spark_session(SparkConfig(), 'lokal'):\n"
        "        pass\n"
        "run_command(start)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "error: --master lokal: Spark did not start: " in run.stderr
    assert "; expected local[N], local-cluster[...], spark://host:7077" in run.stderr
    assert "Traceback" not in run.stderr


@needs_spark
def test_a_file_system_that_spark_does_not_know_is_named(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s4://bucket/dumps: Spark says .*No FileSystem.*jars"):
        run_spark("s4://bucket/dumps", tmp_path / "out")


@needs_spark
def test_an_absent_folder_of_dumps_is_named(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: expected a folder of RC_YYYY-MM"):
        run_spark(tmp_path / "nowhere", tmp_path / "out")


@needs_spark
def test_a_folder_that_executors_do_not_see_is_named(spark: Any, tmp_path: Path) -> None:
    from data_prep.spark.executors import require_executors

    with pytest.raises(UserError, match=r"nowhere: the executor on \S+ does not see this folder"):
        require_executors(spark, [tmp_path / "nowhere"])


@needs_spark
def test_what_a_task_finds_wrong_is_said_without_a_traceback(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "tables" / "comments").mkdir(parents=True)
    table = pa.Table.from_pylist([{**comment("a"), "month": "March"}])
    pq.write_table(table, tmp_path / "tables" / "comments" / "a.parquet")
    with pytest.raises(UserError, match=r"read and build: .*expected months .* found 'March'$"):
        run_spark(tmp_path / "tables", tmp_path / "out", read="parquet")


@needs_spark
def test_parquet_without_a_column_that_no_post_can_lack_is_refused(
    spark: Any, tmp_path: Path
) -> None:
    (tmp_path / "tables" / "comments").mkdir(parents=True)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "tables" / "comments" / "a.parquet")
    with pytest.raises(UserError, match="expected the columns id, link_id, body, found no link_id"):
        run_spark(tmp_path / "tables", tmp_path / "out", read="parquet")


@needs_spark
def test_the_other_preset_is_refused(spark: Any, tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", [comment("a")])
    with pytest.raises(UserError, match="no preset 'reference'"):
        run_spark(tmp_path / "dumps", tmp_path / "out", "--preset", "reference")
