"""Any bytes as a dump: lines or a report of damage, the same from a file and from a stream."""

import tempfile
from pathlib import Path

from harness import instrumented, main

with instrumented():
    from hostile.archives import COMPRESSORS, read_file, readable_part, skippable_frame

_LINES = b"".join(b'{"id": "%d"}\n' % (n * n) for n in range(40))
_MAGIC = {"zst": b"\x28\xb5\x2f\xfd", "gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SEEDS = [
    *(compress(_LINES) for compress in COMPRESSORS.values()),
    *(c(_LINES[:99]) + c(b"") + c(_LINES[99:]) for c in COMPRESSORS.values()),
    skippable_frame(b"x") + COMPRESSORS["zst"](_LINES),
    _BYTE_ORDER_MARK + _LINES + b"no end",
]  # fmt: skip
WORDS = [*_MAGIC.values(), b"\0" * 4, skippable_frame(b""), b"\n", _BYTE_ORDER_MARK, b"\xff" * 4]
_FOLDER = tempfile.TemporaryDirectory()


def one_input(data: bytes) -> object:
    """What is kept are whole lines, and none but those that stand before the damage."""
    kept, damage = read_file(Path(_FOLDER.name), data)
    suffix = next((s for s, magic in _MAGIC.items() if data.startswith(magic)), None)
    if suffix is not None:
        left = readable_part(data, suffix)
        beginning = left.removeprefix(_BYTE_ORDER_MARK)
        assert left.startswith(kept) or beginning.startswith(kept)
        assert damage is not None or kept in (left, beginning)
    if damage is not None:
        assert kept.endswith(b"\n") or not kept
        assert damage.line_number == kept.count(b"\n") + 1
    return suffix, damage and damage.problem[:40], min(kept.count(b"\n"), 50)


if __name__ == "__main__":
    main(one_input, SEEDS, WORDS)
