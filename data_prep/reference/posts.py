"""What the public code of DialoGPT reads of a dump, and which posts its task "extract" keeps.

Dropped are, of comments: "[deleted]", whatever holds ">" or "&gt;" anywhere, what has fewer than
two words, and comments whose submission is not kept; of submissions: those with fewer than two
comments. A record without one of the fields that it writes down is dropped, too.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep import native
from data_prep.ids import decode_ids
from data_prep.post_fields import ROOT, SECONDS, Field, FieldKind, PostFormat
from data_prep.reference.keys import KeepKeys
from data_prep.reference.text import num_words
from data_prep.text_columns import as_text_array, text_array, text_buffers

REFERENCE_COMMENTS = PostFormat(
    (
        Field(name="id", kind=FieldKind.ID, reason="missing_id"),
        # As texts, because here "abc" is no link and the number 12 no parent.
        Field(name="link_id", kind=FieldKind.TEXT, reason="missing_link"),
        Field(name="parent_id", kind=FieldKind.TEXT, reason="missing_field"),
        Field(name="author", kind=FieldKind.TEXT, reason="missing_field"),
        Field(name="created_utc", kind=FieldKind.INTEGER, limits=SECONDS),
        Field(name="score", kind=FieldKind.INTEGER, reason="missing_field"),
        Field(name="subreddit", kind=FieldKind.TEXT),
        Field(name="body", kind=FieldKind.BODY, reason="missing_body"),
    )
)
"""Comments as they are read, before `kept_comments`."""

REFERENCE_SUBMISSIONS = PostFormat(
    (
        Field(name="id", kind=FieldKind.ID, prefix="t3_", reason="missing_id"),
        Field(name="score", kind=FieldKind.INTEGER, reason="missing_field"),
        Field(name="num_comments", kind=FieldKind.INTEGER, reason="missing_field"),
        Field(name="domain", kind=FieldKind.TEXT, reason="missing_field"),
        Field(name="permalink", kind=FieldKind.TEXT, reason="missing_field"),
        Field(name="title", kind=FieldKind.BODY, reason="missing_field"),
    )
)
"""Submissions as they are read, before `SubmissionFiles.kept`."""

KEPT_COMMENTS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("link_id", pa.int64(), nullable=False),
        pa.field("parent_id", pa.int64(), nullable=False),
        pa.field("author", pa.large_string()),
        pa.field("created_utc", pa.int64(), nullable=False),
        pa.field("score", pa.int64(), nullable=False),
        pa.field("subreddit", pa.large_string()),
        pa.field("body", pa.large_string()),
    ]
)
"""`parent_id` is the value of a comment's id, ROOT for any submission, UNKNOWN_PARENT for what is
neither. `body` is null where it has too many words: then only that it was there matters."""

KEPT_SUBMISSIONS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("sub", pa.int32(), nullable=False),
        pa.field("is_usable", pa.bool_(), nullable=False),
    ]
)
"""`sub` numbers the public code's files rs_sub0.tsv, rs_sub1.tsv, ...; `is_usable` says whether its
task "conv" reads the row as one of six cells and finds a subreddit in it."""

TITLE_FIELD = pa.field("title", pa.large_string())
"""What submissions have besides where the title is a turn; null if it is blank."""

UNKNOWN_PARENT = -2

MAX_WORDS = 30
"""A comment of more words is no turn, and ends the path of those below it."""

SUBMISSIONS_PER_FILE = 500_000

UNKNOWN_SUBMISSION = "unknown_submission"

EXTRACT_DROPS = ("removed", "quote", UNKNOWN_SUBMISSION, "too_few_words", "broken_row")
"""Why a comment is dropped, in the order in which it is asked; code c > 0 stands for
EXTRACT_DROPS[c - 1]. UNKNOWN_SUBMISSION stands here for a link_id that names none at all, later for
one that names none of the kept ones. In a "broken_row" the author's name holds a tab or line break,
which tears the table that the public code writes."""

NOT_IN_KEYS = "not_in_keys"
FEW_COMMENTS = "few_comments"


def kept_comments(
    posts: pa.RecordBatch, *, max_words: int = MAX_WORDS, keys: KeepKeys | None = None
) -> tuple[pa.RecordBatch, dict[str, int]]:
    """The comments that stay, and how many are dropped for which reason.

    Whether the submission is known is left to `conversations`, which knows all of them.

    Args:
        posts: columns of REFERENCE_COMMENTS.
        max_words: bodies of more words become null.
        keys: keep only comments that they say are needed.

    Returns:
        comments: rows of KEPT_COMMENTS_SCHEMA, in the order of the file.
        drops: reason of EXTRACT_DROPS, or NOT_IN_KEYS -> number; none is 0.
    """
    texts = [
        as_text_array(posts.column(name)) for name in ("link_id", "parent_id", "author", "body")
    ]
    keep = _kept_in_python if native.compiled is None else _kept_in_c
    codes, links, parents, bodies = keep(texts, max_words)
    is_kept = codes == 0
    rest = posts.drop_columns(["link_id", "parent_id", "body"])
    rest = rest if is_kept.all() else rest.filter(pa.array(is_kept))
    columns = {"link_id": pa.array(links), "parent_id": pa.array(parents), "body": bodies}
    comments = pa.record_batch(
        [
            columns[name] if name in columns else rest.column(name)
            for name in KEPT_COMMENTS_SCHEMA.names
        ],
        schema=KEPT_COMMENTS_SCHEMA,
    )
    numbers = np.bincount(codes, minlength=len(EXTRACT_DROPS) + 1)[1:].tolist()
    drops = {name: number for name, number in zip(EXTRACT_DROPS, numbers, strict=True) if number}
    if keys is not None:
        is_needed = keys.needs(links, np.asarray(comments.column("id")))
        comments = comments.filter(pa.array(is_needed))
        if not is_needed.all():
            drops[NOT_IN_KEYS] = int((~is_needed).sum())
    return comments, drops


def _kept_in_c(texts: list[pa.Array], max_words: int) -> tuple[Any, ...]:
    compiled = native.compiled
    assert compiled is not None
    codes, links, parents, bodies, is_there = compiled.reference_comments(
        *map(text_buffers, texts), max_words
    )
    bodies = text_array(*bodies)
    there = np.frombuffer(is_there, np.uint8)
    if not there.all():
        validity = pa.py_buffer(np.packbits(there, bitorder="little"))
        buffers = [validity, *bodies.buffers()[1:]]
        bodies = pa.Array.from_buffers(pa.large_string(), len(there), buffers)
    return (
        np.frombuffer(codes, np.uint8),
        np.frombuffer(links, np.int64),
        np.frombuffer(parents, np.int64),
        bodies,
    )


def _kept_in_python(texts: list[pa.Array], max_words: int) -> tuple[Any, ...]:
    links, parents, authors, bodies = texts
    link_ids = _decoded(links, b"t3_")
    parent_ids = _decoded(parents, b"t1_")
    is_submission = pc.fill_null(pc.starts_with(parents, "t3_"), False)
    parent_ids[np.asarray(is_submission)] = ROOT
    codes = np.zeros(len(bodies), np.uint8)
    kept: list[str | None] = []
    rows = zip(bodies.to_pylist(), link_ids.tolist(), authors.to_pylist(), strict=True)
    for row, (body, link, author) in enumerate(rows):
        number = num_words(body)
        reasons = {
            "removed": body == "[deleted]",
            "quote": ">" in body or "&gt;" in body,
            UNKNOWN_SUBMISSION: link < 0,
            "too_few_words": number < 2,
            "broken_row": any(mark in (author or "") for mark in "\t\n\r"),
        }
        reason = next((name for name, applies in reasons.items() if applies), None)
        if reason is not None:
            codes[row] = EXTRACT_DROPS.index(reason) + 1
        else:
            kept.append(None if number > max_words else body)
    is_kept = codes == 0
    return codes, link_ids[is_kept], parent_ids[is_kept], pa.array(kept, pa.large_string())


def _decoded(names: pa.Array, prefix: bytes) -> NDArray[np.int64]:
    """The values of ids that have their prefix, UNKNOWN_PARENT where there is none."""
    values, is_id = decode_ids(names.fill_null("").to_pylist(), prefix, needs_prefix=True)
    return np.where(is_id, values, UNKNOWN_PARENT)


# "/r/name/comments/...": what is between the second and the third slash is taken for the subreddit.
_NO_SUBREDDIT = "^[^/]*/[^/]*/(?:/|$)"
_VISIBLE_ASCII = r"[!-\[\]-~]"


class SubmissionFiles:
    """Deals the submissions of one month to the public code's files, in the order of the dump."""

    def __init__(
        self, *, with_titles: bool = False, submissions_per_file: int = SUBMISSIONS_PER_FILE
    ) -> None:
        """Begin a month.

        Args:
            with_titles: whether the result has titles, too.
            submissions_per_file: after so many that are kept a new file begins.
        """
        self._with_titles = with_titles
        self._per_file = submissions_per_file
        self._num_kept = 0

    def kept(self, posts: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, int]]:
        """The next submissions that stay, and how many are dropped.

        Args:
            posts: columns of REFERENCE_SUBMISSIONS, those that follow in the file.

        Returns:
            submissions: rows of KEPT_SUBMISSIONS_SCHEMA, with TITLE_FIELD if titles are wanted.
            drops: {FEW_COMMENTS: number}, or nothing.
        """
        is_answered = np.asarray(posts.column("num_comments")) >= 2
        kept = posts.filter(pa.array(is_answered))
        numbers = self._num_kept + np.arange(kept.num_rows)
        self._num_kept += kept.num_rows
        has_title = _has_title(kept)
        columns = [
            kept.column("id"),
            pa.array((numbers // self._per_file).astype(np.int32)),
            pa.array(has_title & _has_subreddit(kept)),
        ]
        schema = KEPT_SUBMISSIONS_SCHEMA
        if self._with_titles:
            columns.append(pc.if_else(pa.array(has_title), kept.column("title"), None))
            schema = schema.append(TITLE_FIELD)
        num_dropped = posts.num_rows - kept.num_rows
        drops = {FEW_COMMENTS: num_dropped} if num_dropped else {}
        return pa.record_batch(columns, schema=schema), drops


def _has_subreddit(posts: pa.RecordBatch) -> NDArray[np.bool_]:
    """Whether the permalink names one.

    The public code crashes where it is null or has fewer than two slashes.
    """
    lacks_it = pc.match_substring_regex(posts.column("permalink"), _NO_SUBREDDIT)
    return ~np.asarray(lacks_it.fill_null(False), dtype=np.bool_)


def _has_title(posts: pa.RecordBatch) -> NDArray[np.bool_]:
    """Whether something is left of the title."""
    titles = posts.column("title")
    has_title = np.array(pc.match_substring_regex(titles, _VISIBLE_ASCII), dtype=np.bool_)
    others = np.flatnonzero(~has_title)
    for row, title in zip(others, titles.take(pa.array(others)).to_pylist(), strict=True):
        has_title[row] = num_words(title) > 0
    return has_title
