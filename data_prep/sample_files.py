"""Monthly .zst files written line by line; some laid out as only a careful reader expects.

Published dumps differ: some are one zstd frame with a window of 2 GiB, some were written in
parallel as many frames. The sample has one of each.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard

from data_prep.sample_records import DumpLine

_LEVEL = 3
_FRAME_LINES = 2000
# Above 2**27, where zstd refuses unless told otherwise, as it does for the published dumps' 2**31.
_LARGE_WINDOW_LOG = 28
# A frame that every reader must step over: magic number, length, content (RFC 8878, 3.1.2).
_SKIPPABLE_FRAME = (0x184D2A50).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"skip"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file differs from one plain zstd frame.

    Attributes:
        note: the difference in words, for the README.
        several_frames: cut into frames in the middle of lines, with a skippable frame between.
        large_window: one frame that needs a window of 256 MiB.
        byte_order_mark: the first line begins with U+FEFF.
        unended: the last line has no line break.
    """

    note: str = "one zstd frame"
    several_frames: bool = False
    large_window: bool = False
    byte_order_mark: bool = False
    unended: bool = False


LAYOUTS = {
    "RC_2018-04.zst": Layout(
        "several zstd frames, cut within lines, and a skippable frame", several_frames=True
    ),
    "RC_2018-05.zst": Layout("one zstd frame with a window of 256 MiB", large_window=True),
    "RS_2018-04.zst": Layout("one zstd frame; begins with a byte order mark", byte_order_mark=True),
    "RS_2018-05.zst": Layout("one zstd frame; no line break at the end", unended=True),
}
"""File name -> layout, of those that are not plain. All of these exist in every sample."""


class _DumpFile:
    """One open .zst file."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.num_lines = 0
        self._layout = layout
        self._file: BinaryIO = path.open("wb")
        window_log = _LARGE_WINDOW_LOG if layout.large_window else 0
        parameters = zstandard.ZstdCompressionParameters.from_level(_LEVEL, window_log=window_log)
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._frame = self._compressor.compressobj()
        self._held_back = b""

    def write(self, line: bytes) -> None:
        if self.num_lines == 0 and self._layout.byte_order_mark:
            line = _BYTE_ORDER_MARK + line
        self.num_lines += 1
        if self._layout.several_frames and self.num_lines % _FRAME_LINES == 2:
            middle = len(line) // 2
            self._compress(line[:middle])
            self._file.write(self._frame.flush())
            self._file.write(_SKIPPABLE_FRAME)
            self._frame = self._compressor.compressobj()
            line = line[middle:]
        self._compress(line)

    def _compress(self, data: bytes) -> None:
        # One line break is held back until more follows, because some files end without it.
        data = self._held_back + data
        self._held_back = b"\n" if data.endswith(b"\n") else b""
        self._file.write(self._frame.compress(data.removesuffix(b"\n")))

    def close(self) -> None:
        if not self._layout.unended:
            self._file.write(self._frame.compress(self._held_back))
        self._file.write(self._frame.flush())
        self._file.close()


@dataclass(slots=True)
class DumpFiles:
    """All files of a dump, each opened when its first line comes."""

    folder: Path
    _files: dict[str, _DumpFile] = field(default_factory=dict)

    def write(self, line: DumpLine) -> None:
        """Append a line to the file of its kind and month."""
        name = f"{line.kind}_{line.month}.zst"
        if name not in self._files:
            self._files[name] = _DumpFile(self.folder / name, LAYOUTS.get(name, Layout()))
        self._files[name].write(line.data)

    def close(self) -> dict[str, int]:
        """Finish every file; file name -> number of lines."""
        for dump_file in self._files.values():
            dump_file.close()
        return {name: dump_file.num_lines for name, dump_file in sorted(self._files.items())}
