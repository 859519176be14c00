"""The engine on a real cluster of two workers gives what the local engine gives."""

from pathlib import Path
from typing import Any

import pytest
from support_dumps import REAL_DUMPS, counts_of, needs_real_dumps, results_of, run_extract
from support_spark import (
    DAMAGED,
    OPTIONS,
    dialogue_rows,
    needs_spark,
    run_spark,
    write_damaged_months,
)

pytestmark = [needs_spark, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Dumps with all that may be wrong with them, and what the local engine makes of them."""
    folder = tmp_path_factory.mktemp("damaged")
    write_damaged_months(folder / "dumps")
    options = (*OPTIONS, "--num_partitions", "5", "--keep_rejects")
    assert run_extract(folder / "dumps", folder / "local", *options) == DAMAGED
    return folder / "dumps", folder / "local"


def test_the_dumps_of_these_tests_give_every_rule_something_to_do(
    damaged: tuple[Path, Path],
) -> None:
    total = counts_of(damaged[1])["total"]
    for name in (
        "comments_dropped.malformed_json",
        "comments_dropped.not_an_object",
        "comments_dropped.missing_id",
        "comments_dropped.missing_body",
        "comments_dropped.truncated_archive",
        "comments_dropped.excluded_subreddit",
        "comments_dropped.duplicate_id",
        "comments_dropped.removed",
        "comments_kept.unknown_submission",
        "comments_kept.unknown_parent",
        "comments_kept.circle_cut",
        "paths_dropped.url",
        "paths_dropped.bland",
        "submissions_unusable",
        "dialogues.train",
        "dialogues.valid",
        "dialogues.test",
        "test_items",
    ):
        assert total.get(name, 0) > 0, name


def test_every_file_is_that_of_the_local_engine_to_the_byte(
    spark: Any, damaged: tuple[Path, Path], tmp_path: Path
) -> None:
    dumps, local = damaged
    options = (*OPTIONS, "--num_partitions", "5", "--keep_rejects")
    assert run_spark(dumps, tmp_path / "out", *options) == DAMAGED
    assert results_of(tmp_path / "out") == results_of(local)


def test_another_number_of_partitions_gives_the_same_rows_and_counts(
    spark: Any, damaged: tuple[Path, Path], tmp_path: Path
) -> None:
    dumps, local = damaged
    assert run_spark(dumps, tmp_path / "out", *OPTIONS, "--num_partitions", "3") == DAMAGED
    assert dialogue_rows(tmp_path / "out") == dialogue_rows(local)
    for name in ("counts.json", "counts.tsv", "examples.json", "frequent_trigrams.tsv"):
        assert (tmp_path / "out" / name).read_bytes() == (local / name).read_bytes()
    items = [
        sorted((output / "testset" / "multiref.jsonl").read_text(encoding="utf-8").split("\n"))
        for output in (tmp_path / "out", local)
    ]
    assert items[0] == items[1]


def test_executors_killed_while_they_build_and_finish_cost_nothing_but_time(
    spark: Any, damaged: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support_spark_kills import DeadlyBuilder, DeadlyFinishing

    from data_prep.spark import run

    build = run.DialogueBuilder
    markers = [tmp_path / "killed building", tmp_path / "killed finishing"]
    monkeypatch.setattr(run, "DialogueBuilder", lambda *a: DeadlyBuilder(build(*a), markers[0]))
    monkeypatch.setattr(run, "Finishing", lambda **k: DeadlyFinishing(marker=markers[1], **k))
    dumps, local = damaged
    options = (*OPTIONS, "--num_partitions", "5", "--keep_rejects")
    before = executors(spark)
    assert run_spark(dumps, tmp_path / "out", *options) == DAMAGED
    assert all(marker.exists() for marker in markers)
    assert executors(spark) - before, "no executor took the place of the killed ones"
    assert results_of(tmp_path / "out") == results_of(local)


def executors(spark: Any) -> set[str]:
    """The addresses of executors; a port is of one process only."""
    status = spark.sparkContext._jsc.sc().getExecutorMemoryStatus()
    return {
        str(address) for address in spark._jvm.scala.jdk.javaapi.CollectionConverters.asJava(status)
    }


@pytest.mark.slow  # the dumps of the tests above have all that is in real ones, and more
@needs_real_dumps
@pytest.mark.real_data
def test_real_dumps_give_the_same_files(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    for name in ("RC_2005-12.zst", "RC_2006-01.bz2", "RC_2006-02.bz2", "RS_2006-02.bz2"):
        (tmp_path / "dumps" / name).symlink_to(REAL_DUMPS / name)
    assert run_extract(tmp_path / "dumps", tmp_path / "local", "--num_partitions", "3") == 0
    assert run_spark(tmp_path / "dumps", tmp_path / "out", "--num_partitions", "3") == 0
    assert results_of(tmp_path / "out") == results_of(tmp_path / "local")
