"""What is read in other ways, or written to other places, is the same."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support_dumps import counts_of, run_extract
from support_spark import (
    OPTIONS,
    dialogue_rows,
    needs_spark,
    parsed_months,
    run_spark,
    write_damaged_months,
    write_months,
)

from data_prep.ids import base36
from dialogpt.command_line import UserError

pytestmark = [needs_spark, pytest.mark.timeout(300)]

SMALL_SPLITS = {"spark.sql.files.maxPartitionBytes": "20000"}
"""So that several tasks read one of the small files of these tests."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Dumps that Spark can read by itself, and what the local engine makes of them."""
    folder = tmp_path_factory.mktemp("whole")
    write_months(folder / "dumps")
    assert run_extract(folder / "dumps", folder / "local", *OPTIONS, "--num_partitions", "4") == 0
    return folder / "dumps", folder / "local"


def test_many_tasks_that_share_a_file_give_the_dialogues_of_one(
    spark: Any, whole: tuple[Path, Path], tmp_path: Path
) -> None:
    from data_prep.spark.session import sql_settings

    dumps, local = whole
    options = (*OPTIONS, "--num_partitions", "3", "--keep_rejects")
    with sql_settings(spark, SMALL_SPLITS):
        assert run_spark(dumps, tmp_path / "out", *options, read="lines") == 0
    assert dialogue_rows(tmp_path / "out") == dialogue_rows(local)
    assert counts_of(tmp_path / "out") == counts_of(local)
    pieces = [path.name for path in (tmp_path / "out" / "rejects").glob("read-RC_2014-11*")]
    assert len(pieces) > 3, "one task has read the whole file"


def test_lines_of_archives_that_spark_cannot_read_are_refused(spark: Any, tmp_path: Path) -> None:
    write_damaged_months(tmp_path / "dumps")
    with pytest.raises(UserError, match=r"RC_2015-04.zst: .* --spark.read archives"):
        run_spark(tmp_path / "dumps", tmp_path / "out", read="lines")


@pytest.mark.parametrize("ids", ["strings", "numbers"])
def test_parquet_gives_the_dialogues_of_the_dumps(
    ids: str, spark: Any, whole: tuple[Path, Path], tmp_path: Path
) -> None:
    from data_prep.spark.session import sql_settings

    dumps, local = whole
    comments = parsed_months(dumps)
    write_comments(tmp_path / "tables", comments, as_numbers=ids == "numbers")
    threads = [base36(thread) for thread in range(0, 23, 2)]
    pq.write_table(
        pa.table({"id": threads, "month": ["2014-11"] * len(threads)}),
        folder(tmp_path / "tables/submissions") / "a.parquet",
    )
    with sql_settings(spark, SMALL_SPLITS):
        assert run_spark(tmp_path / "tables", tmp_path / "out", *OPTIONS, read="parquet") == 0
    assert dialogue_rows(tmp_path / "out") == dialogue_rows(local)
    counts, expected = counts_of(tmp_path / "out"), counts_of(local)
    assert without_lines(counts) == without_lines(expected)
    assert counts["total"]["comments_dropped.missing_body"] == 2


def write_comments(
    place: Path, months: dict[str, list[dict[str, Any]]], *, as_numbers: bool
) -> None:
    """The comments as Parquet: a folder for each month, or one file in which the last comes first.

    Row groups are small, so that there is more than one.
    """
    if not as_numbers:
        for month, records in months.items():
            write_table(place / "comments" / f"month={month}" / "a.parquet", records)
        return
    rows = [
        with_numbers(record, month)
        for month, records in reversed(months.items())
        for record in records
    ]
    write_table(place / "comments" / "all.parquet", rows)


def with_numbers(record: dict[str, Any], month: str) -> dict[str, Any]:
    parent = record["parent_id"]
    return {
        **record,
        "id": int(record["id"], 36),
        "link_id": int(record["link_id"].removeprefix("t3_"), 36),
        "parent_id": int(parent[3:], 36) if parent.startswith("t1_") else -1,
        "month": int(month.replace("-", "")),
    }


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    names = {name: None for row in rows for name in row}
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    pq.write_table(table, folder(path.parent) / path.name, row_group_size=50)


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def without_lines(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The counts without what only lines can have, or only all lines together."""
    of_lines = ("read", "malformed_json", "not_an_object", "missing", "unusable")
    return {
        month: {name: n for name, n in numbers.items() if not any(w in name for w in of_lines)}
        for month, numbers in counts.items()
    }


def test_a_place_that_python_cannot_open_gets_the_rows_and_counts_of_a_folder(
    spark: Any, mounted: Path, tmp_path: Path
) -> None:
    """viewfs: is known to Spark alone; the files are looked at behind its back."""
    write_damaged_months(mounted / "dumps")
    options = (*OPTIONS, "--num_partitions", "4", "--keep_rejects")
    assert run_extract(mounted / "dumps", tmp_path / "local", *options) == 3
    assert run_spark("viewfs://tests/data/dumps", "viewfs://tests/data/out", *options) == 3
    out = mounted / "out"
    assert dialogue_rows(out) == dialogue_rows(tmp_path / "local")
    for name in ("counts.json", "examples.json", "frequent_trigrams.tsv", "testset/multiref.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "local" / name).read_bytes(), name
    rejects = [pq.read_table(place / "rejects").num_rows for place in (out, tmp_path / "local")]
    assert rejects[0] == rejects[1] > 0
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert all((out / path).is_file() for path in manifest["files"])


def test_no_result_of_an_earlier_run_stays_in_a_place_that_python_cannot_open(
    spark: Any, mounted: Path, whole: tuple[Path, Path], tmp_path: Path
) -> None:
    dumps, _ = whole
    place, out = "viewfs://tests/data/again", mounted / "again"
    assert run_spark(dumps, place, *OPTIONS, "--num_partitions", "2", "--keep_rejects") == 0
    assert (out / "testset" / "multiref.jsonl").is_file()
    assert (out / "rejects").is_dir()
    (out / "purged_ids.txt").touch()  # no result
    fewer = ["--num_partitions", "2", "--multiref.min_responses", "0"]
    assert run_spark(dumps, place, *OPTIONS, *fewer) == 0
    assert run_extract(dumps, tmp_path / "local", *OPTIONS, *fewer) == 0
    expected = json.loads((tmp_path / "local" / "manifest.json").read_bytes())["results"]
    assert json.loads((out / "manifest.json").read_bytes())["results"] == expected
    others = {"work", "extract.yaml", "purged_ids.txt"}
    assert {path.name for path in out.iterdir() if path.suffix != ".crc"} == {*expected, *others}


def test_the_search_for_duplicates_drops_the_same_dialogues(
    spark: Any, whole: tuple[Path, Path], tmp_path: Path
) -> None:
    dumps, _ = whole
    options = (*OPTIONS, "--num_partitions", "4", "--filters.bland_share", "0")
    options += ("--duplicates.drop", "near")
    options += ("--duplicates.of", "response", "--duplicates.min_words", "5")
    assert run_extract(dumps, tmp_path / "local", *options) == 0
    assert run_spark(dumps, tmp_path / "out", *options) == 0
    assert dialogue_rows(tmp_path / "out") == dialogue_rows(tmp_path / "local")
    assert counts_of(tmp_path / "out") == counts_of(tmp_path / "local")
    assert counts_of(tmp_path / "out")["total"]["paths_dropped.duplicate"] > 0


def test_another_threshold_leaves_what_was_read_and_built(
    spark: Any, whole: tuple[Path, Path], tmp_path: Path
) -> None:
    dumps, _ = whole
    options = (*OPTIONS, "--num_partitions", "2")
    assert run_spark(dumps, tmp_path / "out", *options) == 0
    built = sorted((tmp_path / "out" / "work" / "spark" / "built").rglob("*.parquet"))
    times = [path.stat().st_mtime_ns for path in built]
    assert run_spark(dumps, tmp_path / "out", *options) == 0  # nothing to do
    changed = (*options, "--filters.bland_share", "0.9")
    assert run_spark(dumps, tmp_path / "out", *changed) == 0
    assert run_extract(dumps, tmp_path / "local", *changed) == 0
    assert dialogue_rows(tmp_path / "out") == dialogue_rows(tmp_path / "local")
    gone = dialogue_rows(tmp_path / "out")["train"][0]
    for output in (tmp_path / "out", tmp_path / "local"):
        (output / "purged_ids.txt").write_text(f"{gone['turn_ids'][0]}\nt3_3\n")
    assert run_spark(dumps, tmp_path / "out", *changed) == 0
    assert run_extract(dumps, tmp_path / "local", *changed) == 0
    assert dialogue_rows(tmp_path / "out") == dialogue_rows(tmp_path / "local")
    assert gone not in dialogue_rows(tmp_path / "out")["train"]
    assert [path.stat().st_mtime_ns for path in built] == times
    # The local engine takes the results for its own.
    assert run_extract(dumps, tmp_path / "out", *changed) == 0
    assert not (tmp_path / "out" / "work" / "spills").exists()
