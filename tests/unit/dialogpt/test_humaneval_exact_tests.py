"""What p is where there is no difference, and for however many groups."""

from itertools import product
from math import erfc, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.humaneval.exact_tests import binomial_p, permutation_p, sign_flip_p


@settings(max_examples=25)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_a_sign_flip_test_counts_all_signs(gaps: list[int]) -> None:
    sums = [
        abs(sum(sign * gap for sign, gap in zip(signs, gaps, strict=True)))
        for signs in product((1, -1), repeat=len(gaps))
    ]
    share = sum(one >= abs(sum(gaps)) for one in sums) / len(sums)
    assert sign_flip_p(np.array(gaps)) == pytest.approx(share)


@pytest.mark.parametrize(("first", "second"), [(5, 0), (0, 5), (3, 4), (0, 0), (60, 41)])
def test_a_binomial_test_flips_signs_of_judgments(first: int, second: int) -> None:
    gaps = np.array([1] * first + [-1] * second, np.int64)
    assert binomial_p(first, second) == pytest.approx(sign_flip_p(gaps))


@pytest.mark.parametrize("num_groups", [3, 5, 10, 20, 50])
def test_without_a_difference_p_is_small_as_rarely_as_it_says(num_groups: int) -> None:
    """Three judges a context who lean the same way; 1,000 studies, so that .01 may be .019."""
    rng = np.random.default_rng(num_groups)
    lean = rng.beta(0.7, 0.7, size=(1000, num_groups))
    first = rng.binomial(3, lean)
    found = np.array([sign_flip_p(2 * row - 3) for row in first])
    for level in (0.01, 0.05, 0.2):
        assert (found <= level).mean() <= level + 3 * sqrt(level * (1 - level) / 1000)


def test_many_judgments_do_not_overflow() -> None:
    gaps = np.random.default_rng(0).integers(-10_000, 10_200, 6000)
    by_normal = erfc(abs(gaps.sum()) / sqrt(2 * (gaps**2).sum()))
    assert 0.1 < by_normal < 0.9
    assert sign_flip_p(gaps) == pytest.approx(by_normal, abs=0.01)
    assert binomial_p(1_000_000, 1_001_960) == pytest.approx(0.166, abs=0.001)
    assert 0 < binomial_p(100_000, 0) < 1e-300


def test_a_permutation_test_is_never_sure() -> None:
    first, second = np.array([0, 0, 40]), np.array([40, 0, 0])
    found = permutation_p(
        first, second, np.array([0.0, 1, 2]), draws=99, rng=np.random.default_rng(0)
    )
    assert found == 0.01
