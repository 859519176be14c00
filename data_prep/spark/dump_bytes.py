"""The bytes of a dump file, which Spark reads, as the open file that `data_prep.dump` reads.

Python in an executor can open local files only; Spark's JVM opens whatever it has a file system
for (HDFS, S3, GCS, Azure, ...) with the credentials it was given. But it hands bytes to Python only
as rows, and a row has at most 2 GiB. So Spark is asked to read the file, compressed as it is, as a
text file: a "line" then is what stands between two bytes 0x0A, some hundred bytes. Joined again by
0x0A they are the file.
"""

import io
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.spark.scratch import scratch_folder
from dialogpt.command_line import UserError

if TYPE_CHECKING:
    from io import BufferedReader

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def joined_lines(lines: pa.Array) -> bytes:
    """Binary values with a line break between two."""
    offsets = pa.array([0, len(lines)], pa.int32())
    joined: bytes = pc.binary_join(pa.ListArray.from_arrays(offsets, lines), b"\n")[0].as_py()
    return joined


def file_pieces(
    batches: Iterable[pa.RecordBatch], name: str, *, size: int, begins_with_mark: bool
) -> Iterator[bytes]:
    """The bytes of a file.

    Args:
        batches: the column `value` holds what stands between the bytes 0x0A, in order.
        name: of the file, for messages.
        size: bytes of the file.
        begins_with_mark: whether it begins with a byte order mark: Spark takes it off.

    Raises:
        UserError: Spark gave another number of bytes.
    """
    num_bytes, is_first = 0, True
    for batch in batches:
        piece = joined_lines(batch.column("value"))
        if not is_first:
            piece = b"\n" + piece
        elif begins_with_mark:
            piece = BYTE_ORDER_MARK + piece
        is_first = False
        num_bytes += len(piece)
        yield piece
    if num_bytes == size - 1:  # the end of the last line
        yield b"\n"
    elif num_bytes != size:
        raise UserError(
            f"{name}: expected {size:,} bytes, got {num_bytes:,}; do not change dumps while they "
            "are read (or does this Spark decompress them itself? Then give --spark.read lines)"
        )


def as_file(pieces: Iterator[bytes], name: str, *, is_compressed: bool) -> "BufferedReader[Any]":
    """Pieces of bytes as an open file.

    Args:
        pieces: the bytes.
        name: for messages.
        is_compressed: whether it is read again where it is damaged, and so must be kept on disk.
    """
    reader = _SpooledReader if is_compressed else _PieceReader
    return io.BufferedReader(reader(pieces, name), 1 << 20)


class _PieceReader(io.RawIOBase):
    """A file that is read once."""

    def __init__(self, pieces: Iterator[bytes], name: str) -> None:
        self.name = name
        self._pieces = pieces
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer; it stays partly empty only at the end of the file."""
        target = memoryview(buffer).cast("B")
        num_read = 0
        while num_read < len(target):
            if not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._piece = memoryview(piece)
            num_taken = min(len(self._piece), len(target) - num_read)
            target[num_read : num_read + num_taken] = self._piece[:num_taken]
            self._piece = self._piece[num_taken:]
            num_read += num_taken
        return num_read


class _SpooledReader(_PieceReader):
    """A file that can go back: what was read is kept in a nameless file of this machine."""

    def __init__(self, pieces: Iterator[bytes], name: str) -> None:
        super().__init__(pieces, name)
        self._spool = TemporaryFile(dir=scratch_folder())  # noqa: SIM115 - closed with the reader
        self._place = self._num_spooled = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place that was read before, or back to where reading goes on."""
        if whence != io.SEEK_SET or not 0 <= offset <= self._num_spooled:
            raise io.UnsupportedOperation(f"{self.name}: cannot go to byte {offset} ({whence})")
        self._place = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer from what was kept, or from what comes next."""
        self._spool.seek(self._place)
        if self._place < self._num_spooled:
            num_read = self._spool.readinto(buffer)
        else:
            num_read = super().readinto(buffer)
            self._spool.write(memoryview(buffer)[:num_read])
            self._num_spooled += num_read
        self._place += num_read
        return num_read

    def close(self) -> None:
        self._spool.close()
        super().close()
