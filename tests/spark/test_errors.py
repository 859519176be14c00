"""What users can mend about Spark, Java, the cluster and the paths is said in one message."""

import os
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

ROOT = Path(__file__).parents[2]
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
def test_a_master_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark itself gives up after a minute; this is what it says then."""
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    from data_prep.spark.session import spark_session

    def gives_up(_: Any) -> None:
        raise Py4JError(
            "An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.\n"
            ": java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.\n"
            "This stopped SparkContext was created at:\n\n"
        )

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", gives_up)
    expected = r"--master spark://nobody:7077: .*the master did not answer.*its host and port"
    with (
        pytest.raises(UserError, match=expected),
        spark_session(SparkConfig(), "spark://nobody:7077"),
    ):
        pass


HOW_PYTHON = r"; install the project .* PYSPARK_PYTHON .* spark\.pyspark\.python "


@needs_spark
@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("", r"Cannot run program \"\S*/python\": error=2, No such file or directory"),
        # With this project, but without site-packages: the first import of another is in vain.
        (
            f'PYTHONPATH="$PYTHONPATH:{ROOT}" exec {sys.executable} -S',
            "ModuleNotFoundError: No module named 'docstring_parser'",
        ),
        ("exec true", "EOFException occurred while reading the port number"),
    ],
    ids=["absent", "without-packages", "no-python"],
)
def test_a_python_of_the_workers_that_will_not_do_is_named(
    program: str, found: str, spark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from data_prep.spark.executors import require_executors

    python = tmp_path / "python"
    if program:
        python.write_text(f'#!/bin/sh\n{program} "$@"\n')
        python.chmod(0o755)
    monkeypatch.setattr(spark.sparkContext, "pythonExec", str(python))
    with pytest.raises(UserError, match=f"^look at the executors: {found}{HOW_PYTHON}"):
        require_executors(spark, [])


@needs_spark
def test_another_version_of_python_on_the_workers_is_named(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_prep.spark.executors import require_executors

    monkeypatch.setattr(spark.sparkContext, "pythonVer", "3.7")  # what the driver says of itself
    found = r"Python in worker has different version: 3\.\d+ than that in driver: 3\.7"
    with pytest.raises(UserError, match=f"^look at the executors: {found}{HOW_PYTHON}"):
        require_executors(spark, [])


@needs_spark
def test_the_setting_that_names_the_python_of_the_workers_has_effect(tmp_path: Path) -> None:
    """And what it names in vain is said without the traces of Python and of Java."""
    write_dump(tmp_path / "dumps", [comment("a")])
    python = tmp_path / "absent" / "python"
    argv = [sys.executable, "-m", "data_prep", "extract", "--engine", "spark"]
    argv += ["--master", "local[1]", "--dumps", str(tmp_path / "dumps")]
    argv += ["--output", str(tmp_path / "out")]
    argv += ["--spark.settings", f"[spark.pyspark.python={python}, spark.ui.enabled=false]"]
    environment = {name: value for name, value in os.environ.items() if name != "PYSPARK_PYTHON"}
    run = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 1
    assert f'error: look at the executors: Cannot run program "{python}"' in run.stderr
    assert "Traceback" not in run.stderr
    assert "\tat " not in run.stderr


@needs_spark
@pytest.mark.parametrize(
    ("variable", "settings", "master", "expected"),
    [
        ("/of/variable", ["spark.pyspark.python=/of/setting"], "local[1]", "/of/variable"),
        (None, ["spark.pyspark.python=/of/setting"], "local[1]", "/of/setting"),
        (None, ["spark.pyspark.python=/of/setting"], "yarn", "/of/setting"),
        (None, [], "local[1]", sys.executable),
        (None, [], "yarn", None),
    ],
)
def test_the_variable_counts_before_the_setting_and_is_left_as_it_was(
    variable: str | None,
    settings: list[str],
    master: str,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    from data_prep.spark.session import spark_session

    seen = []

    def starts(_: Any) -> None:
        seen.append(os.environ.get("PYSPARK_PYTHON"))
        raise Py4JError("enough")

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", starts)
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    if variable is not None:
        monkeypatch.setenv("PYSPARK_PYTHON", variable)
    with (
        pytest.raises(UserError, match="enough"),
        spark_session(SparkConfig(settings=settings), master),
    ):
        pass
    assert seen == [expected]
    assert os.environ.get("PYSPARK_PYTHON") == variable


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
