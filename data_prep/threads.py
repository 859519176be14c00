"""Comments -> reply trees, as arrays: no recursion and no object a comment.

A forest of n comments is an array of n parent rows; the row number n stands above all roots. What
depends on the way to the root (depth, words so far) is found by pointer doubling: after k rounds
each comment knows the sum over its next 2**k ancestors. A chain of 100,000 takes 17 rounds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Forest:
    """The reply trees of n comments.

    Attributes:
        parents: (n,) row of the comment that is answered; n for the first of a path.
        orphans: (n,) comments whose parent is not among the n; they count as first.
        cut: (n,) comments that answered themselves by way of others; they count as first.
    """

    parents: IntArray
    orphans: BoolArray
    cut: BoolArray


def link_parents(thread_ids: IntArray, comment_ids: IntArray, parent_ids: IntArray) -> Forest:
    """Find the row of each comment's parent, and cut what would go round in circles.

    Of a circle the comment of the lowest row is cut loose. A parent in another thread is none:
    otherwise the answer would depend on which threads are looked at together.

    Args:
        thread_ids: (n,) the submission of each comment.
        comment_ids: (n,) distinct within a thread.
        parent_ids: (n,) id of a comment, negative for answers to the submission.
    """
    num_comments = len(comment_ids)
    _, threads = np.unique(thread_ids, return_inverse=True)
    distinct_ids, ids = np.unique(comment_ids, return_inverse=True)
    # Two 63-bit ids do not fit one key; their ranks do.
    keys = threads * len(distinct_ids) + ids
    parent_ranks = np.searchsorted(distinct_ids, parent_ids)
    id_exists = _at(distinct_ids, parent_ranks) == parent_ids
    parent_keys = threads * len(distinct_ids) + np.where(id_exists, parent_ranks, 0)

    order = np.argsort(keys, kind="stable")
    places = np.searchsorted(keys, parent_keys, sorter=order)
    rows = _at(order, places)
    found = (parent_ids >= 0) & id_exists & (_at(keys, rows) == parent_keys)
    parents = np.where(found, rows, num_comments)
    cut = _first_of_circles(parents)
    return Forest(
        parents=np.where(cut, num_comments, parents),
        orphans=(parent_ids >= 0) & ~found,
        cut=cut,
    )


def _at(values: IntArray, positions: IntArray) -> IntArray:
    """values[positions], with positions beyond the end taken back to the last."""
    if not len(values):
        return np.zeros(len(positions), np.int64)
    return values[np.minimum(positions, len(values) - 1)]


def _first_of_circles(parents: IntArray) -> BoolArray:
    """(n,) bool: the lowest row of each circle of parents."""
    num_comments = len(parents)
    rounds = num_comments.bit_length()
    jumps = _with_top(parents)
    for _ in range(rounds):
        if (jumps == num_comments).all():
            return np.zeros(num_comments, np.bool_)
        jumps = jumps[jumps]
    # After n or more jumps whoever has not reached the top is on a circle, and as walking on a
    # circle is a bijection, every comment of it is arrived at.
    on_circle = np.unique(jumps[jumps != num_comments])
    lowest = np.arange(num_comments + 1)
    jumps = _with_top(parents)
    for _ in range(len(on_circle).bit_length()):
        lowest[on_circle] = np.minimum(lowest[on_circle], lowest[jumps[on_circle]])
        jumps[on_circle] = jumps[jumps[on_circle]]
    cut = np.zeros(num_comments, np.bool_)
    cut[on_circle] = lowest[on_circle] == on_circle
    return cut


def sum_to_root(parents: IntArray, values: IntArray) -> IntArray:
    """The sum of values over each comment and all comments above it.

    Args:
        parents: (n,) as in Forest, without circles.
        values: (n,) what to add up; ones give the number of turns from the root.
    """
    num_comments = len(parents)
    jumps = _with_top(parents)
    sums = np.append(values, 0).astype(np.int64)
    while not (jumps == num_comments).all():
        sums += sums[jumps]
        jumps = jumps[jumps]
    return sums[:-1]


def ancestors(parents: IntArray, rows: IntArray, generations: int) -> IntArray:
    """The comment so many replies above each row, or n where the way ends before.

    Args:
        parents: (n,) as in Forest.
        rows: (m,) where to start.
        generations: how far up; 0 gives rows back.
    """
    jumps = _with_top(parents)
    while generations:
        if generations & 1:
            rows = jumps[rows]
        generations >>= 1
        if generations:
            jumps = jumps[jumps]
    return rows


def leaves(parents: IntArray) -> IntArray:
    """The rows that nobody answers, ascending."""
    is_parent = np.zeros(len(parents) + 1, np.bool_)
    is_parent[parents] = True
    return np.flatnonzero(~is_parent[:-1])


def _with_top(parents: IntArray) -> IntArray:
    """The parents with one more entry: the top is its own parent, so jumps end there."""
    return np.append(parents, len(parents)).astype(np.int64)
