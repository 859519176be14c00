"""Which of many texts are similar to any of a few: exact, however many there are.

Two sets of Jaccard similarity s have at least s * |A| elements of A in common. So whatever is
similar to A has one of any |A| - ceil(s * |A|) + 1 elements of A (prefix filtering; Chaudhuri,
Ganti and Kaushik 2006, doi:10.1109/ICDE.2006.9). The index holds the rarest ones; only what
has one of them is compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_prep.shingles import (
    HashArray,
    IntArray,
    ShingleSets,
    bounds_of,
    jaccard,
)

_FILTER_BITS = 22
_PAIRS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class SimilarTexts:
    """Pairs of texts.

    Attributes:
        others: (m,) number of the text that was looked for.
        known: (m,) number of the text in the index that it is similar to.
        similarity: (m,) their Jaccard similarity.
    """

    others: IntArray
    known: IntArray
    similarity: NDArray[np.float64]

    def pairs(self) -> Iterator[tuple[int, int, float]]:
        """Each pair as (other, known, similarity)."""
        columns = self.others.tolist(), self.known.tolist(), self.similarity.tolist()
        return zip(*columns, strict=True)


@dataclass(frozen=True, slots=True)
class SimilarityIndex:
    """The texts that others are compared with.

    Attributes:
        sets: n, distinct and not empty.
        min_similarity: what counts as similar.
        keys: some shingles of each set, ascending.
        owners: the set of each key.
        may_hold: by the last bits of a shingle whether it can be a key; for most it says no.
    """

    sets: ShingleSets
    min_similarity: float
    keys: HashArray
    owners: IntArray
    may_hold: NDArray[np.bool_]

    @classmethod
    def of(cls, sets: ShingleSets, min_similarity: float) -> Self:
        """The index of n sets that are not empty."""
        sets = sets.distinct()
        # The product of two floats may lie above the number it stands for: 10 * 0.7 is just 7, but
        # 0.55 * 100 is more than 55. One key too many costs little, one too few would lose texts.
        num_needed = np.ceil(sets.sizes * min_similarity - 1e-9).astype(np.int64)
        num_keys = sets.sizes - num_needed + 1
        _, numbers, counts = np.unique(sets.hashes, return_inverse=True, return_counts=True)
        by_rarity = np.lexsort((sets.hashes, counts[numbers], sets.owners))
        rank_in_set = np.arange(len(sets.hashes)) - np.repeat(sets.bounds[:-1], sets.sizes)
        chosen = by_rarity[rank_in_set < np.repeat(num_keys, sets.sizes)]
        keys, owners = sets.hashes[chosen], sets.owners[chosen]
        order = np.argsort(keys, kind="stable")
        may_hold = np.zeros(1 << _FILTER_BITS, np.bool_)
        may_hold[_last_bits(keys)] = True
        return cls(sets, min_similarity, keys[order], owners[order], may_hold)

    def search(self, others: ShingleSets) -> SimilarTexts:
        """All pairs of one of some sets and a similar one of the index, by the former."""
        found: list[tuple[IntArray, IntArray, NDArray[np.float64]]] = [
            (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        ]
        candidates = self._candidates(others)
        for start in range(0, len(candidates), _PAIRS_AT_ONCE):
            pairs = candidates[start : start + _PAIRS_AT_ONCE]
            similarity = jaccard(others.take(pairs[:, 0]).distinct(), self.sets.take(pairs[:, 1]))
            is_similar = similarity >= self.min_similarity
            found.append((*pairs[is_similar].T, similarity[is_similar]))
        return SimilarTexts(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _candidates(self, others: ShingleSets) -> IntArray:
        """(m, 2) the pairs with a key in common, each once."""
        possible = np.flatnonzero(self.may_hold[_last_bits(others.hashes)])
        hashes = others.hashes[possible]
        first = np.searchsorted(self.keys, hashes, "left")
        num_hits = np.searchsorted(self.keys, hashes, "right") - first
        seekers = np.repeat(np.searchsorted(others.bounds, possible, "right") - 1, num_hits)
        hit_bounds = bounds_of(num_hits)
        places = np.arange(hit_bounds[-1]) + np.repeat(first - hit_bounds[:-1], num_hits)
        pairs = seekers * len(self.sets) + self.owners[places]
        return np.stack(np.divmod(np.unique(pairs), max(1, len(self.sets))), axis=1)


def _last_bits(hashes: HashArray) -> IntArray:
    return (hashes & np.uint64((1 << _FILTER_BITS) - 1)).astype(np.int64)
