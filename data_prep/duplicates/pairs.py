"""Pairs of dialogues that share a key."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from data_prep.shingles import HashArray

MAX_COMPARED = 16
"""Where more dialogues than this and one share a key, each is compared with so many of them, the
most preferred ones: of a bot's million comments every one with the others would be too much."""

PAIRS_AT_ONCE = 1_000_000
"""Pairs that are made before they are handed on, at most, but for those of a single group."""

_CUT_SIZE = MAX_COMPARED + 2


def shared_keys(keys: HashArray, places: HashArray) -> tuple[HashArray, HashArray]:
    """The keys that several places have, ascending, and their places, ascending under each key.

    Args:
        keys: (n,)
        places: (n,)
    """
    order = np.lexsort((places, keys))
    keys, places = keys[order], places[order]
    same_as_next = np.zeros(len(keys) + 1, np.bool_)
    same_as_next[1:-1] = keys[1:] == keys[:-1]
    is_shared = same_as_next[1:] | same_as_next[:-1]
    return keys[is_shared], places[is_shared]


def group_sizes(keys: HashArray) -> NDArray[np.int64]:
    """How many places each different key has.

    Args:
        keys: as `shared_keys` gives them.
    """
    return np.unique(keys, return_counts=True)[1]


def num_cut_groups(keys: HashArray) -> int:
    """How many keys have too many places for all pairs."""
    return int(np.count_nonzero(group_sizes(keys) >= _CUT_SIZE))


def pairs_under_keys(
    keys: HashArray, places: HashArray, in_preference: Callable[[HashArray], HashArray]
) -> Iterator[NDArray[np.uint64]]:
    """All pairs of places under one key, (m, 2) at a time; under keys that many have only some.

    A pair that shares several keys comes as often. The smaller place stands first; where many share
    a key, it is the less preferred one, so that the pairs of a bot's comments are not all with the
    partition of its first comment.

    Args:
        keys: (n,) as `shared_keys` gives them.
        places: (n,)
        in_preference: puts places in the order in which dialogues are preferred.
    """
    sizes = group_sizes(keys)
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes < _CUT_SIZE]).tolist():
        left, right = np.triu_indices(size, 1)
        of_size = starts[sizes == size]
        groups_at_once = max(1, PAIRS_AT_ONCE // len(left))
        for start in range(0, len(of_size), groups_at_once):
            first = of_size[start : start + groups_at_once]
            groups = places[first[:, None] + np.arange(size)]
            yield np.stack([groups[:, left].ravel(), groups[:, right].ravel()], axis=1)
    for number in np.flatnonzero(sizes >= _CUT_SIZE).tolist():
        start = int(starts[number])
        yield from _cut_pairs(in_preference(places[start : start + int(sizes[number])]))


def _cut_pairs(group: HashArray) -> Iterator[NDArray[np.uint64]]:
    """Each of a group with the most preferred ones before it."""
    preferred, rest = group[:MAX_COMPARED], group[MAX_COMPARED:]
    left, right = np.triu_indices(MAX_COMPARED, 1)
    yield np.stack([preferred[right], preferred[left]], axis=1)
    rows_at_once = PAIRS_AT_ONCE // MAX_COMPARED
    for start in range(0, len(rest), rows_at_once):
        rows = rest[start : start + rows_at_once]
        yield np.stack([np.repeat(rows, MAX_COMPARED), np.tile(preferred, len(rows))], axis=1)
