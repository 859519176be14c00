"""Reddit's base-36 ids as numbers: half the memory, and arrays can be sorted and searched."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MAX_ID_LENGTH = 12
"""Characters of the longest id that fits 63 bits; Reddit's had 7 in 2024."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CHARACTERS = np.frombuffer(_DIGITS.encode(), np.uint8)
_DIGIT_VALUES = np.full(256, -1, dtype=np.int64)
for _value, _digit in enumerate(_DIGITS):
    _DIGIT_VALUES[[ord(_digit), ord(_digit.upper())]] = _value


def decode_ids(
    names: Sequence[str], prefix: bytes, *, needs_prefix: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The values of base-36 ids.

    Args:
        names: n ids, with or without their prefix.
        prefix: three bytes, "t1_" for comments.
        needs_prefix: whether an id without the prefix is none.

    Returns:
        values: (n,) what the id counts; without meaning where it is no id.
        valid: (n,) whether it is an id of at most 12 characters.
    """
    array = pa.array(names, pa.large_string())
    _, offsets, text = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[: len(names) + 1]
    text = np.frombuffer(text, np.uint8) if text is not None else np.zeros(0, np.uint8)
    padded = np.concatenate([text, np.zeros(len(prefix) + MAX_ID_LENGTH, np.uint8)])
    starts, lengths = bounds[:-1], np.diff(bounds)
    has_prefix = lengths >= len(prefix)
    for position, character in enumerate(prefix):
        has_prefix &= padded[starts + position] == character
    starts = starts + len(prefix) * has_prefix
    lengths = lengths - len(prefix) * has_prefix
    valid = (lengths >= 1) & (lengths <= MAX_ID_LENGTH)
    if needs_prefix:
        valid &= has_prefix
    values = np.zeros(len(names), np.int64)
    for position in range(min(MAX_ID_LENGTH, int(lengths.max(initial=0)))):
        digits = _DIGIT_VALUES[padded[starts + position]]
        inside = position < lengths
        valid &= ~inside | (digits >= 0)
        values = np.where(inside & valid, values * 36 + digits, values)
    return values, valid


def base36(value: int) -> str:
    """A number >= 0 as Reddit writes ids.

    >>> base36(46656)
    '1000'
    """
    digits = ""
    while True:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
        if value == 0:
            return digits


def encode_ids(values: NDArray[np.int64], prefix: str) -> pa.Array:
    """Ids as Reddit writes them, as an array of strings; for many of them faster than `base36`.

    Args:
        values: (n,) at least 0.
        prefix: what to put in front, "t1_" for comments.
    """
    num_digits = len(base36(int(values.max(initial=0))))
    text = np.empty((len(values), num_digits), np.uint8)
    for position in reversed(range(num_digits)):
        values, digits = np.divmod(values, 36)
        text[:, position] = _CHARACTERS[digits]
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(num_digits), len(text), [None, pa.py_buffer(text)]
    ).cast(pa.string())
    # All zeros but the last: 0 is an id, too.
    return pc.binary_join_element_wise(
        prefix,
        pc.utf8_ltrim(pc.utf8_slice_codeunits(ids, 0, num_digits - 1), "0"),
        pc.utf8_slice_codeunits(ids, num_digits - 1),
        "",
    )


def mixed(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The ids well shuffled over 64 bits; the same on every machine and run.

    The finalizer of SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195).
    """
    mixed = ids.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
