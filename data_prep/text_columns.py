"""Arrow's columns of strings as the buffers that compiled loops read and write."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


def as_text_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array of large strings."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.cast(pa.large_string())


def text_buffers(texts: pa.Array) -> tuple[NDArray[np.int64], pa.Buffer]:
    """The offsets (n + 1,) and the bytes of an array of large strings without nulls."""
    _, offsets, text = texts.buffers()
    if offsets is None:  # Arrow leaves them out where there is no row
        return np.zeros(1, np.int64), pa.py_buffer(b"")
    first = texts.offset
    bounds = np.frombuffer(offsets, np.int64)[first : first + len(texts) + 1]
    return bounds, text if text is not None else pa.py_buffer(b"")


def text_sizes(texts: pa.Array) -> NDArray[np.int64]:
    """(n,) the bytes of each of n large strings."""
    return np.diff(text_buffers(texts)[0])


def text_array(offsets: bytes, text: bytes) -> pa.Array:
    """An array of large strings from n + 1 int64 offsets and UTF-8."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) // 8 - 1, buffers)


def replaced(texts: pa.Array, is_replaced: BoolArray, replacements: list[str]) -> pa.Array:
    """The texts with new ones in some rows.

    Args:
        texts: n large strings.
        is_replaced: (n,) which rows get the next of the replacements.
        replacements: as many as there are such rows.
    """
    if not replacements:
        return texts
    new = pa.array(replacements, pa.large_string())
    return pc.replace_with_mask(texts, pa.array(is_replaced), new)
