"""One dump file as blocks of whole lines, whatever it is compressed with and however broken.

The format is told by the first bytes, because published dumps changed from .bz2 over .xz to .zst
while file names were copied around. Frames are decompressed one by one: that reads files of many
frames, and tells an end of file in the middle of a frame from a proper end.
"""

import lzma
import zlib
from bz2 import BZ2Decompressor
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, cast

import numpy as np
import zstandard

from dialogpt.command_line import UserError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

BLOCK_BYTES = 4 << 20
"""Least size of a block of lines, so that the work for one block outweighs the overhead."""

MAX_LINE_BYTES = 8 << 20
"""A longer line is cut to LONG_LINE_BYTES, so that a file without line breaks, or a few bytes that
unpack to gigabytes, cannot fill the memory. Reddit's longest records are below 1 MiB."""

LONG_LINE_BYTES = 4 << 10

_MAX_XZ_BYTES = 2 << 30  # of memory; a file can ask for 4 GiB, and none of Reddit does
_INPUT_BYTES = 16 << 10
# What one call of a decompressor is given. When a call fails, what it had decompressed is lost:
# small inputs keep that loss to about one zstd block.
_BLOCKS_AHEAD = 3  # decompressed before they are asked for
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class DamagedArchiveError(Exception):
    """A compressed file ends early or cannot be decompressed to its end.

    Attributes:
        problem: what is wrong, in words.
        offset: bytes of the compressed file that were given to the decompressor.
        line_number: number of the line that the damage cut, from 1.
        partial_line: what there is of that line.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(f"{problem} at byte {offset:,}")
        self.problem = problem
        self.offset = offset
        self.line_number = 0
        self.partial_line = b""


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines of a dump.

    Attributes:
        first_line: number of the first line, from 1.
        data: the lines with their ends; only the file's last line may lack its end.
    """

    first_line: int
    data: bytes


class _Decompressor(Protocol):
    """One frame (stream, member) of any of the formats."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _zstd() -> _Decompressor:
    # Dumps since 2017 are written with windows of 2 GiB, which the default limit refuses.
    frame = zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()
    return cast(_Decompressor, frame)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


_FORMATS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x28\xb5\x2f\xfd", _zstd),
    *((bytes([0x50 + n, 0x2A, 0x4D, 0x18]), _zstd) for n in range(16)),  # skippable frames
    (b"BZh", BZ2Decompressor),
    (b"\xfd7zXZ\x00", _xz),
    (b"\x1f\x8b", _gzip),
)
"""(first bytes of a file, decompressor of one frame); a file of other beginnings is plain."""

_DECOMPRESSION_ERRORS = (zstandard.ZstdError, lzma.LZMAError, zlib.error, OSError, EOFError)
"""What the decompressors raise on bad data (bz2 says OSError); files are read outside of it."""


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins like this is given to a decompressor."""
    return any(head.startswith(magic) for magic, _ in _FORMATS)


class _Observed:
    """A file that is read from its beginning to its end, while others look on.

    Args:
        source: the open file.
        report: called with the number of bytes read since the last call.
        digest: gets every byte of the file, or None.
    """

    def __init__(
        self, source: BinaryIO, report: Callable[[int], object], digest: "Hash | None"
    ) -> None:
        self._source = source
        self._report = report
        self._digest = digest
        self.name = source.name
        self.num_read = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.num_read += len(data)
        self._report(len(data))
        if self._digest is not None:
            self._digest.update(data)
        return data

    def again(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes start:end, which were read before, in pieces; nobody is told."""
        place = self._source.tell()
        self._source.seek(start)
        while start < end and (piece := self._source.read(min(_INPUT_BYTES, end - start))):
            yield piece
            start += len(piece)
        self._source.seek(place)

    def read_rest(self) -> None:
        """Let the digest see what nobody could use."""
        while self.read(1 << 20):
            pass


def read_blocks(
    source: "Path | BufferedReader[Any]",
    report: Callable[[int], object],
    digest: "Hash | None" = None,
) -> Iterator[bytes]:
    """The decompressed bytes of a file, piece by piece.

    Args:
        source: the file, or its name; an open one must stand at its beginning.
        report: called with the number of bytes of the file read since the last call.
        digest: gets every byte of the file as it is on disk, damaged or not.

    Raises:
        DamagedArchiveError: after everything readable was yielded.
        UserError: there is not enough memory for the file's window.
    """
    if isinstance(source, Path):
        with BufferedReader(FileIO(source), 1 << 20) as file:
            yield from read_blocks(file, report, digest)
        return
    head = source.peek(8)[:8]
    observed = _Observed(source, report, digest)
    new_frame = next((make for magic, make in _FORMATS if head.startswith(magic)), None)
    if new_frame is not None:
        try:
            yield from _decompressed(observed, new_frame)
        except DamagedArchiveError:
            observed.read_rest()
            raise
        return
    while piece := observed.read(1 << 20):
        yield piece


def _decompressed(source: _Observed, new_frame: Callable[[], _Decompressor]) -> Iterator[bytes]:
    frame, started, frame_start = new_frame(), False, 0
    while data := source.read(_INPUT_BYTES):
        # xz and gzip files may be padded with NUL bytes between and after streams.
        while data := data if started else data.lstrip(b"\0"):
            if not started:
                frame_start = source.num_read - len(data)
            try:
                output = frame.decompress(data)
            except _DECOMPRESSION_ERRORS as error:
                if "not enough memory" in str(error):  # zstd's; the file may be in good order
                    raise UserError(
                        f"{source.name}: {error}; a window may take 2 GiB of memory: free some, or "
                        "give fewer --num_workers"
                    ) from error
                yield from _before_damage(source, new_frame(), frame_start, data)
                raise DamagedArchiveError(
                    f"cannot decompress ({error})", source.num_read
                ) from error
            if output:
                yield output
            started = not frame.eof
            data = b"" if started else frame.unused_data
            if not started:
                frame = new_frame()
    if started:
        raise DamagedArchiveError("the file ends in the middle of compressed data", source.num_read)


def _before_damage(
    source: _Observed, frame: _Decompressor, frame_start: int, data: bytes
) -> Iterator[bytes]:
    """What comes of the input in which a decompressor failed, up to where it does.

    A call that fails gives nothing. So the frame is gone through again, its end byte by byte.
    """
    for piece in source.again(frame_start, source.num_read - len(data)):
        frame.decompress(piece)
    for place in range(len(data)):
        try:
            if output := frame.decompress(data[place : place + 1]):
                yield output
        except _DECOMPRESSION_ERRORS:
            return


def read_lines(
    source: "Path | BufferedReader[Any]",
    report: Callable[[int], object],
    digest: "Hash | None" = None,
    *,
    in_background: bool = False,
) -> Iterator[LineBlock]:
    """The lines of a dump in blocks of at least BLOCK_BYTES; a byte order mark is taken off.

    Of a line that goes on after MAX_LINE_BYTES only the first LONG_LINE_BYTES are yielded.

    Args:
        source: see `read_blocks`.
        report: see `read_blocks`.
        digest: see `read_blocks`.
        in_background: let a thread decompress the next blocks while this one is in use.

    Raises:
        DamagedArchiveError: after every whole line was yielded; it carries the partial line.
        UserError: see `read_blocks`.
    """
    first_line = 1
    pieces = _pieces_of_lines(read_blocks(source, report, digest))
    try:
        for of_block in _read_ahead(pieces) if in_background else pieces:
            data = b"".join(of_block)
            if first_line == 1:
                data = data.removeprefix(_BYTE_ORDER_MARK)
            if data:
                yield LineBlock(first_line, data)
            first_line += _num_line_ends(data)
    except DamagedArchiveError as damage:
        damage.line_number = first_line
        raise


_Pieces: TypeAlias = list[bytes | memoryview]


def _pieces_of_lines(blocks: Iterator[bytes]) -> Iterator[_Pieces]:
    """Pieces of which those in a list make whole lines, together BLOCK_BYTES or more."""
    whole: _Pieces = []
    partial: list[bytes] = []
    size, partial_size = 0, 0
    damage: DamagedArchiveError | None = None
    while True:
        try:
            block = next(blocks, None)
        except DamagedArchiveError as error:
            damage, block = error, None
        if block is None:
            break
        if partial_size > MAX_LINE_BYTES:
            partial = [b"".join(partial)[:LONG_LINE_BYTES]]
            end = block.find(b"\n")
            if end < 0:
                continue
            block = block[end:]
        cut = block.rfind(b"\n") + 1
        if cut:
            whole += [*partial, memoryview(block)[:cut]]
            size += sum(map(len, partial)) + cut
            partial, partial_size = [], 0
        partial.append(block[cut:])
        partial_size += len(block) - cut
        if size >= BLOCK_BYTES:
            yield whole
            size, whole = 0, []
    if damage is None:
        yield [*whole, *partial]
        return
    yield whole
    damage.partial_line = b"".join(partial)
    raise damage


def _read_ahead(blocks: Iterator[_Pieces]) -> Iterator[_Pieces]:
    """The same blocks, the next ones being made while their user is busy with those before."""
    with ThreadPoolExecutor(1) as reader:
        coming = deque(reader.submit(next, blocks, None) for _ in range(_BLOCKS_AHEAD))
        while (block := coming.popleft().result()) is not None:
            coming.append(reader.submit(next, blocks, None))
            yield block


def _num_line_ends(data: bytes) -> int:
    # Twice as fast as bytes.count, and other threads run meanwhile.
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
