"""How often chance alone makes a difference as large: tests that hold for however few groups.

A bootstrap of few groups knows nothing of those it has not seen: of two contexts in which all
judges agree every draw is the same, and no draw speaks against the difference. What is counted here
instead: if two systems were alike, each group could as well have come out with the systems'
names exchanged.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from dialogpt.humaneval.resampling import TIE, Floats

_MOST_STEPS = 200_000_000
"""Of a sign-flip test: groups times the sum of their gaps, about a second."""


def sign_flip_p(gaps: NDArray[np.int64]) -> float:
    """Two-sided p of the sum of (G,) gaps, each of which could as well have the other sign.

    The share of all 2^G ways to put the signs whose sum is as far from 0. Exact, not drawn: what
    is added up is the distribution of the sum. For m gaps that are not 0 it is 2 * 2^-m or more.

    Args:
        gaps: the first system minus the second in each group, in units that make them whole.
    """
    sizes = np.abs(gaps)
    if len(gaps) * int(sizes.sum()) > _MOST_STEPS:
        # A coarser unit costs power and is no less exact: a gap and its mirror image stay mirrored.
        unit = np.ceil(len(gaps) * sizes.sum() / _MOST_STEPS)
        gaps = np.rint(gaps / unit).astype(np.int64)
        sizes = np.abs(gaps)
    total, seen = int(sizes.sum()), abs(int(gaps.sum()))
    if seen == 0:
        return 1.0
    # share[u]: of the ways that make the sum of the positive gaps u; that of all is 2 u - total.
    share = np.zeros(total + 1)
    share[0] = 1.0
    reached = 0
    for size in np.sort(sizes[sizes > 0]):
        half = share[: reached + 1] / 2
        share[: reached + 1] = half
        reached += int(size)
        share[size : reached + 1] += half
    return _probability(2 * float(share[(total + seen) // 2 :].sum()))


def binomial_p(first: int, second: int) -> float:
    """Two-sided p of two counts that are as likely: a sign-flip test of as many gaps of 1.

    Args:
        first: judgments for the first system; neutral ones say nothing.
        second: for the second.
    """
    num, more = first + second, max(first, second)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, num + 1)))])
    log_ways = log_factorials[num] - log_factorials[more:] - log_factorials[num - more :: -1]
    return _probability(2 * float(np.exp(log_ways - num * np.log(2)).sum()))


def permutation_p(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    ratings: Floats,
    *,
    draws: int,
    rng: np.random.Generator,
) -> float:
    """Two-sided p of a difference of means, had each judgment been of either system by chance.

    Drawn, so that it is never below 1 / (R + 1): the judgments as they are count as one draw.

    Args:
        first: (V,) judgments of the first system by rating.
        second: of the second.
        ratings: (V,) what they stand for.
        draws: R.
        rng: makes them.
    """
    both = first + second
    dealt = rng.multivariate_hypergeometric(both, int(first.sum()), size=draws)
    means = dealt @ ratings / first.sum() - (both - dealt) @ ratings / second.sum()
    seen = abs(first @ ratings / first.sum() - second @ ratings / second.sum())
    return (1 + int((np.abs(means) >= seen - TIE).sum())) / (draws + 1)


def _probability(value: float) -> float:
    """At most 1, and not 0, which would say that something is impossible."""
    return min(1.0, max(value, sys.float_info.min))
