"""Which n-grams hypotheses share with their references, each as often as one reference has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialogpt.evaluation.measure import Floats
from dialogpt.evaluation.ngrams import Hashes, Integers, Ngrams, runs, within

_SIEVE_BITS = 20
_SIEVE = (1 << _SIEVE_BITS) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Matches:
    """Distinct n-grams of hypotheses that their references have too.

    Attributes:
        hashes, prefixes, texts: as in `Ngrams`.
        counts: (number,) int64 how often, at most as in the reference that has it most often.
    """

    hashes: Hashes
    prefixes: Hashes
    texts: Integers
    counts: Integers


@dataclass(frozen=True, kw_only=True, slots=True)
class MostInOne:
    """Distinct n-grams of references with their segments.

    Attributes:
        keys: (number,) uint64, ascending: `within` of n-gram and segment, less its top bits.
        counts: (number,) int64 how often the reference has it that has it most often.
        slot_bits: how many top bits are gone, to make room for which reference of a segment it is:
            3 for five references. What is left need only differ within some thousand segments.
    """

    keys: Hashes
    counts: Integers
    slot_bits: np.uint64


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferencePool:
    """The references of some segments.

    Attributes:
        lengths: (texts,) int64 words of each reference, segment after segment.
        firsts: (segments,) int64 which text is the first of each segment.
        numbers: (segments,) int64 R of each.
    """

    lengths: Integers
    firsts: Integers
    numbers: Integers

    @property
    def num_segments(self) -> int:
        """How many."""
        return len(self.numbers)

    def segments(self) -> Integers:
        """(texts,) int64 the segment of each text."""
        return np.repeat(np.arange(self.num_segments), self.numbers)

    def mean_lengths(self) -> Floats:
        """(segments,) float64."""
        means: Floats = np.add.reduceat(self.lengths, self.firsts) / self.numbers
        return means

    def closest_lengths(self, lengths: Integers) -> Integers:
        """(segments,) int64 the reference length closest to each of (segments,) lengths."""
        distances = np.abs(self.lengths - np.repeat(lengths, self.numbers))
        # The least distance, and at that distance the least length.
        both = np.minimum.reduceat((distances << 32) | self.lengths, self.firsts)
        return both & 0xFFFFFFFF


def most_in_one(ngrams: Ngrams, pool: ReferencePool, *, wanted: Sequence[Hashes]) -> MostInOne:
    """How often the one reference that has an n-gram most often has it.

    Args:
        ngrams: of reference texts.
        pool: these texts.
        wanted: what hypotheses have, by `within`; little else gets into the table.
    """
    segments = pool.segments()
    slots = np.arange(len(segments)) - pool.firsts[segments]
    keys = within(ngrams.hashes, segments[ngrams.texts])
    # Most n-grams of references are in no hypothesis, and sorting them would take longest.
    is_wanted = np.zeros(1 << _SIEVE_BITS, bool)
    for some in wanted:
        is_wanted[some & _SIEVE] = True
    kept = np.flatnonzero(is_wanted[keys & _SIEVE])
    slot_bits = np.uint64(int(slots.max(initial=0)).bit_length())
    keys = (keys[kept] << slot_bits) | slots.astype(np.uint64)[ngrams.texts[kept]]
    keys.sort()
    starts, counts = runs(keys)
    of_segment = keys[starts] >> slot_bits
    firsts, _ = runs(of_segment)
    most = np.maximum.reduceat(counts, firsts) if len(firsts) else counts
    return MostInOne(keys=of_segment[firsts], counts=most, slot_bits=slot_bits)


def clipped(ngrams: Ngrams, keys: Hashes, references: MostInOne) -> Matches:
    """What hypotheses, one for each segment, have in common with their references.

    Args:
        ngrams: of hypotheses.
        keys: `within` of each and its segment.
        references: of these segments.
    """
    keys = keys << references.slot_bits >> references.slot_bits
    order = np.argsort(keys)
    starts, counts = runs(keys[order])
    ones = order[starts]  # one of each kind
    places = np.searchsorted(references.keys, keys[ones])
    found = np.flatnonzero(places < len(references.keys))
    found = found[references.keys[places[found]] == keys[ones[found]]]
    ones = ones[found]
    return Matches(
        hashes=ngrams.hashes[ones],
        prefixes=ngrams.prefixes[ones],
        texts=ngrams.texts[ones],
        counts=np.minimum(counts[found], references.counts[places[found]]),
    )
