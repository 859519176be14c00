import bz2
import gzip
import hashlib
import io
import lzma
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from data_prep import dump
from data_prep.dump import (
    BLOCK_BYTES,
    LONG_LINE_BYTES,
    DamagedArchiveError,
    read_lines,
)

ROOT = Path(__file__).parents[3]
TEXT = b"".join(b'{"id": "%d", "body": "line %d"}\n' % (n, n * n) for n in range(5000))


def zstd_frame(data: bytes, *, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


def zstd_with_window_of_2_gib(data: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    target = io.BytesIO()
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    # Of unknown size, or the frame would state a window as small as the text.
    with compressor.stream_writer(target, closefd=False) as stream:
        stream.write(data)
    return target.getvalue()


SKIPPABLE = struct.pack("<II", 0x184D2A53, 6) + b"ignore"

ENCODINGS = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "gzip of two members and padding": gzip.compress(TEXT[:9])
    + gzip.compress(TEXT[9:])
    + b"\0" * 9,
    "gzip with padding longer than what is read at once": gzip.compress(TEXT[:9])
    + b"\0" * 70_000
    + gzip.compress(TEXT[9:])
    + b"\0" * 70_000,
    "bz2": bz2.compress(TEXT),
    "bz2 of two streams": bz2.compress(TEXT[:70_000]) + bz2.compress(TEXT[70_000:]),
    "xz": lzma.compress(TEXT),
    "xz of two streams and padding": lzma.compress(TEXT[:9]) + b"\0" * 4 + lzma.compress(TEXT[9:]),
    "zstd": zstd_frame(TEXT),
    "zstd of three frames": zstd_frame(TEXT[:9]) + zstd_frame(b"") + zstd_frame(TEXT[9:]),
    "zstd of a frame a line": b"".join(zstd_frame(line) for line in TEXT.splitlines(True)),
    "zstd with skippable frames": SKIPPABLE + zstd_frame(TEXT) + SKIPPABLE,
    "zstd with a window of 2 GiB": zstd_with_window_of_2_gib(TEXT),
}


def write(folder: Path, data: bytes) -> Path:
    path = folder / "RC_2015-01.whatever"
    path.write_bytes(data)
    return path


def lines_of(path: Path) -> bytes:
    return b"".join(block.data for block in read_lines(path, lambda _: None))


def lines_before_damage(path: Path) -> tuple[bytes, DamagedArchiveError]:
    blocks, kept = read_lines(path, lambda _: None), b""
    while True:
        try:
            kept += next(blocks).data
        except DamagedArchiveError as damage:
            return kept, damage


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_compression_gives_the_same_lines(encoding: str, tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, ENCODINGS[encoding])) == TEXT


def test_the_long_window_is_one_that_the_default_limit_refuses() -> None:
    with pytest.raises(zstandard.ZstdError, match="too much memory"):
        zstandard.ZstdDecompressor().decompressobj().decompress(
            ENCODINGS["zstd with a window of 2 GiB"]
        )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_progress_sums_to_the_size_of_the_file(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, ENCODINGS[encoding])
    reports: list[int] = []
    for _ in read_lines(path, reports.append):
        pass
    assert sum(reports) == path.stat().st_size


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_reading_in_the_background_gives_the_same_blocks_and_the_same_damage(
    encoding: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "BLOCK_BYTES", 1000)
    data = ENCODINGS[encoding]
    path = write(tmp_path, data[: int(len(data) * share)])

    def blocks_and_damage(*, in_background: bool) -> list[object]:
        digest = hashlib.sha256()
        blocks = read_lines(path, lambda _: None, digest, in_background=in_background)
        found: list[object] = []
        try:
            found.extend(blocks)
        except DamagedArchiveError as damage:
            found.append((str(damage), damage.line_number, damage.partial_line))
        return [*found, digest.hexdigest()]

    in_turn = blocks_and_damage(in_background=False)
    assert in_turn == blocks_and_damage(in_background=True)
    assert in_turn[-1] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("encoding", ["gzip", "bz2 of two streams", "xz", "zstd"])
def test_a_truncated_archive_yields_its_whole_lines_and_then_says_so(
    encoding: str, tmp_path: Path
) -> None:
    data = ENCODINGS[encoding]
    path = write(tmp_path, data[: len(data) * 9 // 10])
    kept, damage = lines_before_damage(path)
    assert "in the middle" in damage.problem
    assert kept.endswith(b"\n") or not kept
    assert TEXT.startswith(kept + damage.partial_line)
    assert damage.line_number == kept.count(b"\n") + 1
    assert damage.offset == path.stat().st_size


def test_what_precedes_corrupt_data_is_kept(tmp_path: Path) -> None:
    frames = [zstd_frame(TEXT * 10), zstd_frame(TEXT * 10)]
    broken = bytearray(frames[1])
    broken[len(broken) // 2 :] = bytes(len(broken) - len(broken) // 2)
    path = write(tmp_path, frames[0] + bytes(broken))
    kept, damage = lines_before_damage(path)
    assert "cannot decompress" in damage.problem
    assert len(kept) >= len(TEXT) * 10
    assert (TEXT * 20).startswith(kept + damage.partial_line)


@pytest.mark.parametrize("encoding", ["gzip", "bz2", "xz", "zstd"])
def test_garbage_after_the_archive_is_damage_after_all_lines(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, ENCODINGS[encoding] + b"no archive begins like this")
    kept, _ = lines_before_damage(path)
    assert kept == TEXT


def test_blocks_are_whole_lines_with_their_numbers(tmp_path: Path) -> None:
    text = b"".join(b"%d %s\n" % (n, b"x" * (n % 3000)) for n in range(1, 9001)) + b"no end"
    blocks = list(read_lines(write(tmp_path, text), lambda _: None))
    assert len(blocks) > 2
    for block in blocks:
        assert block.data.startswith(b"%d " % block.first_line)
    assert all(len(block.data) >= BLOCK_BYTES for block in blocks[:-1])
    assert b"".join(block.data for block in blocks) == text


def test_a_line_longer_than_a_block_stays_whole(tmp_path: Path) -> None:
    text = b"short\n" + b"x" * (2 * BLOCK_BYTES + 5) + b"\nlast\n"
    blocks = list(read_lines(write(tmp_path, zstd_frame(text)), lambda _: None))
    assert b"".join(block.data for block in blocks) == text
    assert all(block.data.endswith(b"\n") for block in blocks)


def test_of_a_line_without_end_only_the_beginning_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "MAX_LINE_BYTES", 3 << 20)
    endless = b"x" * (40 << 20)
    path = write(tmp_path, b"first\n" + endless + b"\nnext\n" + endless)
    tracemalloc.start()
    kept = lines_of(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    beginning = b"x" * LONG_LINE_BYTES
    assert kept == b"first\n" + beginning + b"\nnext\n" + beginning
    assert peak < len(endless) / 2


def test_a_byte_order_mark_is_taken_off_the_first_line_alone(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    assert lines_of(write(tmp_path, mark + b"a\n" + mark + b"b\n")) == b"a\n" + mark + b"b\n"


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path, b"")) == b""
    assert lines_of(write(tmp_path, zstd_frame(b""))) == b""


READ_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from data_prep.dump import read_lines
from dialogpt.command_line import UserError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    list(read_lines(Path(sys.argv[1]), lambda _: None))
except UserError as error:
    print(error)
"""


def test_want_of_memory_is_not_taken_for_damage(tmp_path: Path) -> None:
    # Magic number, a frame of unknown size with a window of 2 GiB, and one raw block, the last.
    data = b'{"id": "a"}\n'
    frame = b"\x28\xb5\x2f\xfd\x00\xa8" + (len(data) << 3 | 1).to_bytes(3, "little") + data
    path = write(tmp_path, frame)
    assert lines_of(path) == data
    argv = [sys.executable, "-c", READ_WITH_LITTLE_MEMORY, str(path)]
    message = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert path.name in message
    assert "not enough memory" in message
    assert "--num_workers" in message


@pytest.mark.parametrize("damage", ["none", "truncated", "padded", "plain"])
def test_the_digest_sees_every_byte_of_the_file(damage: str, tmp_path: Path) -> None:
    frame = zstd_frame(b"".join(b"%d\n" % (n * n) for n in range(200_000)))
    content = {
        "none": frame,
        "truncated": frame[: len(frame) // 2],
        "padded": frame[: len(frame) // 2] + bytes(100_000),
        "plain": bytes(3_000_000),
    }[damage]
    path, digest, reports = write(tmp_path, content), hashlib.sha256(), []
    try:
        for _ in read_lines(path, reports.append, digest):
            pass
    except DamagedArchiveError:
        assert damage in ("truncated", "padded")
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
    assert sum(reports) == len(content)


def test_who_stops_reading_does_not_read_the_rest(tmp_path: Path) -> None:
    reports: list[int] = []
    blocks = read_lines(write(tmp_path, b"line\n" * 8_000_000), reports.append, hashlib.sha256())
    next(blocks)
    blocks.close()
    assert sum(reports) < 10_000_000
