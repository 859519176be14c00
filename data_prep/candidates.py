"""Candidates: dialogues that only a rule about the whole corpus can still drop, with their splits.

They stand in Arrow files between the stages that make and finish them, one a partition.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.dialogues import DIALOGUE_SCHEMA
from dialogpt.records import SPLITS, Split

CANDIDATE_SCHEMA = DIALOGUE_SCHEMA.append(pa.field("split", pa.string(), nullable=False))
"""The columns of a dialogue, and the split that its thread belongs to."""

_BATCH_ROWS = 65_536


def with_splits(dialogues: pa.Table, codes: NDArray[np.int8]) -> pa.Table:
    """A table of CANDIDATE_SCHEMA from dialogues and the number in SPLITS of each one's split."""
    names = pa.array(SPLITS, pa.string()).take(pa.array(codes))
    return pa.table([*dialogues.columns, names], schema=CANDIDATE_SCHEMA)


def of_split(candidates: pa.Table, split: Split) -> pa.Table:
    """The dialogues of one split, as a table of DIALOGUE_SCHEMA."""
    is_in = pa.array(np.asarray(candidates.column("split")) == split, pa.bool_())
    return candidates.drop_columns(["split"]).filter(is_in).cast(DIALOGUE_SCHEMA)


class CandidateWriter:
    """Writes the candidates of a partition; a context manager.

    The file has its name when the block ends without an exception.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; its folder is made if absent."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._unfinished = path.with_name(path.name + ".unfinished")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._file = pa.ipc.new_file(str(self._unfinished), CANDIDATE_SCHEMA, options=options)

    def write(self, table: pa.Table) -> None:
        """Add some candidates."""
        self._file.write_table(table, max_chunksize=_BATCH_ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None:
            self._unfinished.replace(self._path)


def read_candidates(path: Path) -> Iterator[pa.Table]:
    """The candidates of a partition in their order, some at a time."""
    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        for number in range(file.num_record_batches):
            yield pa.Table.from_batches([file.get_batch(number)], CANDIDATE_SCHEMA)


def num_candidates(path: Path) -> int:
    """How many candidates a partition has."""
    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        return sum(file.get_batch(number).num_rows for number in range(file.num_record_batches))
