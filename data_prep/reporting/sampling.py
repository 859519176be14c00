"""Which rows to look at where all would be too many: the same ones every time, well spread."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_prep.dialogues import num_dialogues
from data_prep.reporting.columns import read_columns
from dialogpt.records import Split

_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A piece of a Parquet file.

    Attributes:
        split: what the file belongs to.
        path: the file.
        number: of the row group in it.
        num_rows: how many it has.
        num_chosen: how many of them to read, evenly spaced.
    """

    split: Split
    path: Path
    number: int
    num_rows: int
    num_chosen: int

    def read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of the chosen rows.

        Raises:
            UserError: the file is damaged, or has not these columns.
        """
        start = 0
        for batch in read_columns(self.path, names, [self.number]):
            rows = spaced(start, batch.num_rows, wanted=self.num_chosen, total=self.num_rows)
            yield batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))
            start += batch.num_rows


def row_groups(parts: Mapping[Split, Sequence[Path]]) -> list[RowGroup]:
    """All row groups, in the order of splits and files.

    Raises:
        UserError: a file is damaged.
    """
    groups = []
    for split, paths in parts.items():
        for path in paths:
            num_dialogues(path)  # says so if the file is damaged
            with pq.ParquetFile(path) as part:
                sizes = [
                    part.metadata.row_group(number).num_rows
                    for number in range(part.num_row_groups)
                ]
            groups += [RowGroup(split, path, n, size, size) for n, size in enumerate(sizes)]
    return groups


def chosen_groups(groups: Sequence[RowGroup], max_rows: int) -> list[RowGroup]:
    """Row groups, in the order given, of which so many rows are chosen together.

    Multiples of the golden ratio, cut to their fraction, fill a line evenly however many there are:
    so do the groups.

    Args:
        groups: all there are.
        max_rows: rows at most; 0 is all.
    """
    if not max_rows:
        return list(groups)
    order = np.argsort(np.arange(len(groups)) * _GOLDEN_RATIO % 1.0, kind="stable")
    chosen = {}
    left = max_rows
    for place in order.tolist():
        num_chosen = min(left, groups[place].num_rows)
        if num_chosen:
            chosen[place] = replace(groups[place], num_chosen=num_chosen)
        left -= num_chosen
    return [group for _, group in sorted(chosen.items())]


def spaced(start: int, num_rows: int, *, wanted: int, total: int) -> NDArray[np.int64]:
    """Which of some rows in a row are among those wanted, evenly spaced over all rows.

    Args:
        start: rows before these.
        num_rows: how many these are.
        wanted: how many are wanted of all; all of them if there are no more.
        total: how many rows there are.
    """
    wanted = min(wanted, total)
    borders = np.arange(start, start + num_rows + 1, dtype=np.int64) * wanted // max(total, 1)
    return np.flatnonzero(np.diff(borders))
