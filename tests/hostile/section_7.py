"""The rows of section 7 of shared/design/extraction.md: what a dump holds and what must come of it.

Every row stands in a thread "x" beside a healthy control thread "t" (a - b). In the rows that
speak of a whole file, `dump` makes its bytes from the lines.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import zstandard
from hostile.archives import skippable_frame
from support_dumps import as_lines, comment

Record = dict[str, Any]
CONTROL = [comment("a", body="How do you do?"), comment("b", "t1_a", body="I do as I can.")]


def odd(name: str, parent: Any = "t3_x", **values: Any) -> Record:
    """A comment of the thread of the row; it passes all filters."""
    body = values.pop("body", f"I am what they call {name}")
    return comment(name, parent, link_id=values.pop("link_id", "t3_x"), body=body, **values)


def without(record: Record, name: str) -> Record:
    return {key: value for key, value in record.items() if key != name}


def raw(record: Record, name: str, value: bytes) -> bytes:
    """The record as a line in which a value is these very bytes."""
    line = json.dumps({**record, name: "PUT HERE"}).encode()
    return line.replace(b'"PUT HERE"', value) + b"\n"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case.

    Attributes:
        should: what a correct extractor should do, in the words of the table.
        lines: comments, or lines as they stand; they come before those of the control thread.
        dialogues: those of the row, as "c d", the names of their comments; b and a come always.
        turns: texts that the last dialogue of the row must have, if it is told.
        counts: of the whole dump, as far as they are told.
        submissions: records of the RS file, or None if there is none.
        dump: lines -> the bytes of the file.
        code: of the command.
    """

    should: str
    lines: list[Record | bytes] = field(default_factory=list)
    dialogues: list[str] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    submissions: list[Record | bytes] | None = None
    dump: Callable[[bytes], bytes] = bytes
    code: int = 0

    @property
    def text(self) -> bytes:
        return as_bytes(self.lines) + as_lines(CONTROL)


def as_bytes(lines: list[Record | bytes]) -> bytes:
    return b"".join(x if isinstance(x, bytes) else as_lines([x]) for x in lines)


def answered(**values: Any) -> list[Record | bytes]:
    """A comment that is odd in some values, and a healthy answer to it."""
    return [odd("c", **values), odd("d", "t1_c")]


KEPT = {"comments_kept": 4}
ZSTD = zstandard.ZstdCompressor()


def in_two_frames(text: bytes) -> bytes:
    return ZSTD.compress(text[:100]) + ZSTD.compress(b"") + ZSTD.compress(text[100:])


def with_skippable(text: bytes) -> bytes:
    return skippable_frame(b"junk") + ZSTD.compress(text) + skippable_frame(b"")


TREES: dict[str, Row] = {
    "parent absent": Row(
        should="the reply becomes the first turn of the path; count it",
        lines=[odd("c", "t1_gone"), odd("d", "t1_c")], dialogues=["c d"],
        counts={"comments_kept.unknown_parent": 1, **KEPT},
    ),
    "parent is itself, a leaf": Row(
        should="detect, cut, count", lines=[odd("c", "t1_c")],
        counts={"comments_kept.circle_cut": 1, "paths_dropped.too_few_turns": 1},
    ),
    "parent is itself, with a child": Row(
        should="detect, cut, count", lines=[odd("c", "t1_c"), odd("d", "t1_c")],
        dialogues=["c d"], counts={"comments_kept.circle_cut": 1, **KEPT},
    ),
    "cycle of two with a child": Row(
        should="cut at the repeat",
        lines=[odd("c", "t1_d"), odd("d", "t1_c"), odd("e", "t1_d")], dialogues=["c d e"],
        counts={"comments_kept.circle_cut": 1, "comments_kept": 5},
    ),
    "a pure ring": Row(
        should="cut at the repeat", lines=[odd("c", "t1_d"), odd("d", "t1_c")],
        dialogues=["c d"], counts={"comments_kept.circle_cut": 1, **KEPT},
    ),
    "a deep chain": Row(
        should="iterate, no recursion; a path of more than 200 words is too long",
        lines=[odd(f"c{n}", f"t1_c{n - 1}" if n else "t3_x", body="I") for n in range(2000)],
        counts={"paths_dropped.too_long": 1, "comments_kept": 2002},
    ),
    "many siblings": Row(
        should="fine",
        lines=[odd("c"), *(odd(f"d{n}", "t1_c") for n in range(300))],
        dialogues=[f"c d{n}" for n in range(300)],
    ),
    "duplicate id": Row(
        should="a defined rule: the last line stays",
        lines=[odd("c"), odd("d", "t1_c", body="I was."), odd("d", "t1_c", body="I am.")],
        dialogues=["c d"], turns=["I am what they call c", "I am."],
        counts={"comments_dropped.duplicate_id": 1},
    ),
    "duplicate id with [deleted]": Row(
        should="a defined rule: the old text stays",
        lines=[odd("c"), odd("d", "t1_c", body="I was."), odd("d", "t1_c", body="[deleted]")],
        dialogues=["c d"], turns=["I am what they call c", "I was."],
        counts={"comments_dropped.duplicate_id": 1},
    ),
    "deleted leaf": Row(
        should="its parent becomes the leaf",
        lines=[odd("c"), odd("d", "t1_c"), odd("e", "t1_d", body="[deleted]")],
        dialogues=["c d"], counts={"comments_dropped.removed": 1},
    ),
    "low-score leaf under a good reply": Row(
        should="not the paper's rule: it stays",
        lines=[odd("c"), odd("d", "t1_c", score=50), odd("e", "t1_d", score=-50)],
        dialogues=["c d e"],
    ),
}  # fmt: skip

SUBMISSIONS: dict[str, Row] = {
    f"submission with {what}": Row(
        should="never fatal; the thread is kept", lines=answered(), dialogues=["c d"],
        submissions=[{"id": "x", **values}],
        counts={"comments_kept.unknown_submission": 2, "submissions_read": 1},
    )
    for what, values in {
        "num_comments 1": {"num_comments": 1},
        "num_comments '9'": {"num_comments": "9"},
        "num_comments None": {"num_comments": None},
        "title None": {"title": None},
        "title empty": {"title": ""},
        "permalink None": {"permalink": None},
        "permalink foo": {"permalink": "foo"},
        "permalink a full URL": {"permalink": "http://www.reddit.com/r/x/"},
        "permalink of a user": {"permalink": "/user/bob/"},
        "no domain": {"subreddit": "x"},
    }.items()
} | {
    "submission absent": Row(
        should="configurable; never fatal: kept and counted", lines=answered(), dialogues=["c d"],
        counts={"comments_kept.unknown_submission": 4},
    ),
    "submissions unusable": Row(
        should="skip, count", lines=answered(), dialogues=["c d"],
        submissions=[b"null\n", b"oops\n", {"title": "no id"}, {"id": "x"}],
        counts={"submissions_read": 4, "submissions_unusable": 3},
    ),
}  # fmt: skip

FIELDS: dict[str, Row] = {
    f"score {value!r}": Row(
        should="tolerant int", lines=[odd("c"), odd("d", "t1_c", score=value)],
        dialogues=["c d"], counts=KEPT,
    )
    for value in (None, "7", 7.0, -9, "many", True, 10**30, [7])
} | {
    f"created_utc {value!r}": Row(
        should="never looked at", lines=answered(created_utc=value), dialogues=["c d"], counts=KEPT
    )
    for value in ("1420000000", None, 1.5, -1, "soon")
} | {
    f"{name} missing": Row(
        should="keep", lines=[without(odd("c"), name), odd("d", "t1_c")],
        dialogues=["c d"], counts=KEPT,
    )
    for name in ("score", "created_utc", "author", "subreddit", "parent_id")
} | {
    f"author {author!r}": Row(
        should="keep", lines=answered(author=author), dialogues=["c d"], counts=KEPT
    )
    for author in ("[deleted]", None, "AutoModerator", "a\tb", "a\nb")
} | {
    "parent_id a number": Row(
        should="map numbers to t1_", lines=[odd("c"), odd("d", int("c", 36))],
        dialogues=["c d"], counts=KEPT,
    ),
    "parent_id None": Row(
        should="treat as root", lines=[odd("c", None), odd("d", "t1_c")],
        dialogues=["c d"], counts=KEPT,
    ),
    "link_id without t3_": Row(
        should="normalise", lines=[odd("c", link_id="x"), odd("d", "t1_c")],
        dialogues=["c d"], counts=KEPT,
    ),
    "link_id missing": Row(
        should="drop, count", lines=[without(odd("c"), "link_id"), odd("d", "t1_c")],
        counts={"comments_dropped.missing_link": 1, "comments_kept.unknown_parent": 1},
    ),
    "body None": Row(
        should="drop, count", lines=answered(body=None),
        counts={"comments_dropped.missing_body": 1, "comments_kept": 3},
    ),
    "body missing": Row(
        should="drop, count", lines=[without(odd("c"), "body"), odd("d", "t1_c")],
        counts={"comments_dropped.missing_body": 1, "comments_kept": 3},
    ),
    "stickied": Row(
        should="keep", lines=answered(stickied=True, distinguished="moderator"),
        dialogues=["c d"], counts=KEPT,
    ),
}  # fmt: skip


def said(body: str, turn: str, should: str) -> Row:
    """A response with this body makes this turn."""
    return Row(
        should=should, lines=[odd("c"), odd("d", "t1_c", body=body)], dialogues=["c d"],
        turns=["I am what they call c", turn], counts=KEPT,
    )  # fmt: skip


def same(body: str, should: str) -> Row:
    """A response that stays as it is."""
    return said(body, body, should)


def unsaid(body: str, reason: str, should: str) -> Row:
    """A comment with this body is dropped, so that its parent is a leaf."""
    return Row(
        should=should, lines=[odd("c"), odd("d", "t1_c", body=body)],
        counts={f"comments_dropped.{reason}": 1, "comments_kept": 3},
    )  # fmt: skip


def filtered(source: str, response: str, reason: str, should: str) -> Row:
    """A dialogue that a filter drops."""
    return Row(
        should=should, lines=[odd("c", body=source), odd("d", "t1_c", body=response)],
        counts={f"paths_dropped.{reason}": 1, **KEPT},
    )  # fmt: skip


BODIES: dict[str, Row] = {
    f"{name} in a body": said(f"I {character}am", "I am", "one line, no control character")
    for name, character in (
        ("tab", "\t"), ("CR", "\r"), ("LF", "\n"), ("NUL", "\0"),
        ("VT", "\v"), ("FF", "\f"), ("FS", "\x1c"), ("GS", "\x1d"),
        ("NEL", "\x85"), ("U+2028", "\u2028"), ("U+2029", "\u2029"),
        ("zero width", "\u200b"), ("BOM", "\ufeff"), ("RTL", "\u202e"),
    )
} | {
    f"{body!r} as a body": unsaid(body, reason, "drop all")
    for body, reason in (
        ("[deleted]", "removed"), ("[deleted] ", "removed"), ("[removed]", "removed"),
        ("[ Removed by Reddit ]", "removed"), ("", "empty"), ("\u200b", "empty"),
        ("&gt; I quote", "empty"),
    )
} | {
    "a quote": said("&gt; You?\n\nI do.", "I do.", "strip the quote"),
    "an arrow": said("I am -&gt; you", "I am -> you", "an arrow is no quote"),
    "entities": said(
        "I &amp;amp; you &lt;3 it&amp;#39;s&amp;nbsp;so&amp;#x200B;",
        "I & you <3 it's so",
        "unescape",
    ),
    "emoji and accents": same("I like caf\u00e9 \U0001f600 don\u2019t", "keep"),
    "literal EOS": same("I say EOS and <|endoftext|>", "protect EOS: it is text"),
    "MENTION and URL": same("I MENTION the URL", "it is text"),
    "exclamation marks": same("I do!!!", "the paper's rule is about words"),
    "31 words": same("I know" + " it is so" * 10, "no such limit in the paper"),
    "www": filtered("I am", "I see www.x.com", "url", "an address"),
    "http in a source": filtered("Http://x.com/", "I see", "url", "an address"),
    "markdown link": filtered("I am", "I [see](http://x.com)", "url", "an address"),
    "brackets": filtered("I am", "I [see]", "markup", "tags"),
    "triple word in the response": filtered("I am", "I say no no no", "word_run", "repetition"),
    "triple word in the source": Row(
        should="passes", lines=[odd("c", body="no no no"), odd("d", "t1_c")], dialogues=["c d"]
    ),
    "non-Latin source": Row(
        should="a turn as any other", lines=[odd("c", body="\u65e5\u672c"), odd("d", "t1_c")],
        dialogues=["c d"], turns=["\u65e5\u672c", "I am what they call d"],
    ),
    "non-Latin response": filtered("I am", "\u65e5\u672c", "no_frequent_word", "not English"),
}  # fmt: skip

LINES: dict[str, Row] = {
    f"a line {line!r}": Row(
        should="skip, count", lines=[line + b"\n"], counts={f"comments_dropped.{reason}": 1}
    )
    for line, reason in (
        (b"null", "not_an_object"), (b"[1,2]", "not_an_object"), (b"7", "not_an_object"),
        (b"{}", "missing_id"), (b"<html>", "malformed_json"), (b'{"id": "c', "malformed_json"),
        (b"\0\0", "malformed_json"), (b"[" * 5000, "malformed_json"),
    )
} | {
    "blank lines": Row(
        should="skip", lines=[b"\n", b"  \n", *answered(), b"\r\n"], dialogues=["c d"],
        counts={"comments_read": 4},
    ),
    "invalid UTF-8": Row(
        should="drop or replace", lines=[odd("c"), raw(odd("d", "t1_c"), "body", b'"I \xff am"')],
        dialogues=["c d"], turns=["I am what they call c", "I \ufffd am"], counts=KEPT,
    ),
    "lone surrogate": Row(
        should="replace", lines=[odd("c"), raw(odd("d", "t1_c"), "body", rb'"I \ud83d am"')],
        dialogues=["c d"], turns=["I am what they call c", "I \ufffd am"], counts=KEPT,
    ),
    "raw control character": Row(
        should="tolerate", lines=[odd("c"), raw(odd("d", "t1_c"), "body", b'"I \x0b am"')],
        dialogues=["c d"], turns=["I am what they call c", "I am"], counts=KEPT,
    ),
    "NaN": Row(
        should="tolerate", lines=[odd("c"), raw(odd("d", "t1_c"), "score", b"NaN")],
        dialogues=["c d"], counts=KEPT,
    ),
    "byte order mark": Row(
        should="strip", lines=answered(), dialogues=["c d"], dump=lambda t: b"\xef\xbb\xbf" + t,
        counts=KEPT,
    ),
    "CRLF": Row(
        should="strip", lines=answered(), dialogues=["c d"], counts=KEPT,
        dump=lambda t: t.replace(b"\n", b"\r\n"),
    ),
    "no line break at the end": Row(
        should="a line as any other", lines=answered(), dialogues=["c d"],
        dump=lambda t: t[:-1], counts=KEPT,
    ),
}  # fmt: skip

FILES: dict[str, Row] = {
    "several frames": Row(
        should="read across frames", lines=answered(), dialogues=["c d"], dump=in_two_frames,
        counts=KEPT,
    ),
    "skippable frames": Row(
        should="skip them", lines=answered(), dialogues=["c d"], dump=with_skippable, counts=KEPT
    ),
    "garbage after the frame": Row(
        should="keep what was read, report", lines=answered(), dialogues=["c d"], code=3,
        dump=lambda t: ZSTD.compress(t) + b"garbage", counts=KEPT,
    ),
    "truncated in a second frame": Row(
        should="report, non-zero or counted", lines=answered(), dialogues=["c d"], code=3,
        dump=lambda t: ZSTD.compress(t) + ZSTD.compress(b'{"id": "e"}' * 9)[:12], counts=KEPT,
    ),
    "cut in the middle of a line": Row(
        should="report, counted", lines=answered(), dialogues=["c d"], code=3,
        dump=lambda t: ZSTD.compress(t + b'{"id": "e", "bo') + b"\x28\xb5\x2f\xfd",
        counts={**KEPT, "comments_dropped.truncated_archive": 1},
    ),
    "truncated last line": Row(
        should="report or count", lines=answered(), dialogues=["c d"],
        dump=lambda t: t + b'{"id": "e", "bo', counts={"comments_dropped.malformed_json": 1},
    ),
}  # fmt: skip

ROWS = TREES | SUBMISSIONS | FIELDS | BODIES | LINES | FILES
