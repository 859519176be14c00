"""Trigrams counted in pieces against trigrams counted in one go; what makes a response bland."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_dumps import NO_FILTERS, all_dialogues, comment, counts_of, run_extract, write_dump

from data_prep.blandness import (
    RUN_SCHEMA,
    MergeTask,
    frequent_trigrams,
    is_bland,
    join_buckets,
    last_turns,
    merge_bucket,
    read_frequent,
    write_trigram_counts,
)
from data_prep.blocklists import words_of
from data_prep.dialogues import table_of

RESPONSES = st.lists(
    st.lists(st.sampled_from(["I", "i", "don't", "know", "é", "so,"]), max_size=7).map(" ".join),
    max_size=12,
)


def dialogues(responses: list[str]) -> pa.Table:
    return table_of(
        [
            {
                "turns": ["i don't know this", response],
                "speakers": [0, 1],
                "turn_ids": ["t1_a", f"t1_{number}"],
                "thread_id": "t3_x",
                "subreddit": "s",
                "month": "2015-01",
                "created_utc": 0,
                "score": 1,
            }
            for number, response in enumerate(responses)
        ]
    )


def trigrams(response: str) -> list[str]:
    words = words_of(response)
    return [" ".join(three) for three in zip(words, words[1:], words[2:], strict=False)]


@given(st.lists(RESPONSES, min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 5))
def test_counts_of_parts_and_buckets_add_up_to_those_of_the_corpus(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[str]],
    min_count: int,
    num_buckets: int,
) -> None:
    folder = tmp_path_factory.mktemp("trigrams")
    runs = []
    for number, responses in enumerate(parts):
        runs.append(folder / f"part-{number}.arrow")
        half = len(responses) // 2
        tables = [dialogues(responses[:half]), dialogues(responses[half:])]
        write_trigram_counts(tables, runs[-1], num_buckets=num_buckets)
    files = []
    for bucket in range(num_buckets):
        files.append(folder / f"frequent-{bucket}.parquet")
        task = MergeTask(bucket=bucket, runs=tuple(runs), output=files[-1], min_count=min_count)
        merge_bucket(task, lambda _: None)
    join_buckets(files, folder / "frequent.parquet")
    found = read_frequent(folder / "frequent.parquet")
    corpus = Counter(t for responses in parts for text in responses for t in trigrams(text))
    expected = {trigram: count for trigram, count in corpus.items() if count > min_count}
    assert dict(zip(*found.to_pydict().values(), strict=True)) == expected


@given(RESPONSES, st.sampled_from([0.3, 0.5, 0.9, 1.0]))
def test_a_response_is_bland_by_the_share_of_its_trigrams(
    responses: list[str], min_share: float
) -> None:
    frequent = ["i don't know", "know know know", "so i don't"]
    found = is_bland(
        pa.array(responses, pa.large_string()), pa.array(frequent), min_share=min_share
    )
    for response, bland in zip(responses, found, strict=True):
        hits = [trigram in frequent for trigram in trigrams(response)]
        assert bland == (len(hits) > 0 and sum(hits) / len(hits) >= min_share)


def test_nine_of_ten_are_ninety_percent() -> None:
    words = ["a"] * 11 + ["b"]  # ten trigrams, of which the last is another one
    found = is_bland(
        pa.array([" ".join(words), " ".join(words[1:])], pa.large_string()),
        pa.array(["a a a"]),
        min_share=0.9,
    )
    assert found.tolist() == [True, False]


def test_nothing_is_bland_where_nothing_is_frequent() -> None:
    responses = pa.array(["i don't know", ""], pa.large_string())
    empty = pa.array([], pa.large_string())
    assert not is_bland(responses, empty, min_share=0.9).any()


def test_the_last_turns_of_a_slice_are_its_own() -> None:
    table = dialogues(["one", "two", "three"])
    assert last_turns(table.slice(1, 2)).to_pylist() == ["two", "three"]


def test_the_count_must_be_exceeded_and_is_that_of_all_months(tmp_path: Path) -> None:
    """Three months say "so it goes" two times each, and one of them "as you like" two times."""
    for month in range(3):
        records = []
        for row in range(2):
            name = f"m{month}r{row}"
            records += [comment(f"{name}a"), comment(f"{name}b", f"t1_{name}a", body="So it goes!")]
            body = "As you like." if month == 1 else f"Something {month} else {row} entirely"
            records.append(comment(f"{name}c", f"t1_{name}a", body=body))
        write_dump(tmp_path / "dumps", records, f"RC_2015-{month + 1:02d}")
    for count, num_bland in ((6, 0), (5, 6), (2, 6), (1, 8)):
        output = tmp_path / f"out{count}"
        options = (*NO_FILTERS, "--filters.bland_count", str(count))
        assert run_extract(tmp_path / "dumps", output, *options) == 0
        counts = counts_of(output)["total"]
        assert counts.get("paths_dropped.bland", 0) == num_bland
        assert counts["paths"] == 12
        responses = [dialogue.turns[-1] for dialogue in all_dialogues(output)]
        assert len(responses) == 12 - num_bland
        assert ("So it goes!" in responses) == (num_bland == 0)
    lines = (tmp_path / "out2" / "frequent_trigrams.tsv").read_text().splitlines()
    assert lines == ["so it goes\t6"]


def test_switched_off_the_rule_counts_nothing(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", [comment("a"), comment("b", "t1_a")])
    options = (*NO_FILTERS, "--filters.bland_share", "0", "--filters.bland_count", "1")
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *options) == 0
    assert not (tmp_path / "out" / "frequent_trigrams.tsv").exists()
    assert not (tmp_path / "out" / "work" / "trigrams").exists()
    assert np.sum([1 for _ in all_dialogues(tmp_path / "out")]) == 1


def test_trigrams_of_one_checksum_are_told_apart() -> None:
    rows = [("a b c", 3, 7), ("d e f", 3, 7), ("a b c", 2, 7), ("g h i", 9, 1)]
    columns = [pa.array(values) for values in zip(*rows, strict=True)]
    runs = pa.table(columns, names=RUN_SCHEMA.names).cast(RUN_SCHEMA)
    for min_count, expected in ((4, {"a b c": 5, "g h i": 9}), (5, {"g h i": 9}), (9, {})):
        found = frequent_trigrams(runs, min_count=min_count)
        assert dict(zip(*found.to_pydict().values(), strict=True)) == expected
