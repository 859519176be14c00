"""NIST and BLEU as mteval-v14c.pl computes them, over corpora of any size.

NIST: Doddington, "Automatic Evaluation of Machine Translation Quality Using N-gram Co-occurrence
Statistics", 2002; BLEU: Papineni et al., 2002, smoothed as NIST's script does without options.

Shapes: S systems, G groups of segments (see `measure`), R references of a segment.
"""

from collections.abc import Sequence

import numpy as np

from dialogpt.command_line import UserError
from dialogpt.evaluation.measure import MOST_GROUPS, Chunk, Floats, GroupedSums, SummedMetrics
from dialogpt.evaluation.mteval_matches import (
    Matches,
    ReferencePool,
    clipped,
    most_in_one,
)
from dialogpt.evaluation.mteval_words import split_for_mteval
from dialogpt.evaluation.ngram_counts import MOST_ROWS, LogCountSums, NgramCounts
from dialogpt.evaluation.ngrams import (
    Integers,
    Words,
    ngrams_of,
    within,
    word_hash,
    words_of,
)

MAX_ORDER = 4
_SEGMENTS_AT_ONCE = 4096
# Columns of the sums.
_MATCHES = slice(0, MAX_ORDER)
_NGRAMS = slice(MAX_ORDER, 2 * MAX_ORDER)
_CLOSEST_LENGTH, _MEAN_LENGTH = 2 * MAX_ORDER, 2 * MAX_ORDER + 1
_NUM_COUNTED = 2 * MAX_ORDER + 2
_INFORMATION = slice(_NUM_COUNTED, _NUM_COUNTED + MAX_ORDER)


class MtevalMeasure:
    """Cumulative NIST-1 to NIST-4 and BLEU-1 to BLEU-4 of each system; see `scores`.

    NIST weighs an n-gram by its information in all references of all segments. These weights stay
    as they are where segments are drawn anew for an interval.

    Args:
        num_systems: S.
        individual: also the scores of each order alone, as "NIST-2 alone".
        most_rows: rows of a table in memory, see `ngram_counts`.
    """

    def __init__(
        self, num_systems: int, *, individual: bool = False, most_rows: int = MOST_ROWS
    ) -> None:
        self._individual = individual
        self._sums = [GroupedSums(_NUM_COUNTED) for _ in range(num_systems)]
        self._counts = [NgramCounts(most_rows) for _ in range(MAX_ORDER)]
        self._log_counts = [LogCountSums(most_rows) for _ in range(MAX_ORDER)]
        # (S, G, MAX_ORDER): how many matches have information against the number of all words.
        self._against_all = np.zeros((num_systems, MOST_GROUPS, MAX_ORDER))
        self._zero = word_hash("0")
        self._num_segments = 0

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments.

        Raises:
            UserError: a segment has no reference with a word; mteval-v14c divides by zero there.
        """
        for start in range(0, len(chunk.references), _SEGMENTS_AT_ONCE):
            part = slice(start, start + _SEGMENTS_AT_ONCE)
            self._add_part([texts[part] for texts in chunk.systems], chunk.references[part])

    def results(self) -> list[SummedMetrics]:
        """Of each system."""
        information = self._information()
        kinds = ["NIST-{}", "BLEU-{}"]
        if self._individual:
            kinds += ["NIST-{} alone", "BLEU-{} alone"]
        names = tuple(kind.format(n) for kind in kinds for n in range(1, MAX_ORDER + 1))
        num_values = len(names)
        results = []
        for system, counted in enumerate(self._sums):
            sums = counted.values()
            results.append(
                SummedMetrics(
                    names=names,
                    sums=np.concatenate((sums, information[system, : len(sums)]), axis=1),
                    formula=lambda sums: scores(sums)[..., :num_values],
                )
            )
        return results

    def _add_part(
        self, systems: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
    ) -> None:
        pool, of_references = self._references(references)
        groups = (self._num_segments + np.arange(pool.num_segments)) % MOST_GROUPS
        of_systems = [words_of(texts, split_for_mteval) for texts in systems]
        rows = np.zeros((len(systems), pool.num_segments, _NUM_COUNTED))
        for order, (reference_ngrams, *system_ngrams) in enumerate(
            zip(
                ngrams_of(of_references, MAX_ORDER),
                *(ngrams_of(words, MAX_ORDER) for words in of_systems),
                strict=True,
            )
        ):
            self._counts[order].add(reference_ngrams.hashes)
            keys = [within(ngrams.hashes, ngrams.texts) for ngrams in system_ngrams]
            table = most_in_one(reference_ngrams, pool, wanted=keys)
            for number, ngrams in enumerate(system_ngrams):
                matches = clipped(ngrams, keys[number], table)
                rows[number, :, _MATCHES.start + order] = np.bincount(
                    matches.texts, matches.counts, minlength=pool.num_segments
                )
                self._ask_information(number, order, matches, groups[matches.texts])
        for number, words in enumerate(of_systems):
            rows[number, :, _NGRAMS] = words.counts[:, None] - np.arange(MAX_ORDER)
            rows[number, :, _CLOSEST_LENGTH] = pool.closest_lengths(words.counts)
            rows[number, :, _MEAN_LENGTH] = pool.mean_lengths()
            self._sums[number].add(np.maximum(rows[number], 0))
        self._num_segments += pool.num_segments

    def _references(self, references: Sequence[Sequence[str]]) -> tuple[ReferencePool, Words]:
        """What all systems are compared with."""
        numbers = np.array([len(texts) for texts in references])
        words = words_of([text for texts in references for text in texts], split_for_mteval)
        segments = np.repeat(np.arange(len(references)), numbers)
        empty = np.bincount(segments, words.counts, minlength=len(references)) == 0
        if empty.any():
            segment = self._num_segments + int(np.argmax(empty)) + 1
            raise UserError(
                f"segment {segment}: expected a reference with a word in it, found none; remove "
                "the segment from all files, or give it a reference"
            )
        firsts = np.cumsum(numbers) - numbers
        return ReferencePool(lengths=words.counts, firsts=firsts, numbers=numbers), words

    def _ask_information(self, system: int, order: int, matches: Matches, groups: Integers) -> None:
        """Note matches whose information is to be summed: it is log2 count(prefix) - log2 count."""
        places = (system * MOST_GROUPS + groups) * MAX_ORDER + order
        self._log_counts[order].add(matches.hashes, places, -matches.counts)
        # The script takes the history "0" for none, because Perl takes "0" for false.
        no_history = (order == 0) | ((order == 1) & (matches.prefixes == self._zero))
        whole = np.broadcast_to(no_history, places.shape)
        np.add.at(self._against_all.reshape(-1), places[whole], matches.counts[whole])
        if order > 0:
            rest = ~whole
            self._log_counts[order - 1].add(
                matches.prefixes[rest], places[rest], matches.counts[rest]
            )

    def _information(self) -> Floats:
        """(S, G, MAX_ORDER) sums of the information of matches, in bits."""
        total = self._against_all * np.log2(max(self._counts[0].total, 1))
        for counts, sums in zip(self._counts, self._log_counts, strict=True):
            total += sums.sums(counts, total.size).reshape(total.shape)
        information: Floats = total
        return information


def scores(sums: Floats) -> Floats:
    """(..., columns) sums -> (..., 4 x MAX_ORDER): NIST, BLEU, and both of each order alone.

    BLEU: the brevity penalty has the closest reference length of each segment, of two equally close
    ones the shorter. Of orders without a match the k-th counts as 1 / 2^k match; an order without
    n-grams has the precision 1. NIST: the length penalty has the mean reference length. nan where
    there are no segments.
    """
    matches, ngrams = sums[..., _MATCHES], sums[..., _NGRAMS]
    length = sums[..., _NGRAMS.start]
    with np.errstate(divide="ignore", invalid="ignore"):
        unmatched = (matches == 0) & (ngrams > 0)
        smoothed = np.where(unmatched, 0.5 ** np.cumsum(unmatched, axis=-1), matches)
        precisions = np.where(ngrams > 0, smoothed / ngrams, 1.0)
        orders = np.arange(1, MAX_ORDER + 1)
        penalty = np.exp(np.minimum(0.0, 1 - sums[..., _CLOSEST_LENGTH] / length))
        # A system that says nothing, also where its closest references are empty.
        penalty = np.where((length == 0) & (sums[..., _MEAN_LENGTH] > 0), 0.0, penalty)
        bleu = np.exp(np.cumsum(np.log(precisions), axis=-1) / orders) * penalty[..., None]
        alone = sums[..., _INFORMATION] / np.maximum(ngrams, 1)
        ratio = np.log(np.minimum(1.0, length / sums[..., _MEAN_LENGTH]))
        nist_penalty = np.exp(np.log(0.5) / np.log(1.5) ** 2 * ratio**2)[..., None]
        nist = np.cumsum(alone, axis=-1) * nist_penalty
        return np.concatenate((nist, bleu, alone * nist_penalty, precisions), axis=-1)
