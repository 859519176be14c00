"""Counts of hashed n-grams over a corpus of any size, and sums over them, in bounded memory.

What does not fit in memory goes to temporary files, sorted by hash, and is worked on part by part
of the hashes' range. The files have no name in the file system, so that nothing is left of them
when the process ends, however it ends; `TMPDIR` says where they take room.

A row is a hash and a number.
"""

import tempfile
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.evaluation.ngrams import Hashes, Integers, runs

MOST_ROWS = 1 << 21
"""So many rows of a table are held in memory."""

_PART_BITS = 7
_NUM_PARTS = 1 << _PART_BITS

_Rows = tuple[Hashes, Integers]


class NgramCounts:
    """How often each hash was added.

    Args:
        most_rows: more hashes than these go to a temporary file.

    Attributes:
        total: how many were added.
    """

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self.total = 0
        self._most_rows = most_rows
        self._new: list[Hashes] = []
        self._num_new = 0
        self._rows = _SortedRows(most_rows, _summed)

    def add(self, hashes: Hashes) -> None:
        """Count each of (number,) hashes once more."""
        self.total += len(hashes)
        self._new.append(hashes)
        self._num_new += len(hashes)
        if self._num_new >= self._most_rows:
            self._count_new()

    def num_parts(self) -> int:
        """How many parts they should be read in."""
        self._count_new()
        return self._rows.num_parts()

    def part(self, index: int, num_parts: int) -> _Rows:
        """Distinct hashes of a part, ascending, and their (number,) counts."""
        self._count_new()
        return self._rows.part(index, num_parts)

    def _count_new(self) -> None:
        if self._num_new:
            hashes = np.concatenate(self._new)
            self._new, self._num_new = [], 0
            hashes.sort()
            starts, lengths = runs(hashes)
            self._rows.add(hashes[starts], lengths)


class LogCountSums:
    """Sums of weight times log2(count of a hash), where the counts are known only in the end.

    Args:
        most_rows: more terms than these go to a temporary file.
    """

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._rows = _SortedRows(most_rows, _sorted)

    def add(self, hashes: Hashes, places: Integers, weights: Integers) -> None:
        """Take in (number,) terms.

        Args:
            hashes: each is among the counted ones in the end.
            places: which sum each term belongs to, from 0 to 2^32 - 1.
            weights: from -2^31 to 2^31 - 1.
        """
        order = np.argsort(hashes)
        self._rows.add(hashes[order], ((weights << 32) | places)[order])

    def sums(self, counts: NgramCounts, num_places: int) -> NDArray[np.float64]:
        """(num_places,) float64."""
        sums = np.zeros(num_places)
        num_parts = max(counts.num_parts(), self._rows.num_parts())
        for index in range(num_parts):
            hashes, packed = self._rows.part(index, num_parts)
            if len(hashes):
                counted, numbers = counts.part(index, num_parts)
                logs = np.log2(numbers[np.searchsorted(counted, hashes)])
                np.add.at(sums, packed & 0xFFFFFFFF, (packed >> 32) * logs)
        return sums


class _SortedRows:
    """Rows in the order of their hashes, in memory and in a file.

    Args:
        most_rows: are held in memory.
        combine: sorts rows by hash, and may make one row of several with one hash.
    """

    def __init__(self, most_rows: int, combine: Callable[[Hashes, Integers], _Rows]) -> None:
        self._most_rows = most_rows
        self._combine = combine
        self._held: list[_Rows] = []
        self._num_held = 0
        self._file: IO[bytes] | None = None
        self._written: list[tuple[int, Integers]] = []  # where a block is, its parts' borders

    def add(self, hashes: Hashes, numbers: Integers) -> None:
        """Take in rows that are sorted by hash."""
        if len(hashes) * 2 > self._most_rows:
            self._write(hashes, numbers)
            return
        self._held.append((hashes, numbers))
        self._num_held += len(hashes)
        if self._num_held > self._most_rows:
            hashes, numbers = self._all_held()
            if len(hashes) * 2 > self._most_rows:
                self._write(hashes, numbers)
                self._held, self._num_held = [], 0

    def num_parts(self) -> int:
        return _NUM_PARTS if self._file else 1

    def part(self, index: int, num_parts: int) -> _Rows:
        """The rows of one part of the hashes' range: all, or one of _NUM_PARTS."""
        hashes, numbers = self._all_held()
        if num_parts == 1:
            return hashes, numbers
        first, last = _borders(hashes)[index : index + 2]
        pieces = [(hashes[first:last], numbers[first:last])]
        for offset, borders in self._written:
            first, last = borders[index : index + 2]
            beginning, width = offset + first * 8, last - first
            pieces.append(
                (
                    self._read(beginning, width, np.dtype(np.uint64)),
                    self._read(beginning + borders[-1] * 8, width, np.dtype(np.int64)),
                )
            )
        return self._combine(*_joined(pieces))

    def _all_held(self) -> _Rows:
        if len(self._held) != 1:
            self._held = [self._combine(*_joined(self._held))]
            self._num_held = len(self._held[0][0])
        return self._held[0]

    def _write(self, hashes: Hashes, numbers: Integers) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # until all is read
        self._written.append((self._file.seek(0, 2), _borders(hashes)))
        self._file.write(np.ascontiguousarray(hashes).data)
        self._file.write(np.ascontiguousarray(numbers).data)

    def _read(self, offset: int, number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        assert self._file is not None
        self._file.seek(offset)
        return np.frombuffer(self._file.read(number * dtype.itemsize), dtype)


def _borders(hashes: Hashes) -> Integers:
    """(_NUM_PARTS + 1,) where the parts of sorted hashes begin, and their number."""
    firsts = np.arange(_NUM_PARTS, dtype=np.uint64) << (64 - _PART_BITS)
    return np.append(np.searchsorted(hashes, firsts), len(hashes))


def _joined(pieces: list[_Rows]) -> _Rows:
    hashes = [np.zeros(0, np.uint64), *(hashes for hashes, _ in pieces)]
    numbers = [np.zeros(0, np.int64), *(numbers for _, numbers in pieces)]
    return np.concatenate(hashes), np.concatenate(numbers)


def _sorted(hashes: Hashes, numbers: Integers) -> _Rows:
    order = np.argsort(hashes)
    return hashes[order], numbers[order]


def _summed(hashes: Hashes, numbers: Integers) -> _Rows:
    """Sorted, with one row for each hash: the sum of its numbers."""
    if not len(hashes):
        return hashes, numbers
    hashes, numbers = _sorted(hashes, numbers)
    starts, _ = runs(hashes)
    return hashes[starts], np.add.reduceat(numbers, starts)
