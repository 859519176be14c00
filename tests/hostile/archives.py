"""Archives of lines, whole and damaged, and what is left of them by the decompressors' own word."""

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from data_prep.dump import DamagedArchiveError, read_lines

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zst": zstandard.ZstdCompressor().compress,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
_NEW_FRAME: dict[str, Callable[[], Any]] = {
    "zst": lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
    "gz": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}
_ERRORS = (zstandard.ZstdError, lzma.LZMAError, zlib.error, OSError, EOFError)


def skippable_frame(content: bytes) -> bytes:
    """A frame of zstd that holds no text."""
    return struct.pack("<II", 0x184D2A53, len(content)) + content


def readable_part(data: bytes, suffix: str) -> bytes:
    """What a decompressor gives that gets one byte at a time: all that stands before the damage."""
    text, frame, started = bytearray(), _NEW_FRAME[suffix](), False
    for place in range(len(data)):
        if not started and data[place] == 0:
            continue
        try:
            text += frame.decompress(data[place : place + 1])
        except _ERRORS:
            break
        started = not frame.eof
        if frame.eof:
            frame = _NEW_FRAME[suffix]()
    return bytes(text)


def read_file(folder: Path, data: bytes) -> tuple[bytes, DamagedArchiveError | None]:
    """The lines that the reader finds in a file of these bytes, and the damage it reports."""
    path = folder / "RC_2015-01"
    path.write_bytes(data)
    blocks, kept = read_lines(path, lambda _: None), b""
    try:
        for block in blocks:
            kept += block.data
    except DamagedArchiveError as damage:
        return kept, damage
    return kept, None
