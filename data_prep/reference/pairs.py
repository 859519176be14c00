"""Where a pair of ids stands in a table: a thread and a comment in it."""

import numpy as np

from data_prep import native
from data_prep.threads import IntArray


def rows_of_pairs(known: tuple[IntArray, IntArray], wanted: tuple[IntArray, IntArray]) -> IntArray:
    """The row of each wanted pair among the known ones, -1 where there is none.

    Args:
        known: two columns (n,); of equal pairs the last row counts.
        wanted: two columns (m,).
    """
    if native.compiled is not None:
        columns = map(np.ascontiguousarray, (*known, *wanted))
        return np.frombuffer(native.compiled.rows_of_pairs(*columns), np.int64)
    pairs = zip(known[0].tolist(), known[1].tolist(), strict=True)
    rows = {pair: row for row, pair in enumerate(pairs)}
    looked_up = zip(wanted[0].tolist(), wanted[1].tolist(), strict=True)
    return np.array([rows.get(pair, -1) for pair in looked_up], np.int64)
