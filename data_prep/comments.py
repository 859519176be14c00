"""Which comments take part in the reply trees, and the text of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.config import TextConfig
from data_prep.counts import DUPLICATE_ID, EXCLUDED_SUBREDDIT, Tally
from data_prep.filters import FilterSet
from data_prep.normalize import TURN_DROPS
from data_prep.rejects import Rejects
from data_prep.text_columns import BoolArray
from data_prep.threads import IntArray
from data_prep.turns import KEPT, TurnColumn, turn_column

_UNKNOWN_AUTHORS = pa.array(["", "[deleted]", "[removed]"], pa.large_string())
_REMOVED = TURN_DROPS.index("removed") + 1


@dataclass(frozen=True, slots=True)
class KeptComments:
    """Comments in the order of (thread, id), each pair once.

    Attributes:
        turns: n turns; none is dropped.
        ids, thread_ids: (n,) values of base-36 ids.
        parent_ids: (n,) id of a comment, or `post_fields.ROOT`.
        authors: (n,) a number for each author; negative where not known.
        subreddits: n strings, as the dumps write them; "" where not known.
        months: (n,) int32, month of the dump as 201502.
        created_utc: (n,) seconds since 1970.
        scores: (n,).
    """

    turns: TurnColumn
    ids: IntArray
    thread_ids: IntArray
    parent_ids: IntArray
    authors: IntArray
    subreddits: pa.Array
    months: NDArray[np.int32]
    created_utc: IntArray
    scores: IntArray


def keep_comments(
    comments: pa.Table,
    tally: Tally,
    rejects: Rejects,
    *,
    filters: FilterSet,
    text: TextConfig,
    report: Callable[[int], object],
) -> KeptComments:
    """Drop what cannot be a turn, count it, and normalize the rest.

    Of several comments with one id in a thread the last stays (that of the latest month, and there
    the one furthest down), but a deleted one only if all are: a later dump of the same comment has
    its final text unless it was removed in between.

    Args:
        comments: columns of `posts.COMMENTS` and `month` (int32, 201502), in the order of months
            and lines.
        tally: counts each drop and what is kept.
        rejects: is shown what is dropped.
        filters: says which subreddits are left out.
        text: how bodies become turns.
        report: called with the number of comments done since the last call.
    """
    is_excluded = _is_excluded(comments.column("subreddit"), filters)
    excluded = comments.filter(pa.array(is_excluded))
    tally.add_each(_numpy(excluded, "month"), f"comments_dropped.{EXCLUDED_SUBREDDIT}")
    rejects.add_comments(excluded, EXCLUDED_SUBREDDIT)
    report(excluded.num_rows)
    comments = comments.filter(pa.array(~is_excluded))

    turns = turn_column(comments.column("body"), text, report)
    months = _numpy(comments, "month")
    rows, duplicates = latest_rows(
        _numpy(comments, "link_id"), _numpy(comments, "id"), turns.drop_codes != _REMOVED
    )
    tally.add_each(months[duplicates], f"comments_dropped.{DUPLICATE_ID}")
    rejects.add_comments(comments.take(pa.array(duplicates)), DUPLICATE_ID)
    for code, reason in enumerate(TURN_DROPS, start=1):
        dropped = rows[turns.drop_codes[rows] == code]
        tally.add_each(months[dropped], f"comments_dropped.{reason}")
        rejects.add_comments(comments.take(pa.array(dropped)), reason)
    rows = rows[turns.drop_codes[rows] == KEPT]
    tally.add_each(months[rows], "comments_kept")
    return _kept(comments.drop_columns(["body"]).take(pa.array(rows)), turns.take(rows))


def _is_excluded(subreddits: pa.ChunkedArray, filters: FilterSet) -> BoolArray:
    encoded = subreddits.combine_chunks().fill_null("").dictionary_encode()
    names = encoded.dictionary.to_pylist()
    excluded = np.array([filters.excludes_subreddit(name) for name in names], np.bool_)
    codes = np.asarray(encoded.indices)
    return excluded[codes] if len(names) else np.zeros(0, np.bool_)


def latest_rows(
    thread_ids: IntArray, ids: IntArray, is_there: BoolArray
) -> tuple[IntArray, IntArray]:
    """Of the rows of each (thread, id) the one to keep, in the order of these; and all others.

    Args:
        thread_ids: (n,) in the order of time.
        ids: (n,) of the comments.
        is_there: (n,) False where the comment was deleted; such a row stays only alone.
    """
    order = np.lexsort((is_there, ids, thread_ids))  # stable: equal rows stay in time's order
    changes = (np.diff(thread_ids[order]) != 0) | (np.diff(ids[order]) != 0)
    is_last = np.append(changes, np.ones(min(len(ids), 1), np.bool_))
    return order[is_last], order[~is_last]


def _kept(table: pa.Table, turns: TurnColumn) -> KeptComments:
    return KeptComments(
        turns=turns,
        ids=_numpy(table, "id"),
        thread_ids=_numpy(table, "link_id"),
        parent_ids=_numpy(table, "parent_id"),
        authors=author_numbers(table.column("author")),
        subreddits=table.column("subreddit").combine_chunks().fill_null(""),
        months=_numpy(table, "month"),
        created_utc=_numpy(table, "created_utc"),
        scores=_numpy(table, "score"),
    )


def author_numbers(authors: pa.ChunkedArray) -> IntArray:
    """A number for each author, -1 where it is not known who it was."""
    values = authors.combine_chunks()
    known = pc.if_else(pc.is_in(values, _UNKNOWN_AUTHORS), None, values)
    codes = known.dictionary_encode().indices.fill_null(-1)
    return np.asarray(codes).astype(np.int64)


def _numpy(table: pa.Table, name: str) -> NDArray[Any]:
    return np.asarray(table.column(name))
