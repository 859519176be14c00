"""What is dropped can be looked at: all of it, or a few examples."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support_dumps import REAL_DUMPS, comment, counts_of, needs_real_dumps, run_extract

from data_prep.rejects import EXAMPLES_PER_REASON, REJECT_SCHEMA, SHOWN_TURNS

GOOD = "And so what do you think of that?"


def written(output: Path) -> list[dict[str, Any]]:
    files = sorted((output / "rejects").glob("*.parquet"))
    tables = [pq.read_table(path) for path in files]
    assert all(table.schema.equals(REJECT_SCHEMA) for table in tables)
    return [row for table in tables for row in table.to_pylist()]


def odd_dump(folder: Path) -> Path:
    folder.mkdir()
    records = [
        comment("a", body=GOOD),
        comment("b", "t1_a", body="It is http://x.org/ for me"),
        comment("c", "t1_a", body="no no no, that is it"),
        comment("d", "t1_a", body="[deleted]"),
        comment("e", "t1_a", body="I see. The word is kys, and that is it"),
        comment("f", body=GOOD),
        comment("g", body=GOOD, subreddit="gore"),
        *(comment(f"x{n}", f"t1_x{n - 1}" if n else "t3_t", body=GOOD) for n in range(60)),
    ]
    lines = [json.dumps(record) for record in records]
    (folder / "RC_2015-01").write_text("\n".join([*lines, '{"id": "z"}', "rubbish"]) + "\n")
    return folder


def test_every_drop_is_written_once_with_its_reason(tmp_path: Path) -> None:
    dumps = odd_dump(tmp_path / "dumps")
    assert run_extract(dumps, tmp_path / "out", "--keep-rejects") == 0
    rows = written(tmp_path / "out")
    counts = counts_of(tmp_path / "out")["total"]
    dropped = {
        name.split(".")[1]: number
        for name, number in counts.items()
        if name.startswith(("comments_dropped.", "paths_dropped."))
    }
    assert Counter(row["reason"] for row in rows) == dropped
    assert len(dropped) == 9
    by_reason = {row["reason"]: row for row in rows}
    assert by_reason["malformed_json"]["turns"] == ["rubbish"]
    assert by_reason["malformed_json"]["detail"] == "RC_2015-01:69"
    assert by_reason["removed"]["turn_ids"] == ["t1_d"]
    assert by_reason["removed"]["kind"] == "comment"
    assert by_reason["url"]["turns"] == [GOOD, "It is http://x.org/ for me"]
    assert by_reason["word_run"]["turn_ids"] == ["t1_a", "t1_c"]
    assert by_reason["excluded_subreddit"]["subreddit"] == "gore"
    assert by_reason["too_few_turns"]["thread_id"] == "t3_t"
    long = by_reason["too_long"]
    assert (len(long["turns"]), long["num_turns"]) == (SHOWN_TURNS, 60)
    assert long["turn_ids"][-1] == "t1_x59"


def test_without_the_wish_examples_alone_are_kept(tmp_path: Path) -> None:
    dumps = odd_dump(tmp_path / "dumps")
    assert run_extract(dumps, tmp_path / "out") == 0
    assert not (tmp_path / "out" / "rejects").exists()
    examples = json.loads((tmp_path / "out" / "examples.json").read_bytes())
    assert run_extract(dumps, tmp_path / "all", "--keep-rejects") == 0
    rows = {json.dumps([row["reason"], row["turns"]]) for row in written(tmp_path / "all")}
    dropped = [e for e in examples if e["reason"] != "kept"]
    assert {json.dumps([e["reason"], e["turns"]]) for e in dropped} == rows
    assert examples == json.loads((tmp_path / "all" / "examples.json").read_bytes())


@needs_real_dumps
@pytest.mark.real_data
@pytest.mark.parametrize("num_partitions", ["1", "5"])
def test_examples_are_few_and_the_same_for_any_partitions(
    num_partitions: str, tmp_path: Path
) -> None:
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps" / "RC_2006-02.bz2").symlink_to(REAL_DUMPS / "RC_2006-02.bz2")
    for name, partitions in (("one", num_partitions), ("other", "3")):
        options = ("--num_partitions", partitions, "--keep-rejects")
        assert run_extract(tmp_path / "dumps", tmp_path / name, *options) == 0
    examples = [
        json.loads((tmp_path / name / "examples.json").read_bytes()) for name in ("one", "other")
    ]
    assert examples[0] == examples[1]
    numbers = Counter(example["reason"] for example in examples[0])
    assert max(numbers.values()) == EXAMPLES_PER_REASON
    assert {"kept", "removed", "too_few_turns", "url"} <= {*numbers}
    keys = {json.dumps(row, sort_keys=True) for row in written(tmp_path / "one")}
    assert keys == {json.dumps(row, sort_keys=True) for row in written(tmp_path / "other")}
