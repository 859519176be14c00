"""The index against a comparison of all pairs."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.contamination.similar_texts import SimilarityIndex
from data_prep.shingles import ShingleSets, bounds_of


def as_sets(sets: list[list[int]]) -> ShingleSets:
    # Spread over 64 bits, as hashes are.
    flat = [value * 0x9E3779B97F4A7C15 % 2**64 for elements in sets for value in elements]
    return ShingleSets(bounds_of(np.array([*map(len, sets)], int)), np.array(flat, np.uint64))


def all_pairs(
    known: list[list[int]], others: list[list[int]], least: float
) -> list[tuple[int, int, float]]:
    pairs = []
    for i, other in enumerate(others):
        for j, text in enumerate(known):
            similarity = len({*other} & {*text}) / len({*other} | {*text})
            if similarity >= least:
                pairs.append((i, j, similarity))
    return pairs


many_sets = st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=14), max_size=8)


@given(many_sets, many_sets, st.sampled_from([0.1, 0.5, 0.55, 0.7, 0.8, 0.9, 1.0]))
def test_every_similar_pair_is_found_and_no_other(
    known: list[list[int]], others: list[list[int]], least: float
) -> None:
    found = SimilarityIndex.of(as_sets(known), least).search(as_sets(others))
    assert sorted(found.pairs()) == all_pairs(known, others, least)


@pytest.mark.parametrize("least", [0.3, 0.55, 0.7, 0.8])
def test_what_has_as_few_of_the_rare_elements_as_possible_is_found(least: float) -> None:
    for size in range(1, 120):
        index = SimilarityIndex.of(as_sets([[*range(size)]]), least)
        hashes = as_sets([[*range(size)]]).hashes
        common_first = hashes[np.argsort(np.isin(hashes, index.keys), kind="stable")]
        num_needed = next(number for number in range(size + 1) if number / size >= least)
        other = ShingleSets(np.array([0, num_needed]), common_first[:num_needed])
        assert len(index.search(other).similarity) == 1


@pytest.mark.parametrize("least", [0.3, 0.8])
def test_of_many_sets_every_similar_pair_is_found(least: float) -> None:
    rng = random.Random(4)
    known = [rng.sample(range(200), rng.randint(1, 30)) for _ in range(300)]
    others = [
        [value for value in rng.choice(known) if rng.random() < 0.95] or [1] for _ in range(300)
    ]
    found = SimilarityIndex.of(as_sets(known), least).search(as_sets(others))
    expected = all_pairs(known, others, least)
    assert len(expected) > 200
    assert sorted(found.pairs()) == expected
