"""Which comments take part in the reply trees, and the text of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.config import TextConfig
from data_prep.counts import DUPLICATE_ID, EXCLUDED_SUBREDDIT, TURN_DROPS, Tally
from data_prep.filters import FilterSet
from data_prep.normalize import TurnText, turn_text
from data_prep.threads import BoolArray, IntArray

_UNKNOWN_AUTHORS = pa.array(["", "[deleted]", "[removed]"])
_REASON_CODES: dict[str | None, int] = {
    None: 0,
    **{reason: code for code, reason in enumerate(TURN_DROPS, start=1)},
}
_PROGRESS_STEP = 1024


@dataclass(frozen=True, slots=True)
class KeptComments:
    """Comments in the order of (thread, id), each pair once.

    Attributes:
        turns: n normalized bodies.
        ids, thread_ids: (n,) values of base-36 ids.
        parent_ids: (n,) id of a comment, or `posts.ROOT`.
        authors: (n,) a number for each author; negative where not known.
        subreddits: (n,) row in subreddit_names.
        subreddit_names: names as the dumps write them.
        months: (n,) int32, month of the dump as 201502.
        created_utc: (n,) seconds since 1970.
        scores: (n,) int32.
    """

    turns: list[TurnText]
    ids: IntArray
    thread_ids: IntArray
    parent_ids: IntArray
    authors: IntArray
    subreddits: IntArray
    subreddit_names: list[str]
    months: NDArray[np.int32]
    created_utc: IntArray
    scores: NDArray[np.int32]


def keep_comments(
    comments: pa.Table,
    tally: Tally,
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
        comments: columns of `posts.COMMENT_SCHEMA` and `month` (int32, 201502), in the order of
            months and lines.
        tally: counts each drop and what is kept.
        filters: says which subreddits are left out.
        text: how bodies become turns.
        report: called with the number of comments done since the last call.
    """
    subreddits, names = _encoded(comments.column("subreddit"))
    excluded = np.array([filters.excludes_subreddit(name) for name in names], dtype=np.bool_)
    is_excluded = excluded[subreddits] if len(names) else np.zeros(0, np.bool_)
    tally.add_each(_numpy(comments, "month")[is_excluded], f"comments_dropped.{EXCLUDED_SUBREDDIT}")
    report(int(is_excluded.sum()))
    comments = comments.filter(pa.array(~is_excluded))

    turns, reasons = _turns(comments.column("body"), text, report)
    months = _numpy(comments, "month")
    rows, duplicates = _latest(
        _numpy(comments, "link_id"), _numpy(comments, "id"), reasons != _REASON_CODES["removed"]
    )
    tally.add_each(months[duplicates], f"comments_dropped.{DUPLICATE_ID}")
    for reason in TURN_DROPS:
        dropped = rows[reasons[rows] == _REASON_CODES[reason]]
        tally.add_each(months[dropped], f"comments_dropped.{reason}")
    rows = rows[reasons[rows] == _REASON_CODES[None]]
    tally.add_each(months[rows], "comments_kept")
    return _rows_of(comments, turns, rows)


def _turns(
    bodies: pa.ChunkedArray, text: TextConfig, report: Callable[[int], object]
) -> tuple[list[TurnText], NDArray[np.int8]]:
    """The turn of each body, and the code of the reason to drop it."""
    turns: list[TurnText] = []
    for chunk in bodies.chunks:
        for start in range(0, len(chunk), _PROGRESS_STEP):
            part = chunk.slice(start, _PROGRESS_STEP).to_pylist()
            turns += [turn_text(body, text) for body in part]
            report(len(part))
    return turns, np.array([_REASON_CODES[turn.drop_reason] for turn in turns], dtype=np.int8)


def _latest(thread_ids: IntArray, ids: IntArray, is_there: BoolArray) -> tuple[IntArray, IntArray]:
    """Of the rows of each (thread, id), in its order: the one to keep; and all others."""
    order = np.lexsort((is_there, ids, thread_ids))  # stable: equal rows stay in time's order
    changes = (np.diff(thread_ids[order]) != 0) | (np.diff(ids[order]) != 0)
    is_last = np.append(changes, np.ones(min(len(ids), 1), np.bool_))
    return order[is_last], order[~is_last]


def _rows_of(comments: pa.Table, turns: Sequence[TurnText], rows: IntArray) -> KeptComments:
    table = comments.drop_columns(["body"]).take(pa.array(rows))
    subreddits, names = _encoded(table.column("subreddit"))
    authors, _ = _encoded(table.column("author"), unknown=_UNKNOWN_AUTHORS)
    return KeptComments(
        turns=[turns[row] for row in rows.tolist()],
        ids=_numpy(table, "id"),
        thread_ids=_numpy(table, "link_id"),
        parent_ids=_numpy(table, "parent_id"),
        authors=authors,
        subreddits=subreddits,
        subreddit_names=names,
        months=_numpy(table, "month"),
        created_utc=_numpy(table, "created_utc"),
        scores=_numpy(table, "score"),
    )


def _encoded(
    column: pa.ChunkedArray, *, unknown: pa.Array | None = None
) -> tuple[IntArray, list[str]]:
    """A number for each value of a column, -1 for nulls and unknown values; and the values."""
    values = column.combine_chunks()
    if unknown is not None:
        values = pc.if_else(pc.is_in(values, unknown), None, values)
    encoded = values.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, encoded.dictionary.to_pylist()


def _numpy(table: pa.Table, name: str) -> NDArray[Any]:
    return np.asarray(table.column(name))
