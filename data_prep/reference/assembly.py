"""Instances of DialoGPT's public code -> dialogues and lines, as a table."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.comments import author_numbers
from data_prep.dialogues import DIALOGUE_SCHEMA, table_of_columns
from data_prep.ids import encode_ids
from data_prep.paths import speaker_numbers
from data_prep.reference.instances import Instances
from data_prep.reference.order import ORDER_COLUMNS, SUBMISSION_KEY, string_keys
from data_prep.reference.trees import ReferenceTrees, Submissions
from data_prep.threads import IntArray
from dialogpt.records import UNKNOWN_SPEAKER

INSTANCE_SCHEMA = pa.schema(
    [
        *DIALOGUE_SCHEMA,
        *(pa.field(name, pa.int64(), nullable=False) for name in ORDER_COLUMNS),
        pa.field("line", pa.large_string(), nullable=False),
    ]
)
"""Dialogues; what the release sorts them by; and the release's line with its end. `turns` are the
turns of the line without their weights."""


@dataclass(frozen=True, slots=True)
class InstanceSources:
    """What the rows of m instances are made from.

    Attributes:
        comments: the table that the trees were made from.
        submissions: of its threads.
        trees: of the comments.
        leaf_rows: (m,) the last comment of each instance in the trees.
        order_columns: each (m,), of these comments.
        turns: (n,) what each turn of the instances is, as `Walks.sources`.
    """

    comments: pa.Table
    submissions: Submissions
    trees: ReferenceTrees
    leaf_rows: IntArray
    order_columns: list[IntArray]
    turns: IntArray


def instance_table(
    sources: InstanceSources, instances: Instances, *, month: str, with_ids: bool
) -> pa.Table:
    """The instances as a table of INSTANCE_SCHEMA.

    Args:
        sources: of the m instances.
        instances: their turns.
        month: of the dump, "2015-02".
        with_ids: whether lines begin with the ids of submission, parent and comment.
    """
    trees, leaf_rows = sources.trees, sources.leaf_rows
    offsets = pa.array(instances.offsets, pa.int32())
    last = sources.comments.select(["created_utc", "score", "subreddit"])
    last = last.take(pa.array(trees.rows[leaf_rows]))
    thread_ids = encode_ids(trees.link_ids[leaf_rows], "t3_")
    texts = instances.texts().cast(pa.string())
    dialogues = table_of_columns(
        {
            "turns": pa.ListArray.from_arrays(offsets, texts),
            "speakers": pa.ListArray.from_arrays(offsets, _speakers(sources, instances.offsets)),
            "turn_ids": pa.ListArray.from_arrays(offsets, _turn_ids(sources)),
            "thread_id": thread_ids,
            "subreddit": last.column("subreddit").fill_null("").cast(pa.string()),
            "month": pa.repeat(month, len(leaf_rows)),
            "created_utc": last.column("created_utc"),
            "score": last.column("score").cast(pa.int32()),
        }
    )
    lines = instances.tsv_lines(_heads(sources, thread_ids) if with_ids else None)
    order = map(pa.array, sources.order_columns)
    return pa.table([*dialogues.columns, *order, lines], schema=INSTANCE_SCHEMA)


def order_columns(
    leaf_rows: IntArray, trees: ReferenceTrees, submissions: Submissions
) -> list[IntArray]:
    """What the release sorts the paths to some comments by: ORDER_COLUMNS."""
    parents = _parent_ids(leaf_rows, trees)
    return [
        submissions.subs[trees.submission_rows[leaf_rows]].astype(np.int64),
        string_keys(trees.link_ids[leaf_rows]),
        np.where(parents < 0, SUBMISSION_KEY, string_keys(np.maximum(parents, 0))),
        string_keys(trees.ids[leaf_rows]),
    ]


def _parent_ids(rows: IntArray, trees: ReferenceTrees) -> IntArray:
    """The ids of the comments that some comments answer, -1 where they answer the submission."""
    ids: IntArray = np.append(trees.ids, -1)[trees.parents[rows]]
    return ids


def _heads(sources: InstanceSources, thread_ids: pa.Array) -> pa.Array:
    """The ids of submission, parent and comment of each line, with commas between."""
    parents = _parent_ids(sources.leaf_rows, sources.trees)
    parent_names = pc.if_else(
        pa.array(parents < 0), thread_ids, encode_ids(np.maximum(parents, 0), "t1_")
    )
    names = encode_ids(sources.trees.ids[sources.leaf_rows], "t1_")
    joined = pc.binary_join_element_wise(thread_ids, parent_names, names, ",")
    return joined.cast(pa.large_string())


def _turn_ids(sources: InstanceSources) -> pa.Array:
    is_title = sources.turns < 0
    comment_rows = np.where(is_title, 0, sources.turns)
    names = encode_ids(sources.trees.ids[comment_rows], "t1_")
    titles = encode_ids(sources.submissions.ids[-1 - sources.turns[is_title]], "t3_")
    return pc.replace_with_mask(names, pa.array(is_title), titles) if is_title.any() else names


def _speakers(sources: InstanceSources, offsets: NDArray[np.int64]) -> pa.Array:
    """Who speaks; of whoever wrote a title nothing was read."""
    is_title = sources.turns < 0
    rows = sources.trees.rows[np.where(is_title, 0, sources.turns)]
    authors = author_numbers(sources.comments.column("author").take(pa.array(rows)))
    return pa.array(speaker_numbers(np.where(is_title, UNKNOWN_SPEAKER, authors), offsets))
