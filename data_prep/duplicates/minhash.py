"""MinHash signatures cut into bands: similar sets share a band, others rarely do.

The signatures are the R-MinHash of the library rensa: written in Rust, it takes all sets of a
column in one call. Of signatures as long as those of datasketch it misses fewer pairs, because the
number of equal slots varies less (docs/duplicates.md has the measurements).

Bands are those of Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from data_prep.ids import mixed
from data_prep.shingles import HashArray, ShingleSets

MAX_MISSED_SHARE = 0.001
"""Of the pairs with just the least similarity that is asked for, at most so many share no band."""

ALGORITHM = f"R-MinHash {RMinHash.ALGORITHM_VERSION}"
"""Signatures of another algorithm are others: whatever depends on them must be made again."""

_SEED = 20_240_229
_SETS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class Banding:
    """How a signature is cut.

    Attributes:
        num_rows: slots of a band; all must be equal for the band to be shared.
        num_bands: bands of a signature.
    """

    num_rows: int
    num_bands: int

    @classmethod
    def for_similarity(cls, similarity: float) -> Self:
        """The banding by which at most MAX_MISSED_SHARE of pairs so similar are missed."""
        # With more rows unlike pairs come together less often, but more bands are needed.
        num_rows = 4 if similarity >= 0.7 else 2
        num_bands = 1
        while cls(num_rows, num_bands).missed_share(similarity) > MAX_MISSED_SHARE:
            num_bands += 1
        return cls(num_rows, num_bands)

    def missed_share(self, similarity: float) -> float:
        """The probability that two sets of some Jaccard similarity share no band."""
        return float((1 - similarity**self.num_rows) ** self.num_bands)


def band_keys(kinds: Sequence[ShingleSets], banding: Banding) -> HashArray:
    """(n, num_bands) one key a band, different in different bands; equal if the band is shared.

    Args:
        kinds: one or two times n sets, e.g. of whole dialogues and of their responses. Each gives
            the same number of slots to each band, so that a band is shared by dialogues that are
            similar in all kinds; not by the many that only have their beginning, or "thank you" at
            the end, in common.
        banding: num_rows is a multiple of the number of kinds.
    """
    rows_each, rest = divmod(banding.num_rows, len(kinds))
    assert not rest
    keys = np.empty((len(kinds[0]), banding.num_bands), np.uint64)
    keys[:] = np.arange(1, banding.num_bands + 1, dtype=np.uint64)
    for number, sets in enumerate(kinds):
        slots = signatures(sets, rows_each * banding.num_bands, seed=_SEED + number)
        for row in range(rows_each):
            keys = mixed((keys ^ slots[:, row::rows_each]).view(np.int64))
    return keys


def signatures(sets: ShingleSets, num_slots: int, *, seed: int) -> NDArray[np.uint64]:
    """(n, num_slots) MinHash signature of each of n sets, values of 32 bits."""
    found = np.empty((len(sets), num_slots), np.uint64)
    for start in range(0, len(sets), _SETS_AT_ONCE):
        bounds = sets.bounds[start : start + _SETS_AT_ONCE + 1]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            np.ascontiguousarray(sets.hashes[bounds[0] : bounds[-1]]),
            (bounds - bounds[0]).astype(np.uint64),
            num_slots,
            seed,
        )
        found[start : start + len(bounds) - 1] = matrix.to_rows()
    return found
