"""Lines of a dump -> columns of posts, without losing a record uncounted.

Nearly all lines take a fast route: the compiled reader where there is one, else msgspec, which
decodes the few fields that matter of a whole block. What the fast route refuses is taken line by
line, by parsers and conversions that accept whatever the dumps contain (`data_prep.post_fields`).
All routes give the same posts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep import native
from data_prep.dump import LineBlock
from data_prep.ids import decode_ids
from data_prep.post_fields import (
    ROOT,
    SECONDS,
    Field,
    FieldKind,
    PostFormat,
    Value,
    parse_line,
    whole_number,
)

COMMENTS = PostFormat(
    (
        Field(name="id", kind=FieldKind.ID, reason="missing_id"),
        Field(name="link_id", kind=FieldKind.ID, prefix="t3_", reason="missing_link"),
        Field(name="parent_id", kind=FieldKind.PARENT),
        Field(name="author", kind=FieldKind.TEXT),
        Field(name="created_utc", kind=FieldKind.INTEGER, limits=SECONDS),
        Field(name="score", kind=FieldKind.INTEGER),
        Field(name="subreddit", kind=FieldKind.TEXT),
        Field(name="body", kind=FieldKind.BODY, reason="missing_body"),
    )
)
"""Comments. Ids are the values of Reddit's base-36 ids; `link_id` names the submission, `parent_id`
is a comment or ROOT. A time or score that the dump does not tell is 0."""

SUBMISSIONS = PostFormat(
    (Field(name="id", kind=FieldKind.ID, prefix="t3_", reason="missing_id"),),
)
"""Submissions. The paths of DialoGPT consist of comments only, so that it was seen is enough."""

_EXCERPT_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class UnusableLine:
    """A line that yields no post: where it stands, a word of UNUSABLE, and its beginning."""

    line_number: int
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ParsedBlock:
    """The posts of a block and the lines that yield none; blank lines are in neither."""

    posts: pa.RecordBatch
    unusable: list[UnusableLine]


@dataclass(frozen=True, slots=True)
class _OddLine:
    """A line for the tolerant parser: its number, how many posts stand before it, its bytes."""

    line_number: int
    num_before: int
    line: bytes


def parse_block(block: LineBlock, post_format: PostFormat) -> ParsedBlock:
    """Every non-blank line as a row or as an UnusableLine; it never raises."""
    if native.compiled is not None:
        posts, odd = _compiled_route(native.compiled, block, post_format)
    elif (decoded := _msgspec_route(block.data, post_format)) is not None:
        posts, odd = decoded, []
    else:
        lines = enumerate(block.data.split(b"\n"), start=block.first_line)
        posts, odd = _no_posts(post_format), [_OddLine(n, 0, line) for n, line in lines]
    return _with_odd_lines(posts, odd, post_format) if odd else ParsedBlock(posts, [])


def _no_posts(post_format: PostFormat) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=post_format.schema)


def _with_odd_lines(
    posts: pa.RecordBatch, odd: Sequence[_OddLine], post_format: PostFormat
) -> ParsedBlock:
    """Put the posts of the odd lines where they belong, and say which lines yield none."""
    mended: list[tuple[Value, ...]] = []
    places: list[int] = []
    unusable: list[UnusableLine] = []
    for line in odd:
        if not line.line.strip():
            continue
        values = parse_line(line.line, post_format.fields)
        if isinstance(values, str):
            excerpt = line.line[: 4 * _EXCERPT_CHARACTERS].decode("utf-8", "replace")
            unusable.append(UnusableLine(line.line_number, values, excerpt[:_EXCERPT_CHARACTERS]))
        else:
            mended.append(values)
            places.append(line.num_before)
    if mended:
        columns = [
            pa.array([values[index] for values in mended], field.type)
            for index, field in enumerate(post_format.schema)
        ]
        rows = pa.record_batch(columns, schema=post_format.schema)
        order = np.insert(
            np.arange(posts.num_rows), places, posts.num_rows + np.arange(len(mended))
        )
        posts = pa.concat_batches([posts, rows]).take(pa.array(order))
    return ParsedBlock(posts, unusable)


def _compiled_route(
    compiled: ModuleType, block: LineBlock, post_format: PostFormat
) -> tuple[pa.RecordBatch, list[_OddLine]]:
    num_rows, columns, refused = compiled.posts_of_lines(block.data, post_format.native)
    arrays = [
        _text_array(num_rows, *column)
        if isinstance(column, tuple)
        else pa.Array.from_buffers(pa.int64(), num_rows, [None, pa.py_buffer(column)])
        for column in columns
    ]
    odd = [
        _OddLine(block.first_line + line, num_before, block.data[start:end])
        for line, num_before, start, end in np.frombuffer(refused, np.int64).reshape(-1, 4).tolist()
    ]
    return pa.record_batch(arrays, schema=post_format.schema), odd


def _text_array(num_rows: int, offsets: bytes, text: bytes, is_there: bytes) -> pa.Array:
    there = np.frombuffer(is_there, np.uint8)
    validity = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.large_string(), num_rows, buffers)


def _msgspec_route(data: bytes, post_format: PostFormat) -> pa.RecordBatch | None:
    """The posts of a block in which every line is as it should be, else None."""
    try:
        records = post_format.decoder.decode_lines(data)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    # To msgspec a line break is any blank: it also takes two objects on a line, or one on two.
    if len(records) != data.count(b"\n") + (not data.endswith(b"\n")):
        return None
    columns = []
    for field in post_format.fields:
        column = _column_of([getattr(record, field.name) for record in records], field)
        if column.null_count and field.kind is not FieldKind.TEXT:
            return None
        columns.append(column)
    return pa.record_batch(columns, schema=post_format.schema)


def _column_of(values: list[Any], field: Field) -> pa.Array:
    match field.kind:
        case FieldKind.ID:
            ids, is_id = decode_ids(values, field.prefix.encode())
            return pa.array(ids, mask=~is_id)
        case FieldKind.PARENT:
            names = [value or "" for value in values]
            ids, is_id = decode_ids(names, field.prefix.encode(), needs_prefix=True)
            return pa.array(np.where(is_id, ids, ROOT))
        case FieldKind.INTEGER:
            numbers = [v if type(v) is int else whole_number(v, field.limits) for v in values]
            return pa.array(numbers, pa.int64())
        case FieldKind.TEXT | FieldKind.BODY:
            return pa.array(values, pa.large_string())
