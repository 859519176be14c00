"""Which of two systems judges prefer: shares, differences and majority votes.

Shapes: C items of a pair, N judgments. The three columns are first, neutral, second.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.humaneval.answers import VALUES
from dialogpt.humaneval.exact_tests import binomial_p, sign_flip_p
from dialogpt.humaneval.judgments import Judgment
from dialogpt.humaneval.resampling import (
    Difference,
    Estimate,
    Floats,
    centred_p,
    difference,
    estimate,
    generator,
    resampled_sums,
)

Counts = NDArray[np.int64]

STARS = (1e-2, 1e-3, 1e-4, 1e-5)
"""A star for each that p does not exceed, as under DialoGPT's Table 7."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """What judges say of a pair of systems on one aspect.

    Attributes:
        systems: the first and the second.
        aspect: what they were compared for.
        first, neutral, second: judgments for the first, for neither, for the second.
        num_items: contexts; None where only counts are known.
        share_first, share_second: judgments for a system over all judgments, so that neutral ones
            count for neither.
        share_difference: the first share minus the second.
        stars: by its p-value.
        majority: items won by "first", "neutral", "second" by more votes than either other answer
            has, and those "tied"; None where only counts are known.
    """

    systems: tuple[str, ...]
    aspect: str
    first: int
    neutral: int
    second: int
    num_items: int | None
    share_first: Estimate
    share_second: Estimate
    share_difference: Difference
    stars: str
    majority: Mapping[str, int] | None

    @property
    def num_judgments(self) -> int:
        """All three answers together."""
        return self.first + self.neutral + self.second


def preferences(
    judgments: Iterable[Judgment], *, resample: str, draws: int, seed: int
) -> list[Preference]:
    """One for each pair and aspect, sorted by pair, aspects in the order they first appear in.

    Args:
        judgments: on items that are judged, all pairwise.
        resample: "item" draws items with all their judgments, "judgment" each judgment by itself.
        draws: R.
        seed: of the draws.
    """
    columns = {value: column for column, value in enumerate(VALUES["pairwise"])}
    by_pair: dict[tuple[tuple[str, ...], str], dict[int, list[int]]] = defaultdict(dict)
    aspects: dict[str, None] = {}
    for judgment in judgments:
        aspects[judgment.aspect] = None
        items = by_pair[judgment.systems, judgment.aspect]
        # The context, not the item's id: a pair shown in both orders is one piece of evidence.
        counts = items.setdefault(judgment.context_index, [0, 0, 0])
        counts[columns[judgment.value]] += 1
    order = {aspect: number for number, aspect in enumerate(aspects)}
    found = []
    for pair, aspect in sorted(by_pair, key=lambda key: (key[0], order[key[1]])):
        counts_by_item = np.array(list(by_pair[pair, aspect].values()), np.int64)
        groups = counts_by_item if resample == "item" else single(counts_by_item.sum(axis=0))
        rng = generator(seed, *pair, aspect)
        found.append(
            preference(
                pair,
                aspect,
                groups,
                counts_by_item=counts_by_item,
                resample=resample,
                draws=draws,
                rng=rng,
            )
        )
    return found


def single(counts: Counts) -> Counts:
    """(N, 3) one row a judgment, from the (3,) counts."""
    return np.repeat(np.eye(3, dtype=np.int64), counts, axis=0)


def preference(
    systems: tuple[str, ...],
    aspect: str,
    groups: Counts,
    *,
    counts_by_item: Counts | None,
    resample: str,
    draws: int,
    rng: np.random.Generator,
) -> Preference:
    """What follows from counts of answers.

    The shares are those of DialoGPT's Tables 7 and 8: a / n and b / n. The difference is resampled
    itself: its standard error is sqrt((a + b) / n - ((a - b) / n)^2) / sqrt(n) where judgments are
    drawn one by one, and not that of two independent shares.

    Args:
        systems: the first and the second.
        aspect: what they were compared for.
        groups: (G, 3) answers of what is drawn as one.
        counts_by_item: (C, 3) answers by item; None where only counts are known.
        resample: "item" or "judgment": what a group is.
        draws: R.
        rng: makes them.
    """
    first, neutral, second = (int(n) for n in groups.sum(axis=0))
    total = first + neutral + second
    sums = resampled_sums(groups, draws=draws, rng=rng)
    shares = sums / sums.sum(axis=1, keepdims=True)
    num_groups = len(groups)
    value, drawn = (first - second) / total, shares[:, 0] - shares[:, 2]
    p_value = (
        sign_flip_p(groups[:, 0] - groups[:, 2])
        if resample == "item"
        else _paper_p(value, drawn, first, second)
    )
    between = difference(value, drawn, num_groups=num_groups, p_value=p_value)
    return Preference(
        systems=systems,
        aspect=aspect,
        first=first,
        neutral=neutral,
        second=second,
        num_items=None if counts_by_item is None else len(counts_by_item),
        share_first=estimate(first / total, shares[:, 0], num_groups=num_groups),
        share_second=estimate(second / total, shares[:, 2], num_groups=num_groups),
        share_difference=between,
        stars=stars(between.p_value),
        majority=None if counts_by_item is None else majority_counts(counts_by_item),
    )


def _paper_p(value: float, drawn: Floats, first: int, second: int) -> float:
    """That of DialoGPT's Table 8, but not below that of the exact test.

    No p between 0 and 1 / R can come of R draws, and of few judgments 0 comes too easily.
    """
    return max(centred_p(value, drawn), binomial_p(first, second))


def stars(p_value: float | None) -> str:
    """* for p <= .01, ** for p <= .001, *** for p <= .0001, **** for p <= .00001."""
    return "" if p_value is None else "*" * sum(p_value <= level for level in STARS)


def majority_counts(counts_by_item: Counts) -> dict[str, int]:
    """How many items each answer wins, and how many have two answers with the most votes."""
    most = counts_by_item.max(axis=1, keepdims=True)
    wins = counts_by_item == most
    clear = wins.sum(axis=1) == 1
    names: Sequence[Any] = VALUES["pairwise"]
    won = {str(name): int(wins[clear, column].sum()) for column, name in enumerate(names)}
    return won | {"tied": int((~clear).sum())}
