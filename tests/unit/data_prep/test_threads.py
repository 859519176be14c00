"""Trees by arrays against trees by dictionaries and recursion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.threads import Forest, ancestors, leaves, link_parents, sum_to_root

Comment = tuple[int, int, int]  # thread, id, parent


def linked(comments: list[Comment]) -> Forest:
    columns = np.array(comments, dtype=np.int64).reshape(-1, 3).T
    return link_parents(*columns)


def naive_parents(comments: list[Comment]) -> tuple[list[int | None], set[int], set[int]]:
    """Parent row of each comment, the rows of orphans, the rows where a circle is cut."""
    rows = {(thread, comment): row for row, (thread, comment, _) in enumerate(comments)}
    parents = [rows.get((thread, parent)) for thread, _, parent in comments]
    orphans = {
        row for row, (_, _, parent) in enumerate(comments) if parent >= 0 and parents[row] is None
    }
    cut = set()
    for row in range(len(comments)):
        walk, at = [], row
        while at is not None and at not in walk:
            walk.append(at)
            at = parents[at]
        if at == row:
            cut.add(min(walk))
    for row in cut:
        parents[row] = None
    return parents, orphans, cut


def naive_path(parents: list[int | None], row: int) -> list[int]:
    above = parents[row]
    return [*([] if above is None else naive_path(parents, above)), row]


@st.composite
def forests(draw: st.DrawFn) -> list[Comment]:
    """Few ids, so that missing parents, circles and parents in another thread all occur."""
    keys = draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), unique=True, max_size=25)
    )
    return [(thread, comment, draw(st.integers(-1, 13))) for thread, comment in keys]


@settings(deadline=None)
@given(forests(), st.integers(0, 9))
def test_forests_are_those_of_a_recursive_builder(
    comments: list[Comment], generations: int
) -> None:
    forest = linked(comments)
    parents, orphans, cut = naive_parents(comments)
    top = len(comments)
    assert forest.parents.tolist() == [top if row is None else row for row in parents]
    assert set(np.flatnonzero(forest.orphans).tolist()) == orphans
    assert set(np.flatnonzero(forest.cut).tolist()) == cut

    expected_leaves = sorted(set(range(top)) - {row for row in parents if row is not None})
    assert leaves(forest.parents).tolist() == expected_leaves

    values = np.arange(top) ** 2
    paths = [naive_path(parents, row) for row in range(top)]
    assert sum_to_root(forest.parents, values).tolist() == [
        sum(row**2 for row in path) for path in paths
    ]
    above = ancestors(forest.parents, np.arange(top), generations)
    assert above.tolist() == [([top] * 10 + path)[-1 - generations] for path in paths]


def test_a_comment_that_answers_itself_is_a_first_turn() -> None:
    forest = linked([(1, 10, 10), (1, 11, 10)])
    assert forest.parents.tolist() == [2, 0]
    assert forest.cut.tolist() == [True, False]
    assert not forest.orphans.any()


def test_a_ring_of_two_is_cut_at_its_first_row_and_keeps_its_replies() -> None:
    forest = linked([(1, 10, 11), (1, 11, 10), (1, 12, 11)])
    assert forest.parents.tolist() == [3, 0, 1]
    assert forest.cut.tolist() == [True, False, False]


def test_a_parent_of_another_thread_is_none() -> None:
    forest = linked([(1, 10, -1), (2, 11, 10)])
    assert forest.parents.tolist() == [2, 2]
    assert forest.orphans.tolist() == [False, True]


def test_the_largest_ids_do_not_overflow() -> None:
    largest = 36**12 - 1
    forest = linked([(largest, largest, -1), (largest, largest - 1, largest), (0, 0, largest)])
    assert forest.parents.tolist() == [3, 0, 3]


def test_nothing_gives_nothing() -> None:
    forest = linked([])
    assert len(forest.parents) == len(leaves(forest.parents)) == 0
    assert len(sum_to_root(forest.parents, forest.parents)) == 0


@pytest.mark.parametrize("length", [1, 2, 3, 31, 32, 33])
def test_rings_of_every_length_are_cut_once(length: int) -> None:
    forest = linked([(0, row, (row + 1) % length) for row in range(length)])
    assert np.flatnonzero(forest.cut).tolist() == [0]
    assert sum_to_root(forest.parents, np.ones(length, np.int64)).max() == length


def test_a_chain_of_100_000_and_a_star_of_1_000_000() -> None:
    rows = np.arange(100_000)
    chain = link_parents(np.zeros_like(rows), rows, rows - 1)
    assert leaves(chain.parents).tolist() == [99_999]
    np.testing.assert_array_equal(sum_to_root(chain.parents, np.ones_like(rows)), rows + 1)

    rows = np.arange(1_000_000)
    star = link_parents(np.zeros_like(rows), rows, np.where(rows, 0, -1))
    assert len(leaves(star.parents)) == 999_999
    assert sum_to_root(star.parents, rows).max() == 999_999
