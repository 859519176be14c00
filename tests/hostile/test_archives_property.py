"""Any bytes as a dump: nothing raises but the report of damage, and whole lines are kept."""

import bz2
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hostile.archives import COMPRESSORS, read_file, readable_part, skippable_frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SAME_FOLDER = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
SUFFIXES = pytest.mark.parametrize("suffix", COMPRESSORS)
MAGIC = [b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\x00", b"\x1f\x8b\x08", b"\x50\x2a\x4d\x18", b""]
_SOURCE = random.Random(5)
TEXT = b"".join(b'{"id": "%d", "x": "%d"}\n' % (n, _SOURCE.getrandbits(90)) for n in range(120))
PIECES = st.lists(st.integers(0, len(TEXT)), max_size=3).map(
    lambda cuts: [TEXT[a:b] for a, b in pairwise([0, *sorted(cuts), len(TEXT)])]
)


def whole_lines(text: bytes) -> bytes:
    return text[: text.rfind(b"\n") + 1]


@SAME_FOLDER
@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=300))
def test_any_bytes_are_lines_or_damage(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    kept, damage = read_file(tmp_path, magic + rest)
    if not magic and damage is None:
        assert kept == rest.removeprefix(b"\xef\xbb\xbf")


@SUFFIXES
@SAME_FOLDER
@given(pieces=PIECES, skipped=st.binary(max_size=9), padding=st.integers(0, 9))
def test_frames_one_after_the_other_are_one_text(
    tmp_path: Path, suffix: str, pieces: list[bytes], skipped: bytes, padding: int
) -> None:
    between = skippable_frame(skipped) if suffix == "zst" else b"\0" * (4 * padding)
    data = between.join(COMPRESSORS[suffix](piece) for piece in [*pieces, b""])
    assert read_file(tmp_path, data) == (TEXT, None)


@SUFFIXES
@SAME_FOLDER
@given(pieces=PIECES, share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_at_any_byte_gives_every_line_that_was_whole_before(
    tmp_path: Path, suffix: str, pieces: list[bytes], share: float
) -> None:
    frames = [COMPRESSORS[suffix](piece) for piece in pieces]
    data = b"".join(frames)
    cut = int(len(data) * share)
    kept, damage = read_file(tmp_path, data[:cut])
    if cut < 8:  # too little to tell what it is compressed with
        return
    ends = {sum(map(len, frames[:number])) for number in range(len(frames) + 1)}
    assert (damage is None) == (cut in ends)
    left = readable_part(data[:cut], suffix)
    assert TEXT.startswith(left)
    assert kept == (whole_lines(left) if damage else left)
    if damage is not None:
        assert kept + damage.partial_line == left
        assert damage.line_number == kept.count(b"\n") + 1


@SUFFIXES
@SAME_FOLDER
@given(
    pieces=PIECES,
    place=st.floats(0, 1, exclude_max=True),
    flipped=st.integers(1, 255),
    garbage=st.binary(max_size=12),
)
def test_damaged_bytes_never_raise_and_cost_nothing_of_the_frames_before(
    tmp_path: Path, suffix: str, pieces: list[bytes], place: float, flipped: int, garbage: bytes
) -> None:
    frames = [COMPRESSORS[suffix](piece) for piece in pieces]
    data = bytearray(b"".join(frames))
    at = int(len(data) * place)
    data[at] ^= flipped
    kept, _ = read_file(tmp_path, bytes(data) + garbage)
    if at < 8 or kept.startswith(b"\xef\xbb\xbf"):
        return
    start, before = 0, b""
    for frame, piece in zip(frames, pieces, strict=True):
        if at < start + len(frame):
            break
        start, before = start + len(frame), before + piece
    assert kept.startswith(whole_lines(before))


@SUFFIXES
def test_what_stands_before_damage_in_the_same_frame_is_kept(tmp_path: Path, suffix: str) -> None:
    text = b"".join(b'{"id": %d}\n' % (n // 50) for n in range(30_000))
    # bz2 has blocks of 100 kB at least, and gives nothing of one that is damaged.
    data = bytearray(bz2.compress(text, 1) if suffix == "bz2" else COMPRESSORS[suffix](text))
    damaged = slice(-8, None) if suffix == "gz" else slice(-20, None)  # gz: the checksum alone
    data[damaged] = bytes(len(data[damaged]))
    kept, damage = read_file(tmp_path, bytes(data))
    assert damage is not None
    left = whole_lines(readable_part(bytes(data), suffix))
    assert len(left) > len(text) // 2
    assert kept == left


def test_many_small_frames_and_empty_ones_are_read(tmp_path: Path) -> None:
    compress = COMPRESSORS["zst"]
    data = b"".join(compress(b"%d\n" % n) + compress(b"") for n in range(3000))
    kept, damage = read_file(tmp_path, data)
    assert damage is None
    assert kept == b"".join(b"%d\n" % n for n in range(3000))
