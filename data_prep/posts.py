"""Lines of a dump -> columns of posts, without losing a record uncounted.

Nearly all lines take the fast route: msgspec decodes the few fields that matter of a whole block.
A block with a line that it refuses is taken line by line, and a line that it still refuses goes
through parsers and conversions that accept whatever the dumps of 20 years contain: numbers as
strings, ids as numbers, invalid UTF-8, halves of surrogate pairs.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa

from data_prep.dump import LineBlock
from data_prep.ids import MAX_ID_LENGTH, base36, decode_ids

ROOT = -1
"""Parent of a comment that answers the submission, or that does not say what it answers."""

COMMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("link_id", pa.int64(), nullable=False),
        pa.field("parent_id", pa.int64(), nullable=False),
        pa.field("author", pa.string()),
        pa.field("created_utc", pa.int64(), nullable=False),
        pa.field("score", pa.int32(), nullable=False),
        pa.field("subreddit", pa.string(), nullable=False),
        pa.field("body", pa.large_string(), nullable=False),
    ]
)
"""Comments. Ids are the values of Reddit's base-36 ids; `link_id` names the submission, `parent_id`
is a comment or ROOT. A time or score that the dump does not tell is 0."""

SUBMISSION_SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False)])
"""Submissions. The paths of DialoGPT consist of comments only, so that it was seen is enough."""

UNUSABLE = ("malformed_json", "not_an_object", "missing_id", "missing_link", "missing_body")
"""Why a line yields no post, in the order in which it is found out."""

_INT32 = (-(2**31), 2**31 - 1)
_SECONDS = (0, 2**40)
_EXCERPT_CHARACTERS = 80


class _Comment(msgspec.Struct, gc=False):
    id: str = ""
    link_id: str = ""
    parent_id: str | None = None
    author: str | None = None
    created_utc: Annotated[int, msgspec.Meta(ge=_SECONDS[0], le=_SECONDS[1])] | str | None = None
    score: Annotated[int, msgspec.Meta(ge=_INT32[0], le=_INT32[1])] | None = None
    subreddit: str | None = None
    body: str | None = None


class _Submission(msgspec.Struct, gc=False):
    id: str = ""


@dataclass(frozen=True, slots=True)
class PostFormat:
    """How one kind of post is read.

    Attributes:
        schema: of the columns; a null in a column that is not nullable marks an unusable post.
        decoder: decodes a line as the dumps mean it.
        mend: a decoded JSON object -> the decoder's type, whatever its values are.
        problem: why a post is unusable, or None.
        columns: posts -> record batch of the schema.
    """

    schema: pa.Schema
    decoder: msgspec.json.Decoder[Any]
    mend: Callable[[dict[str, Any]], Any]
    problem: Callable[[Any], str | None]
    columns: Callable[[Sequence[Any]], pa.RecordBatch]


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


def parse_block(block: LineBlock, post_format: PostFormat) -> ParsedBlock:
    """Every non-blank line as a row or as an UnusableLine; it never raises."""
    try:
        posts = post_format.columns(post_format.decoder.decode_lines(block.data))
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return _parse_line_by_line(block, post_format)
    # To msgspec a line break is any blank: it also takes two objects on a line, or one on two.
    if posts.num_rows != _num_lines(block.data) or any(
        posts.column(field.name).null_count for field in post_format.schema if not field.nullable
    ):
        return _parse_line_by_line(block, post_format)
    return ParsedBlock(posts, [])


def _num_lines(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n"))


def _parse_line_by_line(block: LineBlock, post_format: PostFormat) -> ParsedBlock:
    usable, unusable = [], []
    for line_number, line in enumerate(block.data.split(b"\n"), start=block.first_line):
        if not line.strip():
            continue
        post, problem = _parse_line(line, post_format)
        problem = problem or post_format.problem(post)
        if problem is None:
            usable.append(post)
        else:
            excerpt = line[: 4 * _EXCERPT_CHARACTERS].decode("utf-8", "replace")
            unusable.append(UnusableLine(line_number, problem, excerpt[:_EXCERPT_CHARACTERS]))
    return ParsedBlock(post_format.columns(usable), unusable)


def _parse_line(line: bytes, post_format: PostFormat) -> tuple[Any, str | None]:
    """A post of the format's type, or None and the reason."""
    try:
        return post_format.decoder.decode(line), None
    except (ValueError, RecursionError):
        pass  # not as the dumps mean it: the tolerant route decides what it is worth
    try:
        value = orjson.loads(line)
    except ValueError:
        try:
            # Accepts what orjson does not: raw control characters, NaN, lone surrogates.
            value = json.loads(line.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError):
            return None, "malformed_json"
    if not isinstance(value, dict):
        return None, "not_an_object"
    return post_format.mend(value), None


def _mend_comment(value: dict[str, Any]) -> _Comment:
    return _Comment(
        id=_id(value.get("id"), "t1_"),
        link_id=_id(value.get("link_id"), "t3_"),
        parent_id=_id(value.get("parent_id"), "t1_"),
        author=_text(value.get("author")),
        created_utc=_whole_number(value.get("created_utc"), _SECONDS),
        score=_whole_number(value.get("score"), _INT32),
        subreddit=_text(value.get("subreddit")),
        body=_text(value.get("body")),
    )


def _mend_submission(value: dict[str, Any]) -> _Submission:
    return _Submission(id=_id(value.get("id"), "t3_"))


def _id(value: Any, prefix: str) -> str:
    """An id as text; a number is the value of a base-36 id. "" where it is neither."""
    if isinstance(value, str):
        return _text(value) or ""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return prefix + base36(value)
    return ""


def _text(value: Any) -> str | None:
    """A string that can be written as UTF-8: halves of surrogate pairs become U+FFFD."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole_number(value: Any, limits: tuple[int, int]) -> int:
    """A number, or a string of one, cut to whole and to the limits; 0 for anything else."""
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= 12:
        value = int(value)  # many months have their times so
    if isinstance(value, str):
        value = msgspec.convert(value, float, strict=False) if _NUMBER.fullmatch(value) else 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(min(max(value, limits[0]), limits[1]))


_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d*)?", re.ASCII)
_COMMENT_ID = re.compile(rf"(t1_)?[0-9A-Za-z]{{1,{MAX_ID_LENGTH}}}")
_SUBMISSION_ID = re.compile(rf"(t3_)?[0-9A-Za-z]{{1,{MAX_ID_LENGTH}}}")


def _comment_problem(comment: _Comment) -> str | None:
    if _COMMENT_ID.fullmatch(comment.id) is None:
        return "missing_id"
    if _SUBMISSION_ID.fullmatch(comment.link_id) is None:
        return "missing_link"
    return "missing_body" if comment.body is None else None


def _submission_problem(submission: _Submission) -> str | None:
    return "missing_id" if _SUBMISSION_ID.fullmatch(submission.id) is None else None


def _comment_columns(comments: Sequence[_Comment]) -> pa.RecordBatch:
    ids, is_id = decode_ids([comment.id for comment in comments], b"t1_")
    links, is_link = decode_ids([comment.link_id for comment in comments], b"t3_")
    parents, is_comment = decode_ids(
        [comment.parent_id or "" for comment in comments], b"t1_", needs_prefix=True
    )
    times = [comment.created_utc for comment in comments]
    columns = [
        pa.array(ids, mask=~is_id),
        pa.array(links, mask=~is_link),
        pa.array(np.where(is_comment, parents, ROOT)),
        pa.array([comment.author for comment in comments], pa.string()),
        pa.array([t if type(t) is int else _whole_number(t, _SECONDS) for t in times], pa.int64()),
        pa.array([comment.score or 0 for comment in comments], pa.int32()),
        pa.array([comment.subreddit or "" for comment in comments], pa.string()),
        pa.array([comment.body for comment in comments], pa.large_string()),
    ]
    return pa.record_batch(columns, schema=COMMENT_SCHEMA)


def _submission_columns(submissions: Sequence[_Submission]) -> pa.RecordBatch:
    ids, is_id = decode_ids([submission.id for submission in submissions], b"t3_")
    return pa.record_batch([pa.array(ids, mask=~is_id)], schema=SUBMISSION_SCHEMA)


COMMENTS = PostFormat(
    COMMENT_SCHEMA,
    msgspec.json.Decoder(_Comment),
    _mend_comment,
    _comment_problem,
    _comment_columns,
)
SUBMISSIONS = PostFormat(
    SUBMISSION_SCHEMA,
    msgspec.json.Decoder(_Submission),
    _mend_submission,
    _submission_problem,
    _submission_columns,
)
