"""How varied and how long hypotheses are, all of a system together and one by one.

Entropy-n: Zhang et al., "Generating Informative and Diverse Conversational Responses via
Adversarial Information Maximization", 2018; Dist-n: Li et al., "A Diversity-Promoting Objective
Function for Neural Conversation Models", 2016; both as `dstc/metrics.py` of microsoft/DialoGPT has
them. Words are what lies between blanks (`str.split`); case counts. Neither is comparable between
test sets of different sizes: both depend on how many words there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialogpt.evaluation.measure import (
    Chunk,
    Floats,
    GroupedSums,
    JackknifedMetrics,
    SummedMetrics,
)
from dialogpt.evaluation.ngram_counts import MOST_ROWS, NgramCounts
from dialogpt.evaluation.ngrams import (
    Integers,
    Splitter,
    ngrams_of,
    runs,
    split_at_blanks,
    split_at_single_blanks,
    within,
    words_of,
)

MAX_ORDER = 4
_TEXTS_AT_ONCE = 8192
_GROUP_BITS = np.uint64(6)
MOST_LEFT_OUT = 64
"""The jackknife leaves out one of so many groups of segments, or one segment of fewer."""


class DiversityMeasure:
    """Entropy-1 to Entropy-4 (nats) and Dist-1 to Dist-4 over all hypotheses of a system.

    Segment i is in group i modulo MOST_LEFT_OUT; the values without a group are exact.

    Args:
        num_systems: how many.
        most_rows: rows of a table in memory, see `ngram_counts`.
    """

    def __init__(self, num_systems: int, *, most_rows: int = MOST_ROWS) -> None:
        self._types = [_Types(MAX_ORDER, split_at_blanks, most_rows) for _ in range(num_systems)]

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        for types, texts in zip(self._types, chunk.systems, strict=True):
            types.add(texts)

    def results(self) -> list[JackknifedMetrics]:
        """Of each system; nan where there is no n-gram."""
        orders = range(1, MAX_ORDER + 1)
        names = tuple(f"{kind}-{n}" for kind in ("Entropy", "Dist") for n in orders)
        results = []
        for types in self._types:
            counted = types.counted()
            with np.errstate(divide="ignore", invalid="ignore"):
                columns = [np.log(c.tokens) - c.spread / c.tokens for c in counted]
                columns += [c.types / c.tokens for c in counted]
            results.append(_jackknifed(names, columns))
        return results


class PlatoDistinctMeasure:
    """Distinct-1 and Distinct-2 over all hypotheses as PLATO's release has them.

    (types + 1e-12) / (tokens + 1e-5), its "inter" value. Words lie between single blanks, so that
    two blanks have an empty word between them, and a hypothesis without text is one empty word
    (PaddlePaddle/Research, `NLP/Dialogue-PLATO`).

    Args:
        num_systems: how many.
        most_rows: rows of a table in memory, see `ngram_counts`.
    """

    def __init__(self, num_systems: int, *, most_rows: int = MOST_ROWS) -> None:
        self._types = [_Types(2, split_at_single_blanks, most_rows) for _ in range(num_systems)]

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        for types, texts in zip(self._types, chunk.systems, strict=True):
            types.add(texts)

    def results(self) -> list[JackknifedMetrics]:
        """Of each system."""
        return [
            _jackknifed(
                ("Distinct-1", "Distinct-2"),
                [(c.types + 1e-12) / (c.tokens + 1e-5) for c in types.counted()],
            )
            for types in self._types
        ]


class LengthMeasure:
    """Column "Avg len": words between blanks of a hypothesis, the mean over segments.

    Args:
        num_systems: how many.
    """

    def __init__(self, num_systems: int) -> None:
        self._sums = [GroupedSums(2) for _ in range(num_systems)]

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        for sums, texts in zip(self._sums, chunk.systems, strict=True):
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                words = words_of(texts[start : start + _TEXTS_AT_ONCE], split_at_blanks)
                sums.add(np.stack([words.counts, np.ones(len(words.counts))], axis=1))

    def results(self) -> list[SummedMetrics]:
        """Of each system; nan without segments."""
        return [
            SummedMetrics(names=("Avg len",), sums=sums.values(), formula=_mean)
            for sums in self._sums
        ]


class ReplyDiversityMeasure:
    """Columns "Dist-1 per reply" to "Dist-4 per reply": types / tokens within one hypothesis.

    The mean over the hypotheses that have an n-gram. Says whether replies repeat themselves, where
    Dist-n says whether they repeat one another.

    Args:
        num_systems: how many.
    """

    def __init__(self, num_systems: int) -> None:
        self._sums = [GroupedSums(2 * MAX_ORDER) for _ in range(num_systems)]

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        for sums, texts in zip(self._sums, chunk.systems, strict=True):
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                sums.add(_shares_of_types(texts[start : start + _TEXTS_AT_ONCE]))

    def results(self) -> list[SummedMetrics]:
        """Of each system; nan where no hypothesis has an n-gram."""
        names = tuple(f"Dist-{n} per reply" for n in range(1, MAX_ORDER + 1))
        return [
            SummedMetrics(names=names, sums=sums.values(), formula=_mean) for sums in self._sums
        ]


def _mean(sums: Floats) -> Floats:
    """The first half of the columns by the second."""
    half = sums.shape[-1] // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        means: Floats = sums[..., :half] / sums[..., half:]
    return means


def _shares_of_types(texts: Sequence[str]) -> Floats:
    """(texts, 2 * MAX_ORDER): share of n-grams that are distinct, and whether there is any."""
    words = words_of(texts, split_at_blanks)
    shares = np.zeros((len(texts), MAX_ORDER))
    tokens = np.maximum(words.counts[:, None] - np.arange(MAX_ORDER), 0)
    for order, ngrams in enumerate(ngrams_of(words, MAX_ORDER)):
        keys = within(ngrams.hashes, ngrams.texts)
        ranks = np.argsort(keys)
        starts, _ = runs(keys[ranks])
        types = np.bincount(ngrams.texts[ranks[starts]], minlength=len(texts))
        shares[:, order] = types / np.maximum(tokens[:, order], 1)
    return np.concatenate((shares, tokens > 0), axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counted:
    """Of n-grams of one order: over all segments, then without each of J groups of them.

    Attributes:
        tokens: (1 + J,) float64 how many.
        types: (1 + J,) float64 how many distinct ones.
        spread: (1 + J,) float64 sum of c ln c over types, c being how often there is one.
    """

    tokens: Floats
    types: Floats
    spread: Floats


class _Types:
    """Counts n-grams of one system by group of segments."""

    def __init__(self, max_order: int, split: Splitter, most_rows: int) -> None:
        self._split = split
        # A key is an n-gram's hash whose lowest bits are the number of the segment's group. With
        # 58 bits left, ten million types have one pair or more alike with probability 0.0002.
        self._keys = [NgramCounts(most_rows) for _ in range(max_order)]
        self._num_segments = 0

    def add(self, texts: Sequence[str]) -> None:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            groups = (self._num_segments + np.arange(len(part))) % MOST_LEFT_OUT
            words = words_of(part, self._split)
            for counts, ngrams in zip(self._keys, ngrams_of(words, len(self._keys)), strict=True):
                keys = ngrams.hashes >> _GROUP_BITS << _GROUP_BITS
                counts.add(keys | groups.astype(np.uint64)[ngrams.texts])
            self._num_segments += len(part)

    def counted(self) -> list[_Counted]:
        """Of each order."""
        num_groups = min(self._num_segments, MOST_LEFT_OUT)
        return [_counted(counts, num_groups) for counts in self._keys]


def _counted(counts: NgramCounts, num_groups: int) -> _Counted:
    tokens, types, spread = np.zeros((3, 1 + num_groups))
    num_parts = counts.num_parts()
    for index in range(num_parts):
        keys, numbers = counts.part(index, num_parts)
        if not len(keys):
            continue
        groups = (keys & np.uint64(MOST_LEFT_OUT - 1)).astype(np.int64)
        starts, lengths = runs(keys >> _GROUP_BITS)
        whole = np.add.reduceat(numbers, starts)
        of_type = np.repeat(whole, lengths)
        lost = _c_log_c(of_type) - _c_log_c(of_type - numbers)
        for sums, all_of_them, of_group in (
            (tokens, whole.sum(), numbers),
            (types, len(whole), of_type == numbers),
            (spread, _c_log_c(whole).sum(), lost),
        ):
            sums += all_of_them
            sums[1:] -= np.bincount(groups, of_group, minlength=num_groups)
    return _Counted(tokens=tokens, types=types, spread=spread)


def _c_log_c(counts: Integers) -> Floats:
    return counts.astype(np.float64) * np.log(np.maximum(counts, 1))


def _jackknifed(names: tuple[str, ...], columns: Sequence[Floats]) -> JackknifedMetrics:
    values = np.stack(columns, axis=1)
    highest = tuple(np.inf if name.startswith("Entropy") else 1.0 for name in names)
    return JackknifedMetrics(
        names=names, all_values=values[0], left_out=values[1:], highest=highest
    )
