"""Intervals and p-values: against formulas, and by how often they are right."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dialogpt.evaluation import bootstrap
from dialogpt.evaluation.bootstrap import Bootstrap, Difference, Interval
from dialogpt.evaluation.means import Means
from dialogpt.evaluation.measure import Floats, JackknifedMetrics, Metrics, SummedMetrics


def intervals(metrics: Metrics, *, draws: int = 1000, seed: int) -> list[Interval]:
    return Bootstrap(draws=draws, seed=seed).intervals(metrics)


def paired(a: Metrics, b: Metrics, *, draws: int = 1000, seed: int) -> list[Difference]:
    return Bootstrap(draws=draws, seed=seed).paired(a, b)


def mean_of(values: Floats, *names: str) -> SummedMetrics:
    """The mean of (segments, V) values, or of (segments,) ones."""
    columns = values.reshape(len(values), -1)
    return SummedMetrics(
        names=names or ("mean",),
        sums=np.column_stack([columns, np.ones(len(values))]),
        formula=lambda sums: sums[..., :-1] / sums[..., -1:],
    )


def jackknifed(values: Floats, of: Callable[..., Floats] = np.mean) -> JackknifedMetrics:
    """A function of (segments,) values, each segment a group."""
    rest = [of(np.delete(values, i)) for i in range(len(values))]
    return JackknifedMetrics(
        names=("mean",),
        all_values=np.array([of(values)]),
        left_out=np.array(rest)[:, None],
        highest=(math.inf,),
    )


def test_the_intervals_of_a_mean_are_those_of_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    error = values.std() / math.sqrt(len(values))
    (drawn,) = intervals(mean_of(values), draws=20_000, seed=0)
    assert drawn.low == pytest.approx(values.mean() - 1.96 * error, abs=0.04 * error)
    assert drawn.high == pytest.approx(values.mean() + 1.96 * error, abs=0.04 * error)
    # Of a mean the jackknife gives exactly the usual standard error.
    (normal,) = intervals(jackknifed(values), seed=0)
    error = values.std(ddof=1) / math.sqrt(len(values))
    on_log_scale = 1.959964 * error / values.mean()
    assert math.log(normal.low) == pytest.approx(math.log(values.mean()) - on_log_scale, abs=1e-6)
    assert math.log(normal.high) == pytest.approx(math.log(values.mean()) + on_log_scale, abs=1e-6)


def rate_of(values: Floats) -> SummedMetrics:
    means = Means(("rate",), are_rates=True)
    means.add(values[:, None])
    return means.metrics()


def test_a_rate_of_none_and_of_all_has_a_width() -> None:
    # Wilson's interval of 0 of 1,999, to the digits of published tables (3.8415 / 2002.84).
    (none,) = intervals(rate_of(np.zeros(1999)), seed=0)
    assert (none.low, none.high) == pytest.approx((0.0, 0.0019180), abs=1e-6)
    (all_of_them,) = intervals(rate_of(np.ones(1999)), seed=0)
    assert (all_of_them.low, all_of_them.high) == pytest.approx((0.9980820, 1.0), abs=1e-6)


@pytest.mark.parametrize(("rate", "number"), [(0.002, 1000), (0.01, 200), (0.3, 100)])
def test_19_of_20_intervals_hold_a_rate(rate: float, number: int) -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        (interval,) = intervals(rate_of((rng.random(number) < rate).astype(np.float64)), seed=0)
        hits += interval.low <= rate <= interval.high
    assert 0.92 <= hits / 400 <= 1.0


def test_an_interval_stays_where_values_can_be() -> None:
    rest = np.array([[0.975], [0.985], [0.97], [0.985]])
    near_1 = JackknifedMetrics(
        names=("share",), all_values=np.array([0.98]), left_out=rest, highest=(1.0,)
    )
    (interval,) = intervals(near_1, seed=0)
    assert 0.8 < interval.low < 0.98 < interval.high < 1.0
    alike = replace(near_1, left_out=np.full((4, 1), 0.98))
    assert math.isnan(intervals(alike, seed=0)[0].low)


def test_a_mean_over_one_segment_has_no_interval() -> None:
    means = Means(("often", "once"))
    defined = np.array([[True, True], [True, False], [True, False]])
    means.add(np.array([[1.0, 2.0], [2.0, 0.0], [4.0, 0.0]]), defined)
    often, once = intervals(means.metrics(), seed=0)
    assert often.low < 7 / 3 < often.high
    assert math.isnan(once.low)
    assert means.metrics().num_defined.tolist() == [3, 1]


@pytest.mark.parametrize("form", [mean_of, jackknifed])
def test_19_of_20_intervals_hold_the_true_value(form: Callable[[Floats], SummedMetrics]) -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        (interval,) = intervals(form(rng.exponential(1.0, 80)), draws=400, seed=seed)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.89 <= hits / 200 <= 0.98


@pytest.mark.parametrize("form", [mean_of, jackknifed])
def test_of_two_equal_systems_1_of_20_differs(form: Callable[[Floats], SummedMetrics]) -> None:
    rng = np.random.default_rng(3)
    found = 0
    for seed in range(200):
        both = rng.normal(0.0, 5.0, 100)  # segments are hard or easy for both
        a, b = (form(both + rng.normal(0.0, 1.0, 100)) for _ in range(2))
        (difference,) = paired(a, b, draws=400, seed=seed)
        found += difference.p < 0.05
    assert 0.02 <= found / 200 <= 0.09


def test_the_same_segments_are_drawn_for_both_systems() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0.0, 5.0, 100)
    (difference,) = paired(mean_of(values + 0.25), mean_of(values), seed=0)
    assert difference.value == pytest.approx(0.25)
    assert (difference.low, difference.high) == pytest.approx((0.25, 0.25))
    assert difference.p == 0.0
    (one,) = intervals(mean_of(values), seed=0)
    assert one.high - one.low > 1.0


@pytest.mark.parametrize("form", [mean_of, jackknifed])
def test_identical_systems_differ_by_0_with_p_1(form: Callable[[Floats], SummedMetrics]) -> None:
    values = np.random.default_rng(5).normal(size=50)
    (difference,) = paired(form(values), form(values.copy()), seed=0)
    assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)


def test_the_p_value_is_the_share_of_draws_as_far_from_the_difference_as_it_is_from_0() -> None:
    # 30 judgments for a, 20 for b of 100: the published tables of DialoGPT have this form.
    a, b = np.zeros(100), np.zeros(100)
    a[:30] = b[30:50] = 1
    (difference,) = paired(mean_of(a), mean_of(b), draws=40_000, seed=0)
    deviation = math.sqrt((0.3 + 0.2 - 0.1**2) / 100)
    # Differences are multiples of 0.01, so that |d* - d| >= 0.1 begins at 0.095.
    assert difference.p == pytest.approx(math.erfc(0.095 / deviation / math.sqrt(2)), abs=0.006)
    assert difference.value == pytest.approx(0.1)


def test_nan_stays_nan_and_draws_in_which_a_value_lacks_are_left_out() -> None:
    values = np.array([[1.0, math.nan], [3.0, math.nan]] * 20)
    metrics = mean_of(values, "known", "unknown")
    known, unknown = intervals(metrics, seed=0)
    assert known.low < 2.0 < known.high
    assert math.isnan(unknown.low)
    assert math.isnan(unknown.high)
    _, difference = paired(metrics, metrics, seed=0)
    assert np.isnan([difference.value, difference.low, difference.high, difference.p]).all()
    # One of three segments counts; a third of the draws and less has none.
    rare = SummedMetrics(
        names=("share",),
        sums=np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]),
        formula=lambda sums: sums[..., :1] / np.where(sums[..., 1:] > 0, sums[..., 1:], np.nan),
    )
    assert intervals(rare, seed=0) == [Interval(low=0.5, high=0.5)]
    nan_left_out = JackknifedMetrics(
        names=("x",),
        all_values=np.array([1.0]),
        left_out=np.array([[1.0], [math.nan]]),
        highest=(math.inf,),
    )
    assert math.isnan(intervals(nan_left_out, seed=0)[0].low)
    assert math.isnan(paired(nan_left_out, nan_left_out, seed=0)[0].p)


@pytest.mark.parametrize("form", [mean_of, jackknifed])
def test_one_segment_tells_no_interval(form: Callable[[Floats], SummedMetrics]) -> None:
    with np.errstate(all="ignore"):
        metrics = form(np.array([2.0]), *([np.sum] if form is jackknifed else []))
    assert math.isnan(intervals(metrics, seed=0)[0].low)
    (difference,) = paired(metrics, metrics, seed=0)
    assert difference.value == 0.0
    assert math.isnan(difference.p)


def test_draws_depend_on_the_seed_and_not_on_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = mean_of(np.random.default_rng(6).normal(size=30))
    first = intervals(metrics, draws=100, seed=7)
    assert intervals(metrics, draws=100, seed=7) == first != intervals(metrics, draws=100, seed=8)
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 30 * 7)  # seven draws at once
    for most_kept in (0, 1 << 20):
        monkeypatch.setattr(bootstrap, "_MOST_KEPT", most_kept)
        bootstrap._kept_weights.cache_clear()
        assert intervals(metrics, draws=100, seed=7)[0].low == pytest.approx(first[0].low, rel=1e-9)


def test_what_cannot_be_compared_is_refused() -> None:
    values = np.arange(9.0)
    for a, b, message in [
        (mean_of(values), mean_of(values, "other"), "the same metrics"),
        (mean_of(values), mean_of(values[:8]), "the same segments"),
        (jackknifed(values), jackknifed(values[:8]), "the same segments"),
        (mean_of(values), jackknifed(values), "the same kind"),
    ]:
        with pytest.raises(ValueError, match=message):
            paired(a, b, seed=0)
