"""Pairs under keys against itertools."""

import random
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from data_prep.duplicates import pairs as pair_search
from data_prep.duplicates.pairs import (
    MAX_COMPARED,
    num_cut_groups,
    pairs_under_keys,
    shared_keys,
)
from data_prep.shingles import HashArray


def descending(places: HashArray) -> HashArray:
    return np.sort(places)[::-1]


def never(_: HashArray) -> HashArray:
    raise AssertionError("the groups are small")


def pairs_of(keys: HashArray, places: HashArray, in_preference: Any) -> list[tuple[int, int]]:
    pieces = list(pairs_under_keys(*shared_keys(keys, places), in_preference))
    return [(int(first), int(second)) for piece in pieces for first, second in piece]


@pytest.mark.parametrize("pairs_at_once", [1, 7, 10**6])
def test_all_places_under_a_key_are_paired_and_no_others(
    pairs_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_search, "PAIRS_AT_ONCE", pairs_at_once)
    rng = random.Random(0)
    sizes = [1, 2, 5, 3, 2]
    groups = {key * 10**18: rng.sample(range(10**6), size) for key, size in enumerate(sizes)}
    groups[2**64 - 1] = [7, 8, 32]
    groups[4] = [*range(1000, 1001 + MAX_COMPARED)]  # as many as may be
    entries = [(key, place) for key, group in groups.items() for place in group]
    rng.shuffle(entries)
    keys, places = np.array(entries, np.uint64).T
    expected = [pair for group in groups.values() for pair in combinations(sorted(group), 2)]
    assert sorted(pairs_of(keys, places, never)) == sorted(expected)
    assert num_cut_groups(shared_keys(keys, places)[0]) == 0


@pytest.mark.parametrize("pairs_at_once", [MAX_COMPARED, 3 * MAX_COMPARED, 10**6])
@pytest.mark.parametrize("size", [MAX_COMPARED + 2, 100])
def test_of_too_many_each_is_paired_with_the_most_preferred(
    size: int, pairs_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_search, "PAIRS_AT_ONCE", pairs_at_once)
    keys, places = np.full(size + 2, 5, np.uint64), np.arange(size + 2, dtype=np.uint64)
    keys[-2:] = 6
    # Descending places are preferred here, so that the less preferred one is the smaller one.
    preferred = range(size - 1, size - 1 - MAX_COMPARED, -1)
    expected = [pair for pair in combinations(range(size), 2) if pair[1] in preferred]
    expected.append((size, size + 1))
    assert sorted(pairs_of(keys, places, descending)) == expected
    assert num_cut_groups(keys) == 1


def test_keys_of_one_place_are_left_out() -> None:
    keys = np.array([3, 1, 2, 1, 0, 3, 3], np.uint64)
    places = np.array([9, 8, 7, 6, 5, 4, 3], np.uint64)
    shared, theirs = shared_keys(keys, places)
    assert shared.tolist() == [1, 1, 3, 3, 3]
    assert theirs.tolist() == [6, 8, 3, 4, 9]


def test_no_keys_have_no_pairs() -> None:
    nothing = np.zeros(0, np.uint64)
    assert pairs_of(nothing, nothing, never) == []
    assert num_cut_groups(nothing) == 0
