"""Paths by arrays against paths by recursion, and speakers."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import paths
from data_prep.comments import KeptComments
from data_prep.config import ExtractConfig, FilterConfig, SplitConfig
from data_prep.counts import Tally
from data_prep.filters import FilterSet
from data_prep.ids import base36
from data_prep.paths import Paths, dialogue_tables, root_to_leaf, speaker_numbers
from data_prep.rejects import Rejects
from data_prep.threads import link_parents
from data_prep.trees import Trees, candidate_tables
from data_prep.turns import TurnColumn
from dialogpt.records import UNKNOWN_SPEAKER

NO_FILTERS = FilterConfig(
    urls=False,
    max_word_run=0,
    frequent_words="",
    markup=False,
    max_words=0,
    offensive_phrases="",
    excluded_subreddits="",
)


def kept(parents: list[int], num_words: list[int]) -> KeptComments:
    """Comments 1, 2, ... of one thread; parent 0 is the submission."""
    size = len(parents)
    zeros, no = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    texts = pa.array([" ".join("w" * number) for number in num_words], pa.large_string())
    return KeptComments(
        turns=TurnColumn(texts, no, no, np.zeros(size, np.int8)),
        ids=np.arange(1, size + 1),
        thread_ids=zeros,
        parent_ids=np.array([parent or -1 for parent in parents], dtype=np.int64),
        authors=zeros,
        subreddits=pa.array(["test"] * size, pa.large_string()),
        months=np.full(size, 201501, np.int32),
        created_utc=zeros,
        scores=zeros,
    )


def naive_dialogues(
    parents: list[int], num_words: list[int], *, min_turns: int, max_turns: int, max_words: int
) -> list[list[str]]:
    def path(comment: int) -> list[int]:
        return [*path(parents[comment - 1]), comment] if comment else []

    found = []
    for leaf in sorted(set(range(1, len(parents) + 1)) - set(parents)):
        comments = path(leaf)[-max_turns:]
        words = sum(num_words[comment - 1] for comment in comments)
        if len(comments) >= min_turns and (words <= max_words or not max_words):
            found.append([f"t1_{base36(comment)}" for comment in comments])
    return found


@given(
    st.integers(0, 30), st.randoms(use_true_random=False), st.integers(1, 3),
    st.sampled_from([0, 3, 4]), st.sampled_from([0, 5, 12, 40]), st.sampled_from([1, 500, 1 << 20]),
)  # fmt: skip
def test_paths_are_those_of_recursion(
    size: int,
    source: random.Random,
    min_turns: int,
    max_turns: int,
    max_words: int,
    slice_bytes: int,
) -> None:
    parents = [source.randint(max(0, row - 4), row) for row in range(size)]
    num_words = [source.randint(1, 9) for _ in parents]
    config = ExtractConfig(
        dumps="", output="", min_turns=min_turns, max_turns=max_turns,
        filters=FilterConfig(max_words=max_words), split=SplitConfig(),
    )  # fmt: skip
    tally = Tally()
    comments = kept(parents, num_words)
    forest = link_parents(comments.thread_ids, comments.ids, comments.parent_ids)
    trees = Trees(comments, forest.parents, np.zeros(size, np.int8))
    filters = FilterSet.from_config(NO_FILTERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_SLICE_BYTES", slice_bytes)
        tables = list(candidate_tables(trees, tally, Rejects(), config=config, filters=filters))
    found = [row["turn_ids"] for table in tables for row in table.to_pylist()]
    limits = {"min_turns": min_turns, "max_turns": max_turns, "max_words": max_words}
    assert found == naive_dialogues(parents, num_words, **limits)
    numbers = tally.by_month().get("2015-01", {})
    dropped = sum(n for name, n in numbers.items() if name.startswith("paths_dropped."))
    assert numbers.get("paths", 0) == len(found) + dropped


def test_no_slice_of_dialogues_holds_much_more_text_than_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "_SLICE_BYTES", 10_000)
    comments = kept([0, *[1] * 500], [50] * 501)
    forest = link_parents(comments.thread_ids, comments.ids, comments.parent_ids)
    tables = list(dialogue_tables(comments, root_to_leaf(forest.parents, max_turns=0)))
    assert sum(table.num_rows for table in tables) == 500
    assert max(sum(len(t) for t in table["turns"].to_pylist()) for table in tables) < 100


def test_the_last_turns_of_paths_sum_up_to_what_they_hold() -> None:
    parents = np.array([6, 0, 1, 2, 1, 4])
    values = np.array([1, 10, 100, 1000, 10_000, 100_000])
    whole = root_to_leaf(parents, max_turns=0)
    assert whole.leaf_rows.tolist() == [3, 5]
    assert whole.sums(values).tolist() == [1111, 110_011]
    assert whole.last(2).sums(values).tolist() == [1100, 110_000]
    assert whole.last(9).sums(values).tolist() == [1111, 110_011]
    rows, offsets = Paths(parents, np.array([3, 0, 4]), np.array([3, 1, 3])).comment_rows()
    assert rows.tolist() == [1, 2, 3, 0, 0, 1, 4]
    assert offsets.tolist() == [0, 3, 4, 7]


@given(st.lists(st.lists(st.integers(-1, 4), max_size=9), max_size=6))
def test_speakers_are_numbered_as_they_come(authors_of_paths: list[list[int]]) -> None:
    expected = []
    for authors in authors_of_paths:
        voices: dict[int, int] = {}
        expected += [
            UNKNOWN_SPEAKER if author < 0 else voices.setdefault(author, len(voices))
            for author in authors
        ]
    offsets = np.cumsum([0, *map(len, authors_of_paths)])
    flat = np.array([a for authors in authors_of_paths for a in authors], np.int64)
    assert speaker_numbers(flat, offsets).tolist() == expected


def test_voices_beyond_what_fits_a_byte_are_unknown() -> None:
    authors = np.array([*range(130), 3, 129, 7, 7])
    speakers = speaker_numbers(authors, np.array([0, 132, 134])).tolist()
    assert speakers == [*range(128), -1, -1, 3, -1, 0, 0]
    assert all(a <= b for a, b in pairwise(speakers[:128]))
