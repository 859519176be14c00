"""Means of ratings: over judgments, instances (DSTC7) and majority votes (PLATO)."""

import json
from fractions import Fraction
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_judgments import judged_by

from dialogpt.humaneval.judgments import Judgment
from dialogpt.humaneval.rating_means import Rating, RatingDifference, rate, rating_differences
from dialogpt.humaneval.ratings import count_ratings, majority_votes

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "metrics" / "human" / "fleiss.json").read_text(
        encoding="utf-8"
    )
)
RATINGS = (0, 1, 2)


def ratings_of(judgments: list[Judgment], **options: Any) -> list[Rating]:
    options = {"resample": "item", "draws": 500, "seed": 0, **options}
    return rate(count_ratings(judgments, RATINGS), **options)


def differences_of(judgments: list[Judgment], **options: Any) -> list[RatingDifference]:
    options = {"resample": "item", "draws": 500, "seed": 0, **options}
    return rating_differences(count_ratings(judgments, RATINGS), **options)


def test_platos_score_is_the_mean_of_majority_votes_with_a_split_vote_as_1() -> None:
    table = count_ratings(judged_by(GOLDEN["ratings"]), RATINGS)
    votes, without = majority_votes(table.counts[:, 0, 0], RATINGS)
    assert votes.tolist() == GOLDEN["majority"]
    assert without.tolist() == [len(set(row)) == 3 for row in GOLDEN["ratings"]]
    (rating,) = ratings_of(judged_by(GOLDEN["ratings"]))
    assert rating.majority_mean.value == pytest.approx(GOLDEN["final"])
    assert rating.num_without_majority == 1
    assert rating.mean.value == pytest.approx(np.mean(GOLDEN["ratings"]))
    assert rating.counts == tuple(sum(row.count(r) for row in GOLDEN["ratings"]) for r in RATINGS)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_without_a_majority_the_median_is_taken(given_ratings: list[int]) -> None:
    counts = np.bincount(given_ratings, minlength=6)[1:]
    vote, without = majority_votes(counts, (1, 2, 3, 4, 5))
    most = [r for r in set(given_ratings) if given_ratings.count(r) == counts.max()]
    assert bool(without) == (len(most) > 1)
    assert float(vote) == (most[0] if len(most) == 1 else float(np.median(given_ratings)))


def test_nothing_judged_has_no_vote() -> None:
    votes, without = majority_votes(np.array([[0, 0, 0], [0, 0, 1]]), RATINGS)
    assert np.isnan(votes[0])
    assert votes[1] == 2
    assert without.tolist() == [False, False]


def test_instances_count_alike_and_judgments_count_alike() -> None:
    (rating,) = ratings_of(judged_by([[2, 2, 2], [0]]))
    assert rating.mean.value == 1.5
    assert rating.instance_mean.value == 1.0
    assert (rating.num_judgments, rating.num_instances) == (4, 2)
    # Contexts are drawn whole: two of one kind give 2 or 0.
    assert (rating.mean.low, rating.mean.high) == (0.0, 2.0)


def test_instances_are_drawn_and_not_judgments_unless_asked() -> None:
    """DSTC7's intervals are of instance means: wider where an instance's judges agree."""
    rng = np.random.default_rng(0)
    votes = [[int(r)] * 3 for r in rng.integers(0, 3, 120)]
    (by_item,) = ratings_of(judged_by(votes), draws=10_000)
    (by_judgment,) = ratings_of(judged_by(votes), draws=10_000, resample="judgment")
    spread = float(np.std(votes)) / sqrt(120)
    assert by_item.instance_mean.standard_error == pytest.approx(spread, rel=0.03)
    assert by_item.mean.standard_error == pytest.approx(spread, rel=0.03)
    assert by_judgment.mean.standard_error == pytest.approx(spread / sqrt(3), rel=0.03)
    assert by_judgment.mean.value == by_item.mean.value
    assert by_judgment.instance_mean == by_item.instance_mean


def test_a_difference_is_paired_by_context() -> None:
    easy_and_hard = [[0, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 1]] * 5
    better = [[r + 1 for r in row] for row in easy_and_hard]
    judgments = judged_by(easy_and_hard) + judged_by(better, systems=("b",))
    (paired,) = differences_of(judgments)
    assert paired.systems == ("a", "b")
    assert paired.mean_difference.value == pytest.approx(-1)
    # Always the same gap: no draw has another one, and 20 signs are all there is to go by.
    assert paired.mean_difference.standard_error is None
    assert paired.mean_difference.p_value == 2 * 0.5**20
    (apart,) = differences_of(judgments, resample="judgment", draws=10_000)
    spread = sqrt(2 * np.var(easy_and_hard) / 60)
    assert apart.mean_difference.value == pytest.approx(-1)
    assert apart.mean_difference.low == pytest.approx(-1 - 1.96 * spread, abs=spread / 4)
    assert apart.mean_difference.high == pytest.approx(-1 + 1.96 * spread, abs=spread / 4)
    assert apart.mean_difference.standard_error == pytest.approx(spread, rel=0.03)


def test_few_ratings_with_the_same_gap_are_few() -> None:
    judgments = judged_by([[2, 2], [2, 2]]) + judged_by([[0, 0], [0, 0]], systems=("b",))
    (paired,) = differences_of(judgments)
    assert (paired.mean_difference.value, paired.mean_difference.p_value) == (2, 0.5)
    (apart,) = differences_of(judgments, resample="judgment", draws=20_000)
    # Two of the 70 ways to deal eight judgments to two systems are as far apart.
    assert apart.mean_difference.p_value == pytest.approx(2 / 70, abs=0.005)
    assert apart.mean_difference.standard_error is None


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(*[st.lists(st.integers(0, 2), min_size=1, max_size=4)] * 2),
        min_size=2,
        max_size=5,
    )
)
def test_p_is_the_share_of_all_ways_to_exchange_the_names(
    rows: list[tuple[list[int], list[int]]],
) -> None:
    judgments = judged_by([one for one, _ in rows])
    judgments += judged_by([two for _, two in rows], systems=("b",))
    (found,) = differences_of(judgments, draws=10)
    gaps = [Fraction(sum(x), len(x)) - Fraction(sum(y), len(y)) for x, y in rows]
    sums = [
        abs(sum(sign * gap for sign, gap in zip(signs, gaps, strict=True)))
        for signs in product((1, -1), repeat=len(gaps))
    ]
    expected = sum(one >= abs(sum(gaps)) for one in sums) / len(sums)
    assert found.mean_difference.p_value == pytest.approx(expected)


def test_only_contexts_of_both_systems_are_compared() -> None:
    judgments = judged_by([[2, 2], [1, 1], [0, 1]])
    judgments += judged_by([[0, 0], [1, 2], [None, None]], systems=("b",))
    (found,) = differences_of(judgments)
    assert found.num_contexts == 2
    between = found.mean_difference
    assert between.value == pytest.approx(((2 - 0) + (1 - 1.5)) / 2)
    # Whichever of the two are drawn, and how often, the mean lies between them.
    assert (between.low, between.high) == (-0.5, 2.0)


def test_systems_that_share_no_context_are_compared_by_judgments_only() -> None:
    judgments = judged_by([[2, 1], [None, None]])
    judgments += judged_by([[None, None], [0, 1]], systems=("b",))
    assert differences_of(judgments) == []
    (found,) = differences_of(judgments, resample="judgment")
    assert found.mean_difference.value == pytest.approx(1.0)


def test_a_draw_without_a_system_is_left_out() -> None:
    judgments = judged_by([[2, 1], [0, 1], [1, 1]])
    judgments += judged_by([[2, 0], [None, None], [1, 2]], systems=("b",))
    rated = {rating.system: rating for rating in ratings_of(judgments, draws=2000)}
    spread = rated["b"].instance_mean
    assert spread.value == 1.25
    assert (spread.low, spread.high) == (1.0, 1.5)
