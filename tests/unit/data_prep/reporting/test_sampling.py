from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.reporting.sampling import RowGroup, chosen_groups, spaced


@given(st.integers(0, 500), st.integers(0, 600), st.lists(st.integers(0, 500), max_size=5))
def test_rows_taken_in_parts_are_as_many_as_wanted_and_evenly_spaced(total, wanted, cuts):
    borders = sorted({0, total, *(cut for cut in cuts if cut < total)})
    rows = [
        start + row
        for start, end in pairwise(borders)
        for row in spaced(start, end - start, wanted=wanted, total=total).tolist()
    ]
    assert len(rows) == min(wanted, total)
    if len(rows) > 1:
        steps = np.diff(rows)
        assert steps.max() - steps.min() <= 1


def groups_of(sizes: list[int]) -> list[RowGroup]:
    return [RowGroup("train", None, number, size, size) for number, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(0, 2_000))
def test_as_many_rows_are_chosen_as_there_may_be(sizes, max_rows):
    chosen = chosen_groups(groups_of(sizes), max_rows)
    wanted = min(max_rows, sum(sizes)) if max_rows else sum(sizes)
    assert sum(group.num_chosen for group in chosen) == wanted
    assert [group.number for group in chosen] == sorted(group.number for group in chosen)


@pytest.mark.parametrize("num_groups", [100, 1_000, 10_000])
def test_chosen_groups_are_spread_over_the_files(num_groups):
    chosen = chosen_groups(groups_of([10] * num_groups), num_groups)  # a tenth of the rows
    places = [group.number / num_groups for group in chosen]
    assert all(any(low <= place < low + 0.25 for place in places) for low in (0, 0.25, 0.5, 0.75))
