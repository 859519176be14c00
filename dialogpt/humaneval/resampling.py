"""The bootstrap: resampled sums, what follows from them, and how sure a difference is.

Shapes: G groups (items or judgments), K sums, R draws.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.text import record_key

Floats = NDArray[np.float64]

_MOST_CELLS = 2_000_000
TIE = 1e-12
"""What rounding may make of two equal differences."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its uncertainty; None where it is not defined.

    Attributes:
        value: over all data.
        standard_error: standard deviation over the draws; None also where all draws are alike,
            because then they do not know how much the value may vary.
        low, high: 95 % percentile interval (2.5th and 97.5th percentile of the draws), or None.
    """

    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference(Estimate):
    """The first minus the second, with the probability of one as large were there none.

    Attributes:
        p_value: two-sided.
    """

    p_value: float | None


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers for a comparison of this name, the same whatever else is compared."""
    return np.random.default_rng([seed, record_key("\t".join(names))])


def resampled_sums(rows: NDArray[Any], *, draws: int, rng: np.random.Generator) -> Floats:
    """(R, K) sums over G rows drawn from the (G, K) rows with replacement.

    How often each row is drawn is multinomial. Equal rows are drawn as one, which changes nothing
    in the distribution: counts of judgments, of which there are few different ones, cost little,
    and one judgment a group is exactly the multinomial draw of DialoGPT's paper.
    """
    distinct, multiplicity = np.unique(rows, axis=0, return_counts=True)
    shares = multiplicity / len(rows)
    values = distinct.astype(np.float64)
    block = max(1, _MOST_CELLS // len(distinct))  # bounds the memory
    sums = np.empty((draws, rows.shape[1]))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        times = rng.multinomial(len(rows), shares, size=size)
        sums[start : start + size] = times.astype(np.float64) @ values
    return sums


def estimate(value: float, drawn: Floats, *, num_groups: int) -> Estimate:
    """A value with the spread of its (R,) draws; without one where there is none.

    That is so with a single group, and where all groups are alike: it would be 0, as if no more
    groups could come out otherwise. Draws without data for the value are nan, and are left out.
    """
    known = drawn[~np.isnan(drawn)]
    if math.isnan(value) or num_groups < 2 or not known.size or np.ptp(known) <= TIE:
        return Estimate(value=_or_none(value), standard_error=None, low=None, high=None)
    low, high = np.percentile(known, [2.5, 97.5])
    return Estimate(
        value=float(value), standard_error=float(known.std()), low=float(low), high=float(high)
    )


def difference(value: float, drawn: Floats, *, num_groups: int, p_value: float) -> Difference:
    """As `estimate`, with a p-value; of a single group there is none."""
    plain = estimate(value, drawn, num_groups=num_groups)
    return Difference(
        value=plain.value,
        standard_error=plain.standard_error,
        low=plain.low,
        high=plain.high,
        p_value=None if math.isnan(value) or num_groups < 2 else p_value,
    )


def centred_p(value: float, drawn: Floats) -> float:
    """Two-sided p of a difference by its (R,) draws, as in DialoGPT's Table 8.

    p = #{|d* - d| >= |d|} / R: draws centred at the difference d that was found stand for draws
    where there is none. It fits the p-values of that table, where twice the smaller tail and a
    normal approximation do not. Of few groups it is too small, and may be 0.
    """
    known = drawn[~np.isnan(drawn)]
    return float(np.mean(np.abs(known - value) >= abs(value) - TIE)) if known.size else 1.0


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
