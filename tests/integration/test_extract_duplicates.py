"""Duplicates through the whole command: off by default, counted, shown, and redone for less."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support_dumps import (
    NO_FILTERS,
    comment,
    counts_of,
    results_of,
    run_extract,
    turn_ids_of,
    write_dump,
)

from data_prep.presets import PRESETS

QUESTION = "What do you think of the long and winding road that leads to her door?"
ANSWER = "I think that it is the best of all the songs that they have ever made in their time."
NEAR = ANSWER.replace("songs", "tunes") + " And it always was, I am sure, and so it will be again."
FAR = "It is too slow for me, and the strings that were added later do nothing to make it better."


def thread(name: str, question: str, answer: str, **values: Any) -> list[dict[str, Any]]:
    link = f"t3_{name}"
    return [
        comment(f"{name}q", link_id=link, parent_id=link, body=question, **values),
        comment(f"{name}a", f"t1_{name}q", link_id=link, body=answer, **values),
    ]


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    records = [
        *thread("a", QUESTION, ANSWER + " And it always was, I am sure, and so it will be."),
        *thread("b", QUESTION.upper(), ANSWER + " And it always was I am sure and so it will be!"),
        *thread("c", QUESTION, NEAR.replace("tunes", "songs")),
        *thread("d", QUESTION, FAR),
        *thread("e", QUESTION, FAR),
    ]
    for number, record in enumerate(records):
        record["created_utc"] = 1_420_000_000 + number
    write_dump(tmp_path / "dumps", records)
    return tmp_path / "dumps"


@pytest.mark.parametrize(
    ("drop", "left", "counts"),
    [
        ("none", "abcde", {}),
        ("exact", "acd", {"duplicate": 2}),
        ("near", "ad", {"duplicate": 2, "near_duplicate": 1}),
    ],
)
def test_the_first_of_what_says_the_same_stays(
    drop: str, left: str, counts: dict[str, int], dumps: Path, tmp_path: Path
) -> None:
    for partitions in ("1", "4"):
        output = tmp_path / f"out{partitions}"
        options = (*NO_FILTERS, "--duplicates.drop", drop, "--num_partitions", partitions)
        assert run_extract(dumps, output, *options, "--keep-rejects") == 0
        assert turn_ids_of(output) == [f"{name}q {name}a" for name in left]
        total = counts_of(output)["total"]
        assert {
            reason: total[f"paths_dropped.{reason}"]
            for reason in ("duplicate", "near_duplicate")
            if f"paths_dropped.{reason}" in total
        } == counts
        files = (output / "rejects").glob("finish-*.parquet")
        rows = [row for path in files for row in pq.read_table(path).to_pylist()]
        details = {row["turn_ids"][-1]: row["detail"] for row in rows}
        if drop == "near":
            assert details["t1_ba"] == "like t1_aa of t3_a: 1"
            assert details["t1_ea"] == "like t1_da of t3_d: 1"
            assert details["t1_ca"].startswith("like t1_aa of t3_a: 0.")


def test_another_threshold_neither_reads_nor_builds_again(
    dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*NO_FILTERS, "--num_partitions", "2")
    assert run_extract(dumps, tmp_path / "out", *options) == 0

    def fail(*_: Any) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr("data_prep.extract_run.read_dump", fail)
    monkeypatch.setitem(PRESETS, "paper", replace(PRESETS["paper"], build=fail))
    monkeypatch.setattr("data_prep.trigram_stages.merge_bucket", fail)
    near = (*options, "--duplicates.drop", "near")
    assert run_extract(dumps, tmp_path / "out", *near) == 0
    monkeypatch.undo()
    assert run_extract(dumps, tmp_path / "fresh", *near) == 0
    assert results_of(tmp_path / "out") == results_of(tmp_path / "fresh")


def test_nothing_goes_for_the_sake_of_what_is_dropped_anyway(dumps: Path, tmp_path: Path) -> None:
    options = (*NO_FILTERS, "--duplicates.drop", "exact")
    assert run_extract(dumps, tmp_path / "out", *options) == 0
    (tmp_path / "out" / "purged_ids.txt").write_text("t1_aq\n")
    assert run_extract(dumps, tmp_path / "out", *options) == 0
    assert turn_ids_of(tmp_path / "out") == ["bq ba", "cq ca", "dq da"]
