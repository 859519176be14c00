"""How often each n-gram stands in each of many texts. Shapes: M texts, T n-grams."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialogpt.evaluation.measure import Chunk
from dialogpt.evaluation.ngrams import (
    Hashes,
    Integers,
    Words,
    ngrams_of,
    runs,
    split_at_blanks,
    within,
    words_of,
)

_SEGMENTS_AT_ONCE = 2048
"""Their n-grams fit into a processor's cache while they are sorted."""


def parts(chunk: Chunk) -> Iterator[Chunk]:
    """The chunk in pieces that numpy is quick with."""
    for start in range(0, len(chunk.references), _SEGMENTS_AT_ONCE):
        here = slice(start, start + _SEGMENTS_AT_ONCE)
        yield Chunk(
            systems=[texts[here] for texts in chunk.systems],
            references=chunk.references[here],
            contexts=chunk.contexts[here],
            knowledge=chunk.knowledge[here],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The n-grams of one order in some texts; each stands once for each text that has it.

    They are in the order of `within(hashes, texts)`.

    Attributes:
        hashes: (T,) uint64 of the n-grams.
        texts: (T,) int64 which text each is of.
        counts: (T,) int64 how often it stands there.
    """

    hashes: Hashes
    texts: Integers
    counts: Integers


def tallies(words: Words, max_order: int) -> Iterator[Tally]:
    """One of each order from 1 on."""
    for ngrams in ngrams_of(words, max_order):
        keys = within(ngrams.hashes, ngrams.texts)
        order = np.argsort(keys)
        starts, counts = runs(keys[order])
        ones = order[starts]
        yield Tally(hashes=ngrams.hashes[ones], texts=ngrams.texts[ones], counts=counts)


@dataclass(frozen=True, kw_only=True, slots=True)
class References:
    """References of some segments, each split at blanks as `str.split` does.

    Attributes:
        words: of all of them, segment after segment.
        segments: (M,) int64 which segment each is of.
        numbers: (segments,) int64 how many each segment has.
    """

    words: Words
    segments: Integers
    numbers: Integers


def references_of(references: Sequence[Sequence[str]]) -> References:
    """The words of references, given by segment."""
    numbers = np.fromiter(map(len, references), np.int64, len(references))
    return References(
        words=words_of([text for texts in references for text in texts], split_at_blanks),
        segments=np.repeat(np.arange(len(references)), numbers),
        numbers=numbers,
    )


def found_at(keys: Hashes, wanted: Hashes) -> tuple[Integers, NDArray[np.bool_]]:
    """Where each wanted key stands among sorted ones, and whether it does; 0 where it does not."""
    places = np.searchsorted(keys, wanted)
    places[places == len(keys)] = 0
    if not len(keys):
        return places, np.zeros(len(wanted), np.bool_)
    found = keys[places] == wanted
    return np.where(found, places, 0), found
