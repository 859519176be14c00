"""The order of the release's lines: by the ids of submission, parent and comment, as strings."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.ids import MAX_ID_LENGTH
from data_prep.threads import IntArray

ORDER_COLUMNS = ("sub", "link_key", "parent_key", "comment_key")
"""Columns of int64 by which lines are sorted: the number of the release's file, and three ids."""

SUBMISSION_KEY = np.iinfo(np.int64).max
"""Stands behind all `string_keys`, as "t3_..." stands behind "t1_..."."""


def string_keys(ids: IntArray) -> IntArray:
    """Numbers that ascend as the ids do when they are written in base 36 and compared as strings.

    They are the written id as a number in base 37, filled up to its full length with a digit below
    all others: "2" < "2a" < "3".

    Args:
        ids: (n,) at least 0, of at most MAX_ID_LENGTH digits.
    """
    lengths = np.ones(len(ids), np.int64)
    for length in range(1, MAX_ID_LENGTH):
        lengths += ids >= 36**length
    keys = np.zeros(len(ids), np.int64)
    left = ids
    for place in range(int(lengths.max(initial=0))):
        left, digits = np.divmod(left, 36)
        shift = np.int64(37) ** (MAX_ID_LENGTH - lengths + place).clip(max=MAX_ID_LENGTH - 1)
        keys += np.where(place < lengths, (digits + 1) * shift, 0)
    return keys


def line_order(columns: Sequence[NDArray[np.integer]]) -> IntArray:
    """The rows in the order in which the public code writes them.

    Args:
        columns: those of ORDER_COLUMNS.
    """
    return np.lexsort(tuple(reversed(columns)))


def in_order(instances: pa.Table) -> pa.Table:
    """Instances of several partitions of one month, put in the order of the public code's file.

    Args:
        instances: `assembly.INSTANCE_SCHEMA`, or some of its columns with all of ORDER_COLUMNS.
    """
    columns = [np.asarray(instances.column(name)) for name in ORDER_COLUMNS]
    return instances.take(pa.array(line_order(columns)))
