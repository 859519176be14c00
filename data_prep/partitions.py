"""Posts dealt to partitions by thread, one spill file a dump.

Every batch of a spill belongs to one partition, so that the posts of a partition are read from all
months without touching the rest.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.ids import mixed

SPILL_BYTES = 16 << 20
"""Posts held in memory, in bytes, before they are dealt out and written; with many partitions more,
so that the batch of each is worth its while, up to _MAX_SPILL_BYTES."""

_BATCH_BYTES = 64 << 10
_MAX_SPILL_BYTES = 512 << 20

BYTES_PER_PARTITION = 96 << 20
"""Compressed comment dumps for each partition, at most, where the user does not choose. In memory a
partition takes about ten times that."""

_SMALL_PARTITION_BYTES = 8 << 20
_MANY = 16
_MIN_PARTITIONS = 2

# A fast format: spills are written and read once or twice, by all processes at the same time.
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


def choose_num_partitions(comment_bytes: int) -> int:
    """How many partitions suit comment dumps of so many compressed bytes: a power of two.

    Small dumps are cut finely, so that all processes have their share; large ones only as far as
    memory asks for.
    """
    wanted = max(
        _MIN_PARTITIONS,
        min(_MANY, -(-comment_bytes // _SMALL_PARTITION_BYTES)),
        -(-comment_bytes // BYTES_PER_PARTITION),
    )
    return 1 << (wanted - 1).bit_length()


def partition_of(thread_ids: NDArray[np.int64], num_partitions: int) -> NDArray[np.int64]:
    """The partition of each thread, evenly spread; the same on every machine and run."""
    return (mixed(thread_ids) % np.uint64(num_partitions)).astype(np.int64)


class DealtFile:
    """An Arrow file of which each batch has one owner; a context manager.

    The file carries the suffix `.unfinished` until the block ends without an exception. Beside it
    stands an index, so that the batches of an owner are found without looking at the others.

    Attributes:
        batches: (owner, rows) of each batch written so far.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open the file.

        Args:
            path: where the file will stand; its folder is made if absent.
            schema: of the batches.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.batches: list[tuple[int, int]] = []
        self._path = path
        self._unfinished = path.with_name(path.name + ".unfinished")
        self._file = pa.ipc.new_file(str(self._unfinished), schema, options=_COMPRESSED)

    def write(self, table: pa.Table, owners: NDArray[np.integer]) -> None:
        """Add rows; owners (n,) says whose each is."""
        for owner, batch in deal(table, owners):
            self._file.write_batch(batch)
            self.batches.append((owner, batch.num_rows))

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
            _write_index([owner for owner, _ in self.batches], _index_of(self._path))
            self._unfinished.replace(self._path)


class SpillWriter:
    """Deals posts to the partitions of their threads, and writes them; a context manager.

    A thread deals and writes what was held while the next posts come.

    Attributes:
        num_rows: (partitions,) how many posts each partition has got; whole when the block ends.
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
        self.num_rows = np.zeros(num_partitions, np.int64)
        self._thread_column = thread_column
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._spill_bytes = min(max(SPILL_BYTES, _BATCH_BYTES * num_partitions), _MAX_SPILL_BYTES)
        self._file = DealtFile(path, schema)
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def write(self, posts: pa.RecordBatch) -> None:
        """Add posts; they reach the file when enough of them have come together."""
        self._held.append(posts)
        self._held_bytes += posts.nbytes
        if self._held_bytes >= self._spill_bytes:
            self._flush()

    def _flush(self) -> None:
        """Hand over what is held, once what was handed over before is written."""
        self._await_writing()
        if self._held:
            self._writing = self._thread.submit(self._deal, self._held)
        self._held, self._held_bytes = [], 0

    def _await_writing(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _deal(self, held: list[pa.RecordBatch]) -> None:
        posts = pa.Table.from_batches(held)
        num_partitions = len(self.num_rows)
        owners = partition_of(posts.column(self._thread_column).to_numpy(), num_partitions)
        self._file.write(posts, owners)
        self.num_rows += np.bincount(owners, minlength=num_partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._thread.shutdown()
            self._file.__exit__(error_type, error, traceback)
            return
        with self._file, self._thread:
            self._flush()
            self._await_writing()


def deal(table: pa.Table, owners: NDArray[np.integer]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of each owner, as batches; in the order of owners and rows.

    Args:
        table: n rows.
        owners: (n,) to which partition or bucket each row belongs.
    """
    order = np.argsort(owners, kind="stable")
    table = table.combine_chunks().take(pa.array(order))
    present, first = np.unique(owners[order], return_index=True)
    bounds = [*first.tolist(), len(order)]
    for owner, start, end in zip(present.tolist(), bounds[:-1], bounds[1:], strict=True):
        for batch in table.slice(start, end - start).combine_chunks().to_batches():
            yield owner, batch


def write_dealt(table: pa.Table, owners: NDArray[np.integer], path: Path) -> list[tuple[int, int]]:
    """Write a table as a DealtFile.

    Args:
        table: n rows.
        owners: (n,) to whom each row belongs.
        path: the file; its folder is made if absent.

    Returns:
        (owner, rows) of each batch.
    """
    with DealtFile(path, table.schema) as file:
        file.write(table, owners)
    return file.batches


def read_owned(path: Path, owner: int) -> pa.Table:
    """The rows of one owner in a DealtFile, in the order in which they were written."""
    return read_batches(path, _numbers_of(owner, _open_index(path)))


def gather_dealt(sources: Sequence[Path], num_owners: int, path: Path) -> None:
    """Write what some DealtFiles hold as one, in the order of owners and sources.

    Each source is opened once, so that whoever wants the rows of every owner opens one file for all
    of them. Memory is that of the rows of one owner.

    Args:
        sources: at least one; of one schema.
        num_owners: owners are below it.
        path: the new file.
    """
    with ExitStack() as opened:
        indexes = [_open_index(source) for source in sources]
        maps = [opened.enter_context(pa.memory_map(str(source))) for source in sources]
        files = [pa.ipc.open_file(memory) for memory in maps]
        output = opened.enter_context(DealtFile(path, files[0].schema))
        for owner in range(num_owners):
            batches = [
                file.get_batch(number)
                for file, index in zip(files, indexes, strict=True)
                for number in _numbers_of(owner, index)
            ]
            if batches:
                rows = pa.Table.from_batches(batches)
                output.write(rows, np.full(rows.num_rows, owner))


def _open_index(path: Path) -> NDArray[np.int64]:
    index: NDArray[np.int64] = np.load(_index_of(path), mmap_mode="r", allow_pickle=False)
    return index


def _numbers_of(owner: int, index: NDArray[np.int64]) -> list[int]:
    """The batches of an owner; see `_write_index`."""
    num_owners = int(index[0])
    if owner >= num_owners:
        return []
    start, end = index[1 + owner : 3 + owner]
    numbers: list[int] = index[2 + num_owners + start : 2 + num_owners + end].tolist()
    return numbers


def read_batches(path: Path, numbers: Sequence[int]) -> pa.Table:
    """Some batches of an Arrow file."""
    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        batches = [file.get_batch(number) for number in numbers]
        return pa.Table.from_batches(batches, schema=file.schema)


def _index_of(path: Path) -> Path:
    return path.with_name(path.name + ".index.npy")


def _write_index(owners: Sequence[int], path: Path) -> None:
    """Write which batches each owner has, as int64: how many owners, where each begins, batches.

    Whoever reads it needs two places of the file, however many batches there are.
    """
    of_batches = np.array(owners, np.int64)
    num_owners = int(of_batches.max(initial=-1)) + 1
    numbers = np.argsort(of_batches, kind="stable")
    bounds = np.searchsorted(of_batches[numbers], np.arange(num_owners + 1))
    np.save(path, np.concatenate([[num_owners], bounds, numbers]), allow_pickle=False)
