"""Columns of the dialogue files, a row group or less at a time, and sums over their lists."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_prep.dialogues import DIALOGUE_SCHEMA, ROWS_PER_GROUP, num_dialogues
from dialogpt.command_line import UserError

IntArray = NDArray[np.integer[Any]]


def read_columns(
    path: Path, names: Sequence[str], groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Some columns of one file; the others are not read.

    Args:
        path: a Parquet file of dialogues.
        names: of DIALOGUE_SCHEMA.
        groups: numbers of the row groups to read; None reads all.

    Raises:
        UserError: the file is damaged, or has not these columns.
    """
    num_dialogues(path)  # says so if the file is damaged
    with pq.ParquetFile(path) as part:
        for name in names:
            if part.schema_arrow.get_field_index(name) < 0 or not part.schema_arrow.field(
                name
            ).type.equals(DIALOGUE_SCHEMA.field(name).type):
                raise UserError(
                    f"{path}: expected a column {name} of {DIALOGUE_SCHEMA.field(name).type}, "
                    f"found {part.schema_arrow.names}; write the folder again"
                )
        yield from part.iter_batches(
            batch_size=ROWS_PER_GROUP, columns=list(names), row_groups=groups
        )


def lengths(lists: pa.ListArray) -> IntArray:
    """How long each list is."""
    return np.asarray(pc.list_value_length(lists)).astype(np.int64)


def sums(values: IntArray, list_lengths: IntArray) -> IntArray:
    """The sum of each list, 0 for an empty one.

    Args:
        values: all lists, one behind the other.
        list_lengths: how many of the values belong to each.
    """
    totals = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(list_lengths)
    return np.asarray(totals[ends] - totals[ends - list_lengths])


def greatest(values: IntArray, list_lengths: IntArray, *, of_none: int) -> IntArray:
    """The greatest value of each list, and `of_none` for an empty one."""
    found = np.full(len(list_lengths), of_none, np.int64)
    np.maximum.at(found, np.repeat(np.arange(len(list_lengths)), list_lengths), values)
    return found
