import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogpt.train.schedule import learning_rate

NAMES = ["noam", "linear", "cosine", "constant"]


def rate(step, name="noam", *, peak=1.0, warmup_steps=100, total_steps=1000):
    return learning_rate(step, name, peak=peak, warmup_steps=warmup_steps, total_steps=total_steps)


@given(
    step=st.integers(1, 10**6), warmup=st.integers(1, 20_000), width=st.sampled_from([768, 1024])
)
def test_noam_is_the_formula_of_the_reference_code(step, warmup, width):
    # rate = 1e-5 * 1e4 * width**-0.5 * min(step**-0.5, step * warmup**-1.5)
    theirs = 0.1 * width**-0.5 * min(step**-0.5, step * warmup**-1.5)
    peak = 0.1 * width**-0.5 * warmup**-0.5
    assert rate(step, peak=peak, warmup_steps=warmup) == pytest.approx(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_warm_up_is_a_line_to_the_peak(name):
    assert [rate(step, name) for step in (1, 50, 100)] == [0.01, 0.5, 1.0]


@pytest.mark.parametrize("name", NAMES)
@given(step=st.integers(1, 1000))
def test_no_rate_is_negative_or_above_the_peak(name, step):
    assert 0.0 <= rate(step, name) <= 1.0


@pytest.mark.parametrize(
    ("name", "middle", "last"),
    [
        ("noam", math.sqrt(100 / 550), math.sqrt(0.1)),
        ("linear", 0.5, 0.0),
        ("cosine", 0.5, 0.0),
        ("constant", 1.0, 1.0),
    ],
)
def test_values_half_way_and_at_the_end(name, middle, last):
    assert rate(550, name) == pytest.approx(middle)
    assert rate(1000, name) == pytest.approx(last, abs=1e-12)


@pytest.mark.parametrize("name", ["linear", "cosine", "constant"])
def test_without_warm_up_the_first_step_is_not_at_zero(name):
    assert rate(1, name, warmup_steps=0) == pytest.approx(1.0, abs=0.01)


def test_steps_count_from_one():
    with pytest.raises(ValueError, match="count from 1"):
        rate(0)
