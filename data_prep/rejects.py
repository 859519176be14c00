"""What was dropped and why: a few examples of each reason, and all of it where that is wanted."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_prep.counts import month_name
from data_prep.ids import encode_ids, mixed
from data_prep.posts import UnusableLine
from data_prep.text_columns import as_text_array, text_sizes
from data_prep.threads import IntArray

REJECT_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("turns", pa.list_(pa.string()), nullable=False),
        pa.field("turn_ids", pa.list_(pa.string()), nullable=False),
        pa.field("num_turns", pa.int32(), nullable=False),
        pa.field("thread_id", pa.string()),
        pa.field("subreddit", pa.string()),
        pa.field("month", pa.string(), nullable=False),
        pa.field("score", pa.int64()),
    ]
)
"""One row a drop. `kind` is "line" (no post could be read), "comment" or "path"; `detail` says more
than the reason where there is more to say; `turns` are the beginning of the line, the body of the
comment, or the last turns of the path, which has `num_turns` in all."""

SHOWN_TURNS = 30
"""Turns of a path that are written, the last ones: a path may have thousands."""

SHOWN_CHARACTERS = 10_000
"""Characters of a turn that are written, the first ones; Reddit's longest comments have as many."""

EXAMPLES_PER_REASON = 12
"""Examples that are kept of each reason."""

Example: TypeAlias = dict[str, Any]
"""A row of REJECT_SCHEMA, and `order`: the examples of least order are kept."""

KEPT_DIALOGUES = "kept"
"""Reason under which examples of what was not dropped are shown."""


class Rejects:
    """Is shown what is dropped in one unit of work.

    Attributes:
        examples: of each reason those with the least order, a hash of the comment's id: so they are
            a random sample, and the same one in however many units the work is done.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the file.

        Args:
            path: a Parquet file that gets all rows, whole once the block ends; None keeps no more
                than the examples.
        """
        self.examples: list[Example] = []
        self._path = path
        self._unfinished = path and path.with_name(path.name + ".unfinished")
        self._writer: pq.ParquetWriter | None = None
        if self._unfinished is not None:
            self._unfinished.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._unfinished, REJECT_SCHEMA, compression="zstd")

    def add_lines(
        self, lines: Sequence[UnusableLine], reason: str, *, month: str, dump: str
    ) -> None:
        """Lines of a dump that hold no post."""
        numbers = np.array([line.line_number for line in lines], np.int64)
        self._add(
            numbers,
            reason,
            lambda rows: _line_table([lines[row] for row in rows.tolist()], reason, month, dump),
        )

    def add_comments(self, comments: pa.Table, reason: str) -> None:
        """Comments that take no part in the trees: columns of `posts.COMMENTS` and `month`."""
        ids = np.asarray(comments.column("id"))
        self._add(ids, reason, lambda rows: _comment_table(comments.take(pa.array(rows)), reason))

    def add_paths(
        self,
        leaf_ids: IntArray,
        reason: str,
        dialogues: Callable[[IntArray], pa.Table],
        *,
        num_turns: IntArray,
        details: pa.Array | None = None,
    ) -> None:
        """Paths that make no dialogue.

        Args:
            leaf_ids: (m,) id of the last comment of each path.
            reason: why none of them does.
            dialogues: numbers of some of the m paths -> a table of DIALOGUE_SCHEMA.
            num_turns: (m,) turns of each path, also those that the dialogues leave out.
            details: m strings, or None if there is no more to say.
        """

        def table(rows: IntArray) -> pa.Table:
            chosen = details.take(pa.array(rows)) if details is not None else None
            return path_table(dialogues(rows), reason, num_turns[rows], chosen)

        self._add(leaf_ids, reason, table)

    def _add(self, ids: IntArray, reason: str, table: Callable[[IntArray], pa.Table]) -> None:
        if not len(ids):
            return
        order = mixed(ids)
        first = np.argsort(order, kind="stable")[:EXAMPLES_PER_REASON]
        self.examples = least_examples(
            [
                *self.examples,
                *(
                    {**row, "order": int(order[number])}
                    for number, row in zip(first.tolist(), table(first).to_pylist(), strict=True)
                ),
            ]
        )
        if self._writer is not None:
            for start in range(0, len(ids), _ROWS_AT_ONCE):
                rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(ids)))
                self._writer.write_table(table(rows))

    def close(self) -> None:
        """Give the file its name."""
        if self._writer is not None:
            assert self._unfinished is not None
            assert self._path is not None
            self._writer.close()
            self._unfinished.replace(self._path)


_ROWS_AT_ONCE = 1024  # of SHOWN_TURNS of SHOWN_CHARACTERS each: then they fit into one column


def shown(texts: pa.Array) -> pa.Array:
    """The beginnings of some large strings; the very same array if all are short."""
    if int(text_sizes(texts).max(initial=0)) <= SHOWN_CHARACTERS:
        return texts
    return pc.utf8_slice_codeunits(texts, 0, SHOWN_CHARACTERS)


def least_examples(examples: Iterable[Example]) -> list[Example]:
    """Of each reason the examples of least order, in the order of reasons and orders."""
    by_reason: dict[str, list[Example]] = {}
    for example in examples:
        by_reason.setdefault(example["reason"], []).append(example)
    return [
        example
        for _, of_reason in sorted(by_reason.items())
        for example in sorted(of_reason, key=lambda e: (e["order"], e["turn_ids"]))[
            :EXAMPLES_PER_REASON
        ]
    ]


def path_table(
    dialogues: pa.Table, reason: str, num_turns: IntArray, details: pa.Array | None = None
) -> pa.Table:
    """Dialogues as rows of REJECT_SCHEMA."""
    columns = {name: dialogues.column(name) for name in ("turns", "turn_ids", "thread_id")}
    return _table(
        "path",
        reason,
        detail=details,
        num_turns=pa.array(num_turns, pa.int32()),
        subreddit=dialogues.column("subreddit"),
        month=dialogues.column("month"),
        score=dialogues.column("score").cast(pa.int64()),
        **columns,
    )


def _comment_table(comments: pa.Table, reason: str) -> pa.Table:
    months = [month_name(month) for month in comments.column("month").to_pylist()]
    return _table(
        "comment",
        reason,
        turns=_singles(shown(as_text_array(comments.column("body"))).cast(pa.string())),
        turn_ids=_singles(encode_ids(np.asarray(comments.column("id")), "t1_")),
        num_turns=pa.array([1] * len(months), pa.int32()),
        thread_id=encode_ids(np.asarray(comments.column("link_id")), "t3_"),
        subreddit=comments.column("subreddit").cast(pa.string()),
        month=pa.array(months, pa.string()),
        score=comments.column("score"),
    )


def _line_table(lines: Sequence[UnusableLine], reason: str, month: str, dump: str) -> pa.Table:
    nothing = pa.ListArray.from_arrays([0] * (len(lines) + 1), pa.array([], pa.string()))
    return _table(
        "line",
        reason,
        detail=pa.array([f"{dump}:{line.line_number}" for line in lines], pa.string()),
        turns=_singles(pa.array([line.excerpt for line in lines], pa.string())),
        turn_ids=nothing,
        num_turns=pa.array([0] * len(lines), pa.int32()),
        month=pa.array([month] * len(lines), pa.string()),
    )


def _singles(values: pa.Array) -> pa.Array:
    """Each value as a list of one."""
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


def _table(kind: str, reason: str, **columns: Any) -> pa.Table:
    num_rows = len(columns["turns"])
    columns |= {"kind": pa.array([kind] * num_rows), "reason": pa.array([reason] * num_rows)}
    arrays = [
        columns[field.name]
        if columns.get(field.name) is not None
        else pa.nulls(num_rows, field.type)
        for field in REJECT_SCHEMA
    ]
    return pa.table(arrays, schema=REJECT_SCHEMA)
