"""Posts dealt to partitions by thread, one spill file a dump.

A spill is an Arrow file in which every batch belongs to one partition, so that the posts of a
partition are read from all months without touching the rest.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SPILL_BYTES = 64 << 20
"""Posts held in memory, in bytes, before they are dealt out and written."""

BYTES_PER_PARTITION = 64 << 20
"""Compressed comment dumps for each partition, where the user does not choose."""

_MIN_PARTITIONS = 2


def choose_num_partitions(comment_bytes: int) -> int:
    """How many partitions suit comment dumps of so many compressed bytes."""
    return max(_MIN_PARTITIONS, -(-comment_bytes // BYTES_PER_PARTITION))


def partition_of(thread_ids: NDArray[np.int64], num_partitions: int) -> NDArray[np.int64]:
    """The partition of each thread, evenly spread; the same on every machine and run.

    The mixing is the finalizer of SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195).
    """
    mixed = thread_ids.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(num_partitions)).astype(np.int64)


class SpillWriter:
    """Writes one spill file; a context manager.

    The file carries the suffix `.unfinished` until the block ends without an exception.

    Attributes:
        batches: (partition, rows) of each batch written so far.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, *, thread_column: str, num_partitions: int
    ) -> None:
        """Open the file.

        Args:
            path: where the spill will stand.
            schema: of the posts.
            thread_column: the column that names the thread.
            num_partitions: how many partitions there are.
        """
        self.batches: list[tuple[int, int]] = []
        self._path = path
        self._unfinished = path.with_name(path.name + ".unfinished")
        self._thread_column = thread_column
        self._num_partitions = num_partitions
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._file = pa.ipc.new_file(str(self._unfinished), schema, options=options)

    def write(self, posts: pa.RecordBatch) -> None:
        """Add posts; they reach the file when SPILL_BYTES have come together."""
        self._held.append(posts)
        self._held_bytes += posts.nbytes
        if self._held_bytes >= SPILL_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        posts = pa.Table.from_batches(self._held).combine_chunks()
        partitions = partition_of(
            posts.column(self._thread_column).to_numpy(), self._num_partitions
        )
        order = np.argsort(partitions, kind="stable")
        posts = posts.take(pa.array(order))
        bounds = np.searchsorted(partitions[order], np.arange(self._num_partitions + 1))
        for partition in np.flatnonzero(np.diff(bounds)).tolist():
            start, end = int(bounds[partition]), int(bounds[partition + 1])
            for batch in posts.slice(start, end - start).combine_chunks().to_batches():
                self._file.write_batch(batch)
                self.batches.append((partition, batch.num_rows))
        self._held.clear()
        self._held_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()
        self._file.close()
        if error is None:
            self._unfinished.replace(self._path)


def read_spill(path: Path, batch_numbers: Sequence[int]) -> pa.Table:
    """Some batches of a spill; those of one partition give its posts in the order of the dump."""
    with pa.OSFile(str(path)) as source:
        spill = pa.ipc.open_file(source)
        batches = [spill.get_batch(number) for number in batch_numbers]
        return pa.Table.from_batches(batches, schema=spill.schema)
