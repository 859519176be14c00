"""BLEU and ROUGE-L as the MSCOCO caption scorers compute them; CIDEr-D is in `cider`.

Chen et al. 2015, "Microsoft COCO Captions: Data Collection and Evaluation Server",
arXiv:1504.00325. PLATO (arXiv:1910.07931) scores AVSD by them. Texts are split at blanks as they
are; the challenge's own scripts tokenize them first, see `ptb`.
"""

from collections.abc import Sequence

import numpy as np

from dialogpt.evaluation.means import MeanMeasure
from dialogpt.evaluation.measure import Chunk, Floats, GroupedSums, Metrics, SummedMetrics
from dialogpt.evaluation.ngrams import Hashes, Integers, runs, split_at_blanks, within, words_of
from dialogpt.evaluation.tallies import References, Tally, found_at, parts, references_of, tallies

_MAX_ORDER = 4
_BETA = 1.2
# So that nothing is divided by zero; not a smoothing, as a score without matches is 1e-4 at most.
_TINY, _SMALL = 1e-15, 1e-9


class CocoBleuMeasure:
    """BLEU-1 to BLEU-4 of the corpus, cumulative.

    Matches are clipped by the reference that has most of an n-gram; lengths are compared with the
    closest reference, of two as close with the shorter. There is no smoothing, but 1e-15 is added
    to matches and 1e-9 to what they are divided by.
    """

    names = ("BLEU-1 (COCO)", "BLEU-2 (COCO)", "BLEU-3 (COCO)", "BLEU-4 (COCO)")

    def __init__(self) -> None:
        self._sums: list[GroupedSums] = []

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        self._sums = self._sums or [GroupedSums(2 * _MAX_ORDER + 2) for _ in chunk.systems]
        for part in parts(chunk):
            self._add_part(part)

    def _add_part(self, chunk: Chunk) -> None:
        references = references_of(chunk.references)
        most = [_most(tally, references) for tally in tallies(references.words, _MAX_ORDER)]
        for sums, texts in zip(self._sums, chunk.systems, strict=True):
            rows = np.zeros((len(texts), 2 * _MAX_ORDER + 2))
            words = words_of(texts, split_at_blanks)
            for order, tally in enumerate(tallies(words, _MAX_ORDER)):
                keys, counts = most[order]
                places, found = found_at(keys, within(tally.hashes, tally.texts))
                matches = np.minimum(tally.counts[found], counts[places[found]])
                rows[:, order] = np.bincount(tally.texts[found], matches, minlength=len(texts))
                rows[:, _MAX_ORDER + order] = np.maximum(words.counts - order, 0)
            rows[:, -2] = words.counts
            rows[:, -1] = _closest_lengths(references, words.counts)
            sums.add(rows)

    def results(self) -> list[Metrics]:
        """Of each system, in order."""
        return [
            SummedMetrics(names=self.names, sums=sums.values(), formula=_bleu)
            for sums in self._sums
        ]


def _most(tally: Tally, references: References) -> tuple[Hashes, Integers]:
    """Sorted keys of n-grams within segments; how often the one reference has it that has most."""
    keys = within(tally.hashes, references.segments[tally.texts])
    order = np.argsort(keys)
    starts, _ = runs(keys[order])
    if not len(starts):
        return keys, tally.counts
    return keys[order][starts], np.maximum.reduceat(tally.counts[order], starts)


def _closest_lengths(references: References, lengths: Integers) -> Integers:
    """(N,) the length of the reference that is closest in length to each of (N,) hypotheses."""
    there = references.words.counts
    # Segment first, then distance, then length: the first row of a segment has the answer.
    distances = np.abs(there - lengths[references.segments])
    order = np.lexsort((there, distances, references.segments))
    closest: Integers = there[order][np.cumsum(references.numbers) - references.numbers]
    return closest


def _bleu(sums: Floats) -> Floats:
    """(..., S) matches by order, n-grams by order, length, closest length -> (..., 4)."""
    matches, ngrams = sums[..., :_MAX_ORDER], sums[..., _MAX_ORDER : 2 * _MAX_ORDER]
    precisions = (matches + _TINY) / (ngrams + _SMALL)
    means = np.cumprod(precisions, axis=-1) ** (1 / np.arange(1, _MAX_ORDER + 1))
    ratio = (sums[..., -2:-1] + _TINY) / (sums[..., -1:] + _SMALL)
    scores: Floats = means * np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return scores


class RougeLMeasure(MeanMeasure):
    """ROUGE-L, averaged over segments.

    Of the longest common subsequences with the references, the highest precision and the highest
    recall count, whichever references they are with; F weighs recall by beta = 1.2. Texts are split
    at each single blank, so that two in a row hold a token "".
    """

    names = ("ROUGE-L",)

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        references = [[text.split(" ") for text in texts] for texts in chunk.references]
        for means, hypotheses in self._by_system(chunk):
            scores = [
                rouge_l(text.split(" "), there)
                for text, there in zip(hypotheses, references, strict=True)
            ]
            means.add(np.array(scores, np.float64).reshape(-1, 1))


def rouge_l(hypothesis: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """ROUGE-L of one segment, in [0, 1]. Each has a token at least; so does `"".split(" ")`."""
    places: dict[str, int] = {}
    for place, token in enumerate(hypothesis):
        places[token] = places.get(token, 0) | 1 << place
    precision = recall = 0.0
    for reference in references:
        common = _common_subsequence(places, len(hypothesis), reference)
        precision = max(precision, common / len(hypothesis))
        recall = max(recall, common / len(reference))
    if not precision:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _common_subsequence(places: dict[str, int], length: int, tokens: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at once as bits of an integer.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited".

    Args:
        places: token of the one sequence -> a bit for each of its places there.
        length: of the one sequence.
        tokens: the other.
    """
    everywhere = (1 << length) - 1
    # A bit is 0 where the subsequence becomes longer by one.
    row = everywhere
    for token in tokens:
        matches = row & places.get(token, 0)
        if matches:
            row = (row + matches | row - matches) & everywhere
    return length - row.bit_count()
