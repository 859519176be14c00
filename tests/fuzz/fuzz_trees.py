"""Any forest of comments: the tree builder gives what a naive one gives, and loses none."""

import struct

from harness import instrumented, main

with instrumented():
    from hostile.compare_trees import BODIES, MONTHS, compare, config_with
    from hostile.naive_trees import Comment

_FIELDS = struct.Struct("<BBbBB")
_MAX_COMMENTS = 200


def _packed(*rows: tuple[int, int, int, int, int]) -> bytes:
    return b"\1\0\2" + b"".join(_FIELDS.pack(*row) for row in rows)


SEEDS = [
    _packed(*((0, n, n - 1, 0, n) for n in range(40))),
    _packed((0, 1, 2, 0, 0), (0, 2, 1, 1, 0), (0, 3, 2, 1, 9), (0, 3, 2, 2, 9), (1, 4, 3, 5, 1)),
    _packed((0, 0, -1, 0, 0), *((0, n, 0, n % 9, n) for n in range(1, 60))),
]
WORDS = [
    _FIELDS.pack(thread, number, parent, body, 0)
    for thread in (0, 1)
    for number, parent in ((1, 2), (2, 1), (3, 3), (4, 99), (5, -1))
    for body in (0, 2, 8)
]


def one_input(data: bytes) -> object:
    """Three bytes of options, then five for each comment."""
    options, rest = data[:3].ljust(3, b"\0"), data[3 : 3 + _FIELDS.size * _MAX_COMMENTS]
    min_turns = 1 + options[0] % 3
    max_turns = min_turns + options[1] % 4 if options[1] & 128 else 0
    rest = rest[: len(rest) // _FIELDS.size * _FIELDS.size]
    comments = [
        Comment(
            thread % 3, number % 64, max(parent, -1), BODIES[body % len(BODIES)],
            f"author {who % 16}" if who & 16 else None, MONTHS[who >> 7], who % 5 - 2,
        )
        for thread, number, parent, body, who in _FIELDS.iter_unpack(rest)
    ]  # fmt: skip
    comments.sort(key=lambda comment: comment.month)
    config = config_with(min_turns, max_turns, 2 + options[2] % 3)
    result = compare(comments, config)
    names = {name for _, name in result.counts}
    return frozenset(names), min(len(result.dialogues), 5), min(len(result.items), 3)


if __name__ == "__main__":
    main(one_input, SEEDS, WORDS)
