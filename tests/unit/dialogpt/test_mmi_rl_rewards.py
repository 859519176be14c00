"""Copying, diversity and advantages, on examples small enough to count by hand."""

import numpy as np
import pytest

from dialogpt.copying import copied_share
from dialogpt.mmi_rl.rewards import advantages, distinct_ngrams


@pytest.mark.parametrize(
    ("reply", "turns", "n", "expected"),
    [
        ([1, 2, 3], [[1, 2, 3]], 2, 1.0),  # parroting
        ([2, 3, 1, 2], [[1, 2, 3]], 2, 2 / 3),  # 2 3 and 1 2 of three
        ([1, 2, 1, 2, 9], [[1, 2]], 2, 2 / 4),  # each place counts
        ([2, 3], [[1, 2], [3, 4]], 2, 0.0),  # not over the end of a turn
        ([2, 3], [[1, 2], [3, 4]], 1, 1.0),
        ([3, 4], [[1, 2], [3, 4]], 2, 1.0),  # any turn
        ([4], [[3, 4]], 2, 1.0),  # shorter than n: an n-gram of its own length
        ([5], [[3, 4]], 2, 0.0),
        ([], [[3, 4]], 2, 0.0),
        ([7, 8, 9], [[7], []], 2, 0.0),
    ],
)
def test_the_copied_share_is_counted_by_hand(reply, turns, n, expected):
    assert copied_share(reply, turns, n) == pytest.approx(expected)


def test_dist_n_counts_over_all_replies_and_never_across_two():
    assert distinct_ngrams([[1, 2, 3], [1, 2], [3, 1]], 2) == (3, 4)
    assert distinct_ngrams([[1, 2, 3], [1, 2], [3, 1]], 1) == (3, 7)
    assert distinct_ngrams([[1], []], 2) == (0, 0)


def test_an_advantage_is_the_distance_from_the_average_of_the_others():
    objectives = np.random.default_rng(0).normal(size=(5, 4))
    found = advantages(objectives)
    for context, row in enumerate(objectives):
        for sample, value in enumerate(row):
            others = np.delete(row, sample)
            assert found[context, sample] == pytest.approx(value - others.mean())
