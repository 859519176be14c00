"""How sure a value and a difference of two systems are: bootstrap and jackknife over segments.

Bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; for systems that answer
the same segments Koehn, "Statistical Significance Tests for Machine Translation Evaluation", 2004.
The delete-a-group jackknife: Kott, "The Delete-a-Group Jackknife", Journal of Official Statistics
17(4), 2001; Shao and Tu, "The Jackknife and Bootstrap", 1995, chapter 5. It takes the place of
the bootstrap where repeated segments alone change a value, as they do the share of n-grams that are
distinct.

What is drawn is a group of segments: one segment up to `measure.MOST_GROUPS` of them.

Shapes: G groups, S sums, V values, J groups left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import erfc, exp, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from dialogpt.evaluation.measure import Floats, JackknifedMetrics, Metrics, SummedMetrics

_LEVEL = 0.95
_Z = 1.959963984540054
"""The normal distribution has _LEVEL of its mass within so many standard deviations."""
_WEIGHTS_AT_ONCE = 1 << 21
_MOST_KEPT = 1 << 25


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % confidence interval; nan where a value is, or where there is only one segment."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A value of one system less that of another on the same segments; nan as in `Interval`.

    Attributes:
        value: the difference.
        low, high: its 95 % confidence interval.
        p: two-sided: of a difference at least as far from 0 if there were none. Not corrected for
            the number of comparisons.
    """

    value: float
    low: float
    high: float
    p: float


_UNKNOWN = Interval(low=nan, high=nan)


class Bootstrap:
    """Intervals and comparisons of one evaluation, from the same draws.

    Values of drawn groups are kept, because each system is compared with several.

    Args:
        draws: how often G groups are drawn with replacement.
        seed: of the draws.
    """

    def __init__(self, *, draws: int = 1000, seed: int) -> None:
        self._draws = draws
        self._seed = seed
        # By identity; the metrics are kept, so that no other ones get it.
        self._drawn: dict[int, tuple[SummedMetrics, Floats]] = {}

    def intervals(self, metrics: Metrics) -> list[Interval]:
        """Of each value: percentiles of the bootstrap, for rates Wilson's, or by the jackknife.

        The bootstrap gives a rate of none, or all, of some hundred segments no width at all.
        """
        values = metrics.values()
        if isinstance(metrics, JackknifedMetrics):
            errors = _standard_errors(metrics.left_out)
            return [_within(*one) for one in zip(values, errors, metrics.highest, strict=True)]
        numbers = metrics.num_defined
        if metrics.are_rates and numbers is not None:
            return [_wilson(rate, number) for rate, number in zip(values, numbers, strict=True)]
        found = _percentiles(values, self._of(metrics))
        if numbers is not None:
            found = [one if n > 1 else _UNKNOWN for one, n in zip(found, numbers, strict=True)]
        return found

    def paired(self, a: Metrics, b: Metrics) -> list[Difference]:
        """The values of a less those of b.

        The bootstrap draws the same groups for both. Its p-value is the share of draws whose
        difference d* is at least as far from the difference d of all segments as that is from 0,
        #{|d* - d| >= |d|} / draws, as DialoGPT's Table 7 has it. The jackknife's is that of a
        normal distribution.

        Args:
            a: of one system.
            b: the same metrics of another one on the same segments.

        Raises:
            ValueError: they are not the same metrics, or not of as many segments.
        """
        if a.names != b.names:
            raise ValueError(f"expected the same metrics, found {a.names} and {b.names}")
        differences = a.values() - b.values()
        if isinstance(a, JackknifedMetrics) and isinstance(b, JackknifedMetrics):
            _require_same_number(len(a.left_out), len(b.left_out))
            errors = _standard_errors(a.left_out - b.left_out)
            between = _normal_intervals(differences, errors)
            p_values = [_normal_p(d, error) for d, error in zip(differences, errors, strict=True)]
        elif isinstance(a, SummedMetrics) and isinstance(b, SummedMetrics):
            _require_same_number(len(a.sums), len(b.sums))
            drawn = self._of(a) - self._of(b)
            between = _percentiles(differences, drawn)
            p_values = [
                _centred_p(d, column) for d, column in zip(differences, drawn.T, strict=True)
            ]
        else:
            raise ValueError(f"expected the same kind of metrics, found {type(a)} and {type(b)}")
        return [
            Difference(value=float(value), low=interval.low, high=interval.high, p=p)
            for value, interval, p in zip(differences, between, p_values, strict=True)
        ]

    def _of(self, metrics: SummedMetrics) -> Floats:
        """(draws, V) values of drawn groups: the same groups for all metrics of as many.

        None where there are less than two groups, which tell nothing.
        """
        if id(metrics) not in self._drawn:
            num_groups = len(metrics.sums)
            drawn = [np.zeros((0, len(metrics.names)))]
            if num_groups > 1:
                weights = _weights(num_groups, self._draws, self._seed)
                drawn = [metrics.formula(one @ metrics.sums) for one in weights]
            self._drawn[id(metrics)] = metrics, np.concatenate(drawn)
        return self._drawn[id(metrics)][1]


def _require_same_number(a: int, b: int) -> None:
    if a != b:
        raise ValueError(f"expected the same segments for both systems, found {a} and {b} groups")


def _weights(num_groups: int, draws: int, seed: int) -> Iterator[Floats]:
    """(some draws, G) float64: how often each group is drawn."""
    at_once = max(1, _WEIGHTS_AT_ONCE // num_groups)
    if draws * num_groups <= _MOST_KEPT:
        kept = _kept_weights(num_groups, draws, seed)
        for start in range(0, draws, at_once):
            yield kept[start : start + at_once].astype(np.float64)
    else:
        for counts in _new_weights(num_groups, draws, seed):
            yield counts.astype(np.float64)


@lru_cache(maxsize=1)
def _kept_weights(num_groups: int, draws: int, seed: int) -> NDArray[np.uint16]:
    """(draws, G): the same for all metrics and systems of an evaluation, and slow to draw."""
    return np.concatenate(list(_new_weights(num_groups, draws, seed)))


def _new_weights(num_groups: int, draws: int, seed: int) -> Iterator[NDArray[np.uint16]]:
    """(some draws, G) blocks. That a group is drawn 2^16 times does not happen."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _WEIGHTS_AT_ONCE // num_groups)
    for start in range(0, draws, at_once):
        number = min(at_once, draws - start)
        groups = rng.integers(0, num_groups, size=(number, num_groups))
        groups += np.arange(number)[:, None] * num_groups
        counts = np.bincount(groups.reshape(-1), minlength=number * num_groups)
        yield counts.reshape(number, num_groups).astype(np.uint16)


def _percentiles(values: Floats, drawn: Floats) -> list[Interval]:
    """Of (draws, V) values; of those draws in which a value is defined."""
    tail = (1 - _LEVEL) / 2
    found = []
    for value, column in zip(values, drawn.T, strict=True):
        defined = column[~np.isnan(column)]
        low = high = np.nan
        if not np.isnan(value) and len(defined):
            low, high = np.quantile(defined, [tail, 1 - tail])
        found.append(Interval(low=float(low), high=float(high)))
    return found


def _centred_p(difference: float, drawn: Floats) -> float:
    """#{|d* - d| >= |d|} / draws, of those draws in which the difference is defined."""
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(difference) or not len(defined):
        return np.nan
    # What is equal but for rounding counts as equal.
    return float(np.mean(np.abs(defined - difference) >= abs(difference) * (1 - 1e-9)))


def _standard_errors(left_out: Floats) -> Floats:
    """(V,) from (J, V): the root of (J - 1) / J * sum_j (value_j - mean)^2; nan for J < 2."""
    num_groups = len(left_out)
    if num_groups < 2:
        return np.full(left_out.shape[1], np.nan)
    deviations = left_out - left_out.mean(axis=0)
    errors: Floats = np.sqrt((num_groups - 1) / num_groups * (deviations**2).sum(axis=0))
    return errors


def _within(value: float, error: float, highest: float) -> Interval:
    """Normal on a scale without ends: the logit of value / highest, the logarithm without one.

    So no end lies where no value can. Not known where leaving segments out changes nothing.
    """
    if not (error > 0 and 0 < value < highest):
        return _UNKNOWN
    if highest == np.inf:
        factor = exp(_Z * error / value)
        return Interval(low=value / factor, high=value * factor)
    odds = value / (highest - value)
    factor = exp(_Z * error * highest / (value * (highest - value)))
    low, high = (highest * o / (1 + o) for o in (odds / factor, odds * factor))
    return Interval(low=low, high=high)


def _wilson(rate: float, number: float) -> Interval:
    """Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference"."""
    if not number > 1:
        return _UNKNOWN
    square = _Z**2 / number
    middle = (rate + square / 2) / (1 + square)
    half = _Z * sqrt(rate * (1 - rate) / number + square / (4 * number)) / (1 + square)
    return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half))


def _normal_intervals(values: Floats, errors: Floats) -> list[Interval]:
    return [
        Interval(low=float(value - _Z * error), high=float(value + _Z * error))
        for value, error in zip(values, errors, strict=True)
    ]


def _normal_p(difference: float, error: float) -> float:
    """Two-sided; of a difference that varies with no group 1 if it is 0, else 0."""
    if np.isnan(difference) or np.isnan(error):
        return np.nan
    if error == 0:
        return float(difference == 0)
    return erfc(abs(difference) / error / sqrt(2))
