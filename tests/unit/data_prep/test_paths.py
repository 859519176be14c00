"""Paths by arrays against paths by recursion, and speakers."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.comments import KeptComments
from data_prep.config import ExtractConfig, FilterConfig, SplitConfig
from data_prep.counts import Tally
from data_prep.filters import FilterSet
from data_prep.ids import base36
from data_prep.normalize import TurnText
from data_prep.paths import dialogue_rows, speaker_numbers

NO_FILTERS = FilterConfig(
    urls=False,
    max_word_run=0,
    frequent_words=False,
    markup=False,
    max_words=0,
    offensive_phrases="",
    excluded_subreddits="",
)


def kept(parents: list[int], num_words: list[int]) -> KeptComments:
    """Comments 1, 2, ... of one thread; parent 0 is the submission."""
    size = len(parents)
    zeros = np.zeros(size, np.int64)
    return KeptComments(
        turns=[TurnText(" ".join("w" * n), False, False, None) for n in num_words],
        ids=np.arange(1, size + 1),
        thread_ids=zeros,
        parent_ids=np.array([parent or -1 for parent in parents], dtype=np.int64),
        authors=zeros,
        subreddits=zeros,
        subreddit_names=["test"],
        months=np.full(size, 201501, np.int32),
        created_utc=zeros,
        scores=np.zeros(size, np.int32),
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


@settings(deadline=None)
@given(
    st.integers(0, 30), st.randoms(use_true_random=False), st.integers(1, 3),
    st.sampled_from([0, 3, 4]), st.sampled_from([0, 5, 12, 40]),
)  # fmt: skip
def test_paths_are_those_of_recursion(
    size: int, source: random.Random, min_turns: int, max_turns: int, max_words: int
) -> None:
    parents = [source.randint(max(0, row - 4), row) for row in range(size)]
    num_words = [source.randint(1, 9) for _ in parents]
    config = ExtractConfig(
        dumps="", output="", min_turns=min_turns, max_turns=max_turns,
        filters=FilterConfig(max_words=max_words), split=SplitConfig(),
    )  # fmt: skip
    tally = Tally()
    filters = FilterSet.from_config(NO_FILTERS)
    rows = dialogue_rows(kept(parents, num_words), tally, config=config, filters=filters)
    found = [row["turn_ids"] for _, row in rows]
    limits = {"min_turns": min_turns, "max_turns": max_turns, "max_words": max_words}
    assert found == naive_dialogues(parents, num_words, **limits)
    numbers = tally.by_month().get("2015-01", {})
    dropped = sum(n for name, n in numbers.items() if name.startswith("paths_dropped."))
    assert numbers.get("paths", 0) == len(found) + dropped


@pytest.mark.parametrize(
    ("authors", "speakers"),
    [
        ([], []),
        ([5, 5, 3, 5], [0, 0, 1, 0]),
        ([-1, 7, -1, 7], [-1, 0, -1, 0]),
        (list(range(130)), [*range(128), -1, -1]),
        ([*range(130), 3, 129], [*range(128), -1, -1, 3, -1]),
    ],
)
def test_speakers_are_numbered_as_they_come(authors: list[int], speakers: list[int]) -> None:
    assert speaker_numbers(authors) == speakers
