"""How a system behaves, whatever the references: it repeats itself, copies, says nothing."""

import numpy as np

from dialogpt.copying import copied_share, ngrams
from dialogpt.evaluation.means import MeanMeasure
from dialogpt.evaluation.measure import Chunk, Floats, JackknifedMetrics, Metrics

_N = 3
_MOST_GROUPS = 200
"""Groups to leave out in turn for the spread of the share of replies that are given twice."""


class RepetitionMeasure(MeanMeasure):
    """Repetition rate: share of replies in which some n-gram (n = 3) stands twice or more.

    Tokens are blank-separated words. A reply of three words or less repeats nothing.
    """

    names = ("Repetition rate",)
    are_rates = True

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        for means, hypotheses in self._by_system(chunk):
            means.add(np.array([[float(_repeats(text))] for text in hypotheses]).reshape(-1, 1))


def _repeats(text: str) -> bool:
    found = ngrams(text.split(), _N)
    return len(set(found)) < len(found)


class CopyMeasure(MeanMeasure):
    """Copy rate: share of a reply's n-grams (n = 3) that stand in its context, averaged.

    Tokens are blank-separated words; a reply of less than three is one n-gram of its own length,
    and one without words copies nothing. No n-gram reaches over the end of a turn. Segments without
    context count for nothing; without any the rate is nan.
    """

    names = ("Copy rate",)

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        contexts = [[turn.split() for turn in turns] for turns in chunk.contexts]
        known = np.array([len(turns) > 0 for turns in contexts], np.bool_).reshape(-1, 1)
        for means, hypotheses in self._by_system(chunk):
            shares = [
                copied_share(text.split(), turns, _N)
                for text, turns in zip(hypotheses, contexts, strict=True)
            ]
            means.add(np.array(shares, np.float64).reshape(-1, 1), known)


class EmptyMeasure(MeanMeasure):
    """Empty rate: share of replies without a word, that is, of blanks only or of nothing."""

    names = ("Empty rate",)
    are_rates = True

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        for means, hypotheses in self._by_system(chunk):
            empty = [[float(not text.strip())] for text in hypotheses]
            means.add(np.array(empty).reshape(-1, 1))


class DuplicateMeasure:
    """Duplicate rate: share of replies that the reply to some other segment equals.

    Equal are replies of the same words, whatever the blanks between them. It grows with the number
    of segments, so only systems on the same test set compare. Held are 8 bytes a reply, a hash:
    of a million replies any two that differ are taken for equal once in ten million runs.
    """

    names = ("Duplicate rate",)

    def __init__(self) -> None:
        self._hashes: list[list[np.ndarray[tuple[int], np.dtype[np.int64]]]] = []

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        self._hashes = self._hashes or [[] for _ in chunk.systems]
        for hashes, hypotheses in zip(self._hashes, chunk.systems, strict=True):
            words = (hash(" ".join(text.split())) for text in hypotheses)
            hashes.append(np.fromiter(words, np.int64, len(hypotheses)))

    def results(self) -> list[Metrics]:
        """Of each system, in order."""
        results: list[Metrics] = []
        for hashes in self._hashes:
            everything, left_out = _duplicate_rates(np.concatenate(hashes))
            results.append(
                JackknifedMetrics(
                    names=self.names, all_values=everything, left_out=left_out, highest=(1.0,)
                )
            )
        return results


def _duplicate_rates(replies: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Floats, Floats]:
    """(1,) the share of replies that are equal to another one; (J, 1) without each group.

    Args:
        replies: (N,) equal numbers for equal replies; reply i is in group i modulo J.
    """
    num_replies = len(replies)
    if not num_replies:
        return np.full(1, np.nan), np.zeros((0, 1))
    _, kinds, counts = np.unique(replies, return_inverse=True, return_counts=True)
    num_groups = min(num_replies, _MOST_GROUPS)
    duplicates = counts[counts > 1].sum()
    # Each kind that stands in a group, how often it does, and what of it is left without the group.
    groups = np.arange(num_replies) % num_groups
    pairs, there = np.unique(groups * len(counts) + kinds, return_counts=True)
    before = counts[pairs % len(counts)]
    after = before - there
    lost = np.where(before > 1, before, 0) - np.where(after > 1, after, 0)
    per_group = np.bincount(pairs // len(counts), weights=lost, minlength=num_groups)
    rest = num_replies - np.bincount(groups, minlength=num_groups)
    left_out = np.divide(
        duplicates - per_group, rest, out=np.full(num_groups, np.nan), where=rest > 0
    )
    return np.array([duplicates / num_replies]), left_out[:, None]
