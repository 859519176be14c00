from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.reporting.distribution import Distribution

numbers = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=200)


def distribution_of(values: list[int], num_parts: int = 1) -> Distribution:
    distribution = Distribution()
    for part in np.array_split(np.array(values, np.int64), num_parts):
        distribution.add(part)
    return distribution


@given(numbers, st.integers(1, 7), st.sampled_from([0.05, 0.25, 0.5, 0.95, 0.99, 1.0]))
def test_numbers_added_in_parts_are_counted_as_if_sorted_in_a_list(values, num_parts, share):
    distribution = distribution_of(values, num_parts)
    ordered = sorted(values)
    assert [*distribution.items()] == sorted({v: values.count(v) for v in values}.items())
    assert (distribution.least, distribution.greatest) == (ordered[0], ordered[-1])
    assert (distribution.total, distribution.sum) == (len(values), sum(values))
    assert distribution.mean == pytest.approx(sum(values) / len(values))
    reached = [v for i, v in enumerate(ordered, start=1) if i >= share * len(values) - 1e-6]
    assert distribution.quantile(share) == reached[0]
    assert distribution.share_above(ordered[0]) == sum(v > ordered[0] for v in values) / len(values)


@given(numbers, st.integers(1, 40), st.sampled_from([0.005, 0.02]))
def test_every_number_is_in_exactly_one_bar(values, most, outer):
    bars = distribution_of(values).bars(most, outer=outer)
    for bar in bars:
        within = [
            value
            for value in values
            if (bar.first is None or value >= bar.first) and (bar.last is None or value <= bar.last)
        ]
        assert bar.count == len(within)
    assert sum(bar.count for bar in bars) == len(values)
    assert all(bar.last + 1 == after.first for bar, after in pairwise(bars))
    assert any(not bar.is_open for bar in bars)


def test_what_lies_far_out_gets_one_bar_and_the_others_stay_narrow():
    values = [*range(30)] * 10 + [1_000_000]
    bars = distribution_of(values).bars(40)
    assert [(bar.first, bar.last) for bar in bars[:2]] == [(0, 0), (1, 1)]
    assert (bars[-1].first, bars[-1].last, bars[-1].count) == (30, None, 1)


def test_the_negative_end_is_open_as_well():
    values = [-1_000, *[*range(-5, 25)] * 10, 1_000]
    bars = distribution_of(values).bars(40)
    assert (bars[0].first, bars[0].last, bars[0].count) == (None, -6, 1)


def test_no_number_at_all_is_no_error():
    nothing = Distribution()
    assert (nothing.total, nothing.mean, nothing.least, nothing.quantile(0.5)) == (0, 0, 0, 0)
    assert nothing.bars(40) == []
    assert nothing.share_above(3) == 0
