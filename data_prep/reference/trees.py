"""Comments of some threads -> the reply trees that the public code of DialoGPT sees, as arrays."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.counts import DUPLICATE_ID, Tally
from data_prep.post_fields import ROOT
from data_prep.reference.pairs import rows_of_pairs
from data_prep.reference.posts import UNKNOWN_SUBMISSION
from data_prep.text_columns import BoolArray
from data_prep.threads import IntArray


@dataclass(frozen=True, slots=True)
class Submissions:
    """Distinct submissions.

    Attributes:
        ids: (n,).
        subs: (n,) int32, number of the release's file that has the submission first.
        is_usable: (n,) whether the release can use what it reads there.
        titles: n large strings, null where blank; or None where they are not wanted.
    """

    ids: IntArray
    subs: NDArray[np.int32]
    is_usable: BoolArray
    titles: pa.Array | None

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """The submissions of a table of `posts.KEPT_SUBMISSIONS_SCHEMA`.

        Of several rows of one submission the last usable one of its first file counts.
        """
        ids, subs, usable = (np.asarray(table.column(name)) for name in ("id", "sub", "is_usable"))
        rows = np.arange(len(ids))
        if (_rows_of_ids(ids, ids) != rows).any():
            order = np.lexsort((rows, usable, -subs, ids))
            rows = order[np.diff(ids[order], append=-1) != 0]
        titles = None
        if "title" in table.schema.names:
            titles = table.column("title").combine_chunks().take(pa.array(rows))
        return cls(ids[rows], subs[rows], usable[rows], titles)


@dataclass(frozen=True, slots=True)
class ReferenceTrees:
    """The reply trees of n comments.

    Attributes:
        rows: (n,) row of each comment in the table that the trees were made from.
        ids, link_ids, scores: (n,) of the comments.
        submission_rows: (n,) row of the comment's thread in the Submissions.
        parents: (n,) row of the comment that is answered, n where there is none. Unlike those of
            `threads.Forest` they may go round in circles.
        is_top: (n,) whether it answers a submission.
        is_turn: (n,) whether it has few enough words.
    """

    rows: IntArray
    ids: IntArray
    link_ids: IntArray
    scores: IntArray
    submission_rows: IntArray
    parents: IntArray
    is_top: BoolArray
    is_turn: BoolArray

    def is_leaf(self) -> BoolArray:
        """(n,) whether nobody answers it; what is too long to be a turn is an answer, too."""
        is_parent = np.zeros(len(self.rows) + 1, np.bool_)
        is_parent[self.parents] = True
        return ~is_parent[:-1]

    def climb(self, leaf_rows: IntArray, max_depth: int) -> tuple[IntArray, IntArray]:
        """How far the paths to m comments reach: below the first that is absent or no turn.

        Returns:
            num_turns: (m,) how many comments they have, at most max_depth.
            first_rows: (m,) the row of the first of them, n where there is none.
        """
        goes_on = np.append(self.is_turn, False)
        above = np.append(self.parents, len(self.parents))
        num_turns = np.zeros(len(leaf_rows), np.int64)
        first_rows = np.full(len(leaf_rows), len(self.parents))
        paths, current = np.arange(len(leaf_rows)), leaf_rows
        for _ in range(max_depth):
            is_turn = goes_on[current]
            paths, current = paths[is_turn], current[is_turn]
            num_turns[paths] += 1
            first_rows[paths] = current
            current = above[current]
        return num_turns, first_rows


def grow_trees(
    comments: pa.Table, submissions: Submissions, tally: Tally, month: str
) -> ReferenceTrees:
    """The trees of some whole threads of one month.

    Args:
        comments: columns of `posts.KEPT_COMMENTS_SCHEMA`, in the order of the dump.
        submissions: of that month.
        tally: counts what is dropped, and what is kept.
        month: what to count it under, "2015-02".
    """
    ids, link_ids, parent_ids = (
        np.asarray(comments.column(name)) for name in ("id", "link_id", "parent_id")
    )
    submission_rows = _rows_of_ids(submissions.ids, link_ids)
    rows = np.flatnonzero(submission_rows >= 0)
    tally.add(month, f"comments_dropped.{UNKNOWN_SUBMISSION}", len(ids) - len(rows))
    links, names = link_ids[rows], ids[rows]
    is_last = rows_of_pairs((links, names), (links, names)) == np.arange(len(rows))
    tally.add(month, f"comments_dropped.{DUPLICATE_ID}", int((~is_last).sum()))
    rows, links, names = rows[is_last], links[is_last], names[is_last]
    tally.add(month, "comments_kept", len(rows))
    parents = rows_of_pairs((links, names), (links, parent_ids[rows]))
    return ReferenceTrees(
        rows=rows,
        ids=names,
        link_ids=links,
        scores=np.asarray(comments.column("score"))[rows],
        submission_rows=submission_rows[rows],
        parents=np.where(parents < 0, len(rows), parents),
        is_top=parent_ids[rows] == ROOT,
        is_turn=np.asarray(pc.is_valid(comments.column("body")))[rows],
    )


def _rows_of_ids(known: IntArray, wanted: IntArray) -> IntArray:
    return rows_of_pairs((known, np.zeros_like(known)), (wanted, np.zeros_like(wanted)))
