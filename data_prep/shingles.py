"""Texts as sets of shingles, a column at a time, and how similar two sets are.

A shingle is a run of words. It is kept as a hash of 64 bits: that two shingles of a pair of texts
share one has a probability of about 1e-15.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.responses import response_words
from data_prep.text_columns import as_text_array
from dialogpt.text import record_key

IntArray = NDArray[np.int64]
HashArray = NDArray[np.uint64]

# Odd, so that multiplying loses nothing: the golden ratio of 64 bits.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """n sets.

    Attributes:
        bounds: (n + 1,) set i is hashes[bounds[i] : bounds[i + 1]].
        hashes: a shingle may stand in its set more than once; see `distinct`.
    """

    bounds: IntArray
    hashes: HashArray

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def sizes(self) -> IntArray:
        """(n,) elements of each set."""
        return np.diff(self.bounds)

    @property
    def owners(self) -> IntArray:
        """For each element the number of its set."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Some of the sets, in the order given."""
        return self.unions(rows, rows + 1)

    def unions(self, first: NDArray[np.integer], stop: NDArray[np.integer]) -> Self:
        """Unions of neighbors: set i is that of the sets first[i] to stop[i] - 1."""
        starts = self.bounds[first]
        sizes = self.bounds[stop] - starts
        bounds = bounds_of(sizes)
        places = np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], sizes)
        return type(self)(bounds, self.hashes[places])

    def distinct(self) -> Self:
        """The same sets with each shingle once, in ascending order."""
        owners = self.owners
        order = np.lexsort((self.hashes, owners))
        owners, hashes = owners[order], self.hashes[order]
        is_new = np.ones(len(hashes), np.bool_)
        is_new[1:] = (owners[1:] != owners[:-1]) | (hashes[1:] != hashes[:-1])
        sizes = np.bincount(owners[is_new], minlength=len(self))
        return type(self)(bounds_of(sizes), hashes[is_new])

    @classmethod
    def concatenated(cls, parts: Sequence["ShingleSets"]) -> Self:
        """The sets of all parts, one part after the other."""
        return cls(
            bounds_of(np.concatenate([np.zeros(0, np.int64), *(part.sizes for part in parts)])),
            np.concatenate([np.zeros(0, np.uint64), *(part.hashes for part in parts)]),
        )


def bounds_of(sizes: NDArray[np.integer]) -> IntArray:
    """(n + 1,) where runs of n sizes begin and end, if they stand one behind the other."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def flattened(lists: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, IntArray]:
    """The values of n lists, and the (n + 1,) bounds of each list in them."""
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    sizes = np.asarray(pc.list_value_length(lists))
    return lists.flatten(), bounds_of(sizes)


def compared_words(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """What is compared of each text: its words with a blank between two, as large strings.

    The words are those of `data_prep.blocklists.words_of`: in lower case and without punctuation.
    A text without a word, such as an emoji, stands for itself.

    Args:
        texts: strings as `dialogpt.text.clean_turn` leaves them.
    """
    texts = as_text_array(texts)
    words = response_words(texts, frozenset()).joined
    return pc.if_else(pc.equal(words, ""), texts, words)


def num_words(words: pa.Array) -> IntArray:
    """(n,) words of each of n texts.

    Args:
        words: as `compared_words` gives them.
    """
    return np.asarray(pc.count_substring(words, " ")).astype(np.int64) + 1


def shingle_sets(words: pa.Array, size: int) -> ShingleSets:
    """The shingles of each text; a text of fewer words than a shingle's is one by itself.

    Args:
        words: as `compared_words` gives them.
        size: words of a shingle.
    """
    split, bounds = flattened(pc.split_pattern(words, " "))
    vocabulary = split.dictionary_encode()
    keys = np.array([record_key(word) for word in vocabulary.dictionary.to_pylist()], np.uint64)
    word_keys = keys[np.asarray(vocabulary.indices)]
    sizes = np.maximum(np.diff(bounds) - size + 1, 1)
    shingle_bounds = bounds_of(sizes)
    offsets = np.arange(shingle_bounds[-1]) - np.repeat(shingle_bounds[:-1], sizes)
    first_words = offsets + np.repeat(bounds[:-1], sizes)
    ends = np.repeat(bounds[1:], sizes)
    hashes = np.zeros(len(first_words), np.uint64)
    for position in range(size):
        places = first_words + position
        # Beyond the end of a short text there is nothing, which counts as 0.
        keys_here = word_keys[np.minimum(places, len(word_keys) - 1)] * (places < ends)
        hashes = (hashes ^ keys_here) * _MULTIPLIER
    return ShingleSets(shingle_bounds, hashes)


def jaccard(left: ShingleSets, right: ShingleSets) -> NDArray[np.float64]:
    """(n,) the Jaccard similarity |A & B| / |A | B| of each of n pairs of sets.

    Args:
        left: n sets, distinct and not empty.
        right: as many.
    """
    assert len(left) == len(right)
    owners = np.concatenate([left.owners, right.owners])
    hashes = np.concatenate([left.hashes, right.hashes])
    order = np.lexsort((hashes, owners))
    owners, hashes = owners[order], hashes[order]
    is_common = (owners[1:] == owners[:-1]) & (hashes[1:] == hashes[:-1])
    num_common = np.bincount(owners[1:][is_common], minlength=len(left))
    return num_common / (left.sizes + right.sizes - num_common)
