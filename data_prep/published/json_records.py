"""A line of a dump -> its record, with the values of JSON as they are.

Which posts the challenge keeps hangs on whether a field is there and what it holds: 7.0 is another
score than 7, and null is not the same as nothing. So lines are not read by `data_prep.posts`, which
mends values; only lines that may matter are read at all.
"""

import json
from typing import Any, TypeAlias

import orjson

Record: TypeAlias = dict[str, Any]

MAX_CHARACTERS = 50_000
"""No text of Reddit is longer: 10,000 characters, each of at most five ("&amp;"). Cutting one into
tokens takes time that grows with the square of its length."""


def read_record(line: bytes) -> Record | None:
    """The JSON object of a line; None if it is none. It never raises."""
    try:
        record = orjson.loads(line)
    except ValueError:
        record = _read_leniently(line)
    return record if isinstance(record, dict) else None


def _read_leniently(line: bytes) -> Any:
    """What Python's parser takes besides: NaN, and halves of surrogate pairs.

    Those, and bytes that are not UTF-8, end the program of the challenge; here they become U+FFFD.
    """
    try:
        text = json.dumps(json.loads(line.decode("utf-8", "replace")), ensure_ascii=False)
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        return None
