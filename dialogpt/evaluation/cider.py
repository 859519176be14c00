"""CIDEr-D as the MSCOCO caption scorers compute it (Vedantam et al. 2015, arXiv:1411.5726).

Shapes: N segments, M references of them all.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from dialogpt.evaluation.means import Means
from dialogpt.evaluation.measure import Chunk, Floats, Metrics
from dialogpt.evaluation.ngram_counts import NgramCounts
from dialogpt.evaluation.ngrams import Hashes, Integers, Words, split_at_blanks, within, words_of
from dialogpt.evaluation.tallies import References, Tally, found_at, parts, references_of, tallies

_MAX_ORDER = 4
_SIGMA = 6.0
_HELD_BYTES = 1 << 26


class CiderMeasure:
    """CIDEr-D: cosine of n-gram counts weighted by how rare n-grams are, averaged over segments.

    Of n = 1 to 4: counts of the hypothesis are clipped by those of a reference, the cosine is
    reduced by exp(-(difference in bigrams)^2 / 72), averaged over references, then over n, and
    multiplied by 10. The weight of an n-gram is ln(N / number of segments with it in a reference),
    so that scores depend on the whole test set; of one segment alone all are 0. Where segments are
    drawn anew for an interval, weights stay as they are.

    Scores need all document frequencies, so texts are kept until the end, as 8 bytes a word in a
    file without a name once they are more than 64 MiB. In memory stay 16 bytes for each n-gram that
    references of more than one segment have.
    """

    names = ("CIDEr",)

    def __init__(self) -> None:
        self._frequencies = NgramCounts()
        self._texts: IO[bytes] = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115
        self._num_parts = self._num_segments = self._num_systems = 0

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        self._num_systems = len(chunk.systems)
        for part in parts(chunk):
            self._add_part(part)

    def _add_part(self, chunk: Chunk) -> None:
        references = references_of(chunk.references)
        for tally in tallies(references.words, _MAX_ORDER):
            # Each n-gram once for each segment.
            keys = within(tally.hashes, references.segments[tally.texts])
            _, ones = np.unique(keys, return_index=True)
            self._frequencies.add(tally.hashes[ones])
        self._write(references.numbers)
        for words in [references.words, *(words_of(t, split_at_blanks) for t in chunk.systems)]:
            self._write(words.hashes)
            self._write(words.counts)
        self._num_parts += 1
        self._num_segments += len(chunk.references)

    def results(self) -> list[Metrics]:
        """Of each system, in order."""
        weights = _Weights.of(self._frequencies, self._num_segments)
        means = [Means(self.names) for _ in range(self._num_systems)]
        self._texts.seek(0)
        for _ in range(self._num_parts):
            numbers = self._read()
            references = References(
                words=self._read_words(),
                segments=np.repeat(np.arange(len(numbers)), numbers),
                numbers=numbers,
            )
            vectors = weights.vectors(references.words)
            for of_system in means:
                of_system.add(_cider(weights, self._read_words(), references, vectors)[:, None])
        self._texts.close()
        return [of_system.metrics() for of_system in means]

    def _write(self, values: Hashes | Integers) -> None:
        np.save(self._texts, values)

    def _read(self) -> Integers:
        values: Integers = np.load(self._texts)
        return values

    def _read_words(self) -> Words:
        hashes: Hashes = np.load(self._texts)
        return Words(hashes=hashes, counts=self._read())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Vector:
    """Texts as weighted counts of their n-grams of one order.

    Attributes:
        tally: the n-grams.
        weights: (T,) count times ln(N / document frequency) of each.
        norms: (M,) of the texts.
    """

    tally: Tally
    weights: Floats
    norms: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class _Weights:
    """How rare n-grams are.

    Attributes:
        hashes: sorted, of n-grams that references of more than one segment have.
        frequencies: in how many segments each is.
        num_segments: N.
    """

    hashes: Hashes
    frequencies: Integers
    num_segments: int

    @classmethod
    def of(cls, frequencies: NgramCounts, num_segments: int) -> "_Weights":
        num_parts = frequencies.num_parts()
        hashes, counts = [], []
        for index in range(num_parts):
            some, of_them = frequencies.part(index, num_parts)
            # Those of no segment weigh as much as those of one: ln N.
            often = of_them > 1
            hashes.append(some[often])
            counts.append(of_them[often])
        return cls(
            hashes=np.concatenate(hashes),
            frequencies=np.concatenate(counts),
            num_segments=num_segments,
        )

    def vectors(self, words: Words) -> Sequence[_Vector]:
        """One of each order from 1 on."""
        vectors = []
        for tally in tallies(words, _MAX_ORDER):
            order = np.argsort(tally.hashes)  # to look up neighbours together is faster
            places, found = found_at(self.hashes, tally.hashes[order])
            frequencies = np.ones(len(found))
            frequencies[order[found]] = self.frequencies[places[found]]
            weights = tally.counts * (np.log(self.num_segments) - np.log(frequencies))
            norms = np.sqrt(np.bincount(tally.texts, weights**2, minlength=len(words.counts)))
            vectors.append(_Vector(tally=tally, weights=weights, norms=norms))
        return vectors


def _cider(
    weights: _Weights, hypotheses: Words, references: References, vectors: Sequence[_Vector]
) -> Floats:
    """(N,) scores of one hypothesis a segment against its references.

    Args:
        weights: of n-grams.
        hypotheses: N texts.
        references: of the N segments.
        vectors: of the references.
    """
    segments = references.segments
    bigrams = np.maximum(references.words.counts - 1, 0)
    difference = np.maximum(hypotheses.counts - 1, 0)[segments] - bigrams
    scores = np.zeros(len(references.numbers))
    for here, there in zip(weights.vectors(hypotheses), vectors, strict=True):
        keys = within(here.tally.hashes, here.tally.texts)  # sorted, as tallies are
        wanted = within(there.tally.hashes, segments[there.tally.texts])
        places, found = found_at(keys, wanted)
        clipped = np.minimum(here.weights[places[found]], there.weights[found])
        products = np.bincount(
            there.tally.texts[found], clipped * there.weights[found], minlength=len(segments)
        )
        norms = here.norms[segments] * there.norms
        cosines = np.divide(products, norms, out=np.zeros(len(norms)), where=norms > 0)
        scores += np.bincount(segments, cosines * _nearness(difference), minlength=len(scores))
    averages: Floats = 10.0 * scores / _MAX_ORDER / references.numbers
    return averages


def _nearness(difference: Integers) -> Floats:
    """Of lengths: 1 where they are equal."""
    nearness: Floats = np.exp(-(difference**2) / (2 * _SIGMA**2))
    return nearness
