"""A made-up month of dumps that holds what made DialoGPT's public code act, without crashing it.

Each case is a thread of its own, so that none hides another. What crashes the release is left out:
scores like 7.0, permalinks that are null or have fewer than two slashes, bytes that are not UTF-8,
halves of surrogate pairs, and a file without instances. So is what docs/reference-preset.md says is
different on purpose.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from golden.reference_texts import TEXTS

MONTH = "2018-01"
Record = dict[str, Any]
WITHOUT = object()
"""Value of a field that the record does not have."""
USUAL = object()
"""Body of a comment that says which one it is."""

_KEYS = ["--keep_keys", "KEYS"]
_TRAIN = ["--leaves_only", "1", "--bl_subreddits", "SUBREDDITS"]
RUNS: dict[str, tuple[list[str], list[str]]] = {
    # name: (options of the release for task extract, for task conv)
    "train": ([], [*_TRAIN, "--bl_words", "WORDS"]),
    "test": (_KEYS, ["--leaves_only", "0", *_KEYS]),
    "train_keys": (_KEYS, [*_TRAIN, *_KEYS]),
    "title": ([], [*_TRAIN, "--use_title", "1"]),
    "title_test": (_KEYS, ["--leaves_only", "0", "--use_title", "1", *_KEYS]),
    "limits": (
        [],
        [*_TRAIN, "--min_score", "0", "--min_depth", "3", "--max_depth", "4", "--max_len", "8"],
    ),
    "files": (["--split_size", "15"], _TRAIN),
}
MAKEFILE_OPTIONS = {
    "--clean": "True",
    "--parallel": "True",
    "--min_score": "1",
    "--min_depth": "2",
    "--max_depth": "5",
    "--use_title": "0",
}
"""What the release's Makefile gives every conv; a run may say otherwise."""


@dataclass
class Thread:
    """A submission and its comments; comments are named within the thread."""

    id: str
    submission: Record | None = None
    comments: list[Record] = field(default_factory=list)

    def add(self, name: str, parent: str = "", body: Any = USUAL, **values: Any) -> "Thread":
        """Add a comment; parent is the name of another one, or "" for the submission."""
        parent_id = f"t1_{self.id}{parent}" if parent else f"t3_{self.id}"
        record = {
            "id": self.id + name,
            "link_id": f"t3_{self.id}",
            "parent_id": parent_id,
            "author": f"author{name}",
            "created_utc": 1_514_764_800 + len(self.comments),
            "score": 3,
            "subreddit": "Test",
            "body": f"This is comment {name} of {self.id}." if body is USUAL else body,
            **values,
        }
        self.comments.append({k: v for k, v in record.items() if v is not WITHOUT})
        return self


class Month:
    """The threads, in the order in which they were begun."""

    def __init__(self) -> None:
        self.threads: list[Thread] = []

    def thread(self, **values: Any) -> Thread:
        """Begin a thread; values change its submission."""
        name = f"s{len(self.threads):02d}x"
        record = {
            "id": name,
            "score": 1,
            "num_comments": 9,
            "domain": "self.Test",
            "permalink": f"/r/Test/comments/{name}/a_title/",
            "title": f"A title of {name}",
            **values,
        }
        submission = {k: v for k, v in record.items() if v is not WITHOUT}
        self.threads.append(Thread(name, submission))
        return self.threads[-1]

    def pair(self, source: Any, target: Any, **values: Any) -> Thread:
        """A thread of one comment and its answer."""
        return self.thread().add("a", body=source).add("b", "a", body=target, **values)


def words(number: int, first: str = "w") -> str:
    """So many different words."""
    return " ".join(f"{first}{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(number))


def trees(month: Month) -> None:
    """Odd reply trees."""
    month.thread().add("a").add("b", "a").add("c", "b").add("d", "a")  # healthy
    month.thread().add("b", "gone").add("c", "b")
    month.thread().add("a", "a").add("b")
    month.thread().add("a", "a").add("b", "a")
    month.thread().add("a", "b").add("b", "a")
    month.thread().add("a", "b").add("b", "a").add("c", "b")
    month.thread().add("a", "c").add("b", "a").add("c", "b").add("d", "b")
    chain = month.thread().add("c0")
    for depth in range(1, 12):
        chain.add(f"c{depth}", f"c{depth - 1}")
    siblings = month.thread().add("a")
    for number in range(30):
        siblings.add(f"b{number}", "a")
    month.thread().add("c", "b").add("b", "a").add("a")  # answers before what they answer
    for parent_id in (12, None, WITHOUT, "abc", "t1_", "t1_not an id", "t3_other", True):
        month.thread().add("a").add("b", "a", parent_id=parent_id).add("c", "b").add("d", "a")
    month.thread().add("a").add("b", "a").add("b", "a", body="The second text.", score=-1)
    month.thread().add("a").add("b", "a").add("b", "a", body="[deleted]")
    month.thread().add("a").add("b", "a", score=0).add("b", "gone").add("b", "a", body="Last one.")
    month.thread().add("a").add("b", "a").add("a", "b", body="Now round in a circle.").add("c", "a")
    month.thread().add("a").add("b", "a").add("c", "b", body="[deleted]")
    month.thread().add("a").add("b", "a", body="[deleted]").add("c", "b").add("d", "c")


def submissions(month: Month) -> None:
    """Odd submissions."""
    month.thread().add("a").add("b", "a")
    month.threads[-1].submission = None
    for number in (1, "9", None, WITHOUT, 2, 0, True, 2.9, "x"):
        month.thread(num_comments=number).add("a").add("b", "a")
    for title in (None, "", " \t\n", "\\\\", "\u00a0\u2003", " x", 5, WITHOUT):
        month.thread(title=title).add("a").add("b", "a")
    links = (
        "https://www.reddit.com/r/Test/comments/x/",
        "/user/bob/",
        "/r//x",
        "//",
        "/r/",
        WITHOUT,
    )
    for permalink in links:
        month.thread(permalink=permalink).add("a").add("b", "a")
    month.thread(domain=WITHOUT).add("a").add("b", "a")
    month.thread(domain=None).add("a").add("b", "a")
    month.thread(score=WITHOUT).add("a").add("b", "a")
    month.thread(score=None, id=WITHOUT).add("a").add("b", "a")
    for link_id in ("abc", WITHOUT, 12, None, "t3_", "t1_s00x"):
        month.thread().add("a").add("b", "a").add("c", "b", link_id=link_id)


def fields(month: Month) -> None:
    """Odd fields of comments."""
    for score in (None, WITHOUT, "7", 0, 1, -4, "-4", 10**12):
        month.thread().add("a").add("b", "a").add("c", "b", score=score).add("d", "a")
    month.thread().add("a", score=-50).add("b", "a", score=0).add("c", "b")  # only the last counts
    for created_utc in ("1514764800", WITHOUT, 1514764800.5, None):
        month.thread().add("a").add("b", "a", created_utc=created_utc)
    for author in (
        "[deleted]",
        None,
        WITHOUT,
        "AutoModerator",
        "",
        "line\nbreak",
        "carriage\rreturn",
    ):
        month.thread().add("a").add("b", "a", author=author).add("c", "b")
    month.thread().add("a").add("b", "a").add("c", "b", author="a\ttab")
    month.thread().add("a").add("b", "a", stickied=True, distinguished="moderator")
    bodies = (
        "[deleted]",
        "[deleted] ",
        "[removed]",
        "",
        " \n",
        "one",
        "\\ \\",
        None,
        WITHOUT,
        12,
        ["a b"],
    )
    for body in (*bodies, "[ Removed by Reddit ]", "a > b", "a &gt; b", "it -> that", "one\\ two"):
        month.thread().add("a").add("b", "a").add("c", "b", body=body).add("d", "c")


def lengths(month: Month) -> None:
    """Just short enough, and one too many."""
    for number in (30, 31):
        month.thread().add("a").add("b", "a", body=words(number))
        month.thread().add("a").add("b", "a").add("c", "b", body=words(number)).add("d", "c").add(
            "e", "d"
        )
    month.pair("A source.", words(15) + " \\ " + words(15, "v"))
    month.thread().add("a", body=words(40)).add("b", "a").add("c", "b").add("d", "c").add(
        "e", "d"
    ).add("f", "e")
    for number in (30, 31):
        month.pair("A source.", f"A {'x' * number} target.")
        month.pair(f"A {'y' * number} source.", "A target.")
        month.pair("A source.", f"A {'x' * (number - 1)}“ target {'x' * number}")
    for num_tokens in (40, 41, 45, 46):  # 200 and 201 in all, with weights and without
        thread, parent = month.thread(), ""
        for name in "abcd":
            thread.add(name, parent, body=words(26) + " a.a" * 4)
            parent = name
        num_triples = (num_tokens - 29) // 2
        thread.add("e", "d", body=words(num_tokens - 3 * num_triples) + " a.a" * num_triples)
    month.thread().add("a").add("b", "a", score=5).add("c", "b", score=0)


def texts(month: Month) -> None:
    """Odd texts, as source and as target."""
    plain = "An answer to that."
    for text in TEXTS:
        month.pair(text, plain)
        month.pair(plain, text)


def month_of_cases() -> Month:
    """All cases."""
    month = Month()
    for add in (trees, submissions, fields, lengths, texts):
        add(month)
    return month


def dumps() -> tuple[bytes, bytes]:
    """The month as JSON Lines: comments, submissions."""
    month = month_of_cases()
    comments = [json.dumps(c).encode() for thread in month.threads for c in thread.comments]
    odd = [b"", b"null", b"[1,2]", b"{}", b"7", b'"text"', b"{broken", b"  "]
    for place, line in enumerate(odd):
        comments.insert(10 * place, line)
    comments[5] += b"\r"
    comments.append(comments[3][:-9])  # cut short, without an end
    posts = [json.dumps(t.submission).encode() for t in month.threads if t.submission is not None]
    blank = {**json.loads(posts[0]), "title": " "}
    posts = [*posts[:20], json.dumps(blank).encode(), b"", b"null", *posts[20:]]
    return b"\n".join(comments), b"\n".join(posts) + b"\n"


def keys(comments: bytes) -> str:
    """Keys that need most comments and want two thirds of them."""
    rows = []
    for number, line in enumerate(comments.split(b"\n")):
        try:
            record = json.loads(line)
            row = f"{record['link_id']}\tt1_{record['id']}"
        except (ValueError, TypeError, KeyError):
            continue
        if not str(record["link_id"]).startswith("t3_") or record["link_id"] == "t3_":
            continue
        # Of an answer to another submission the head of the line would say which.
        is_wanted = number % 3 != 1 and record.get("parent_id") != "t3_other"
        rows += [f"{row}\tdep"] * (number % 9 != 0) + [f"{row}\tkeep"] * is_wanted
    return "\n".join(rows) + "\n"


def reference_ids(test_lines: list[str]) -> str:
    """A list of references: instances with one context, and some that are absent or do not fit."""
    by_context: dict[str, list[str]] = {}
    for line in test_lines:
        header, context, _ = line.rstrip("\n").split("\t")
        by_context.setdefault(context, []).append(header)
    largest = sorted(by_context.values(), key=len, reverse=True)[:6]
    lines = []
    for number, headers in enumerate(largest):
        chosen = [*headers[:5], "t3_a,t1_b,t1_absent"][:: -1 if number == 1 else 1]
        chosen += largest[number - 1][:1] * (number == 2) + chosen[:1] * (number == 3)
        cells = [f"{9 - place},{header}" for place, header in enumerate(chosen)]
        lines.append("\t".join(["multiref", *cells]) + "\n")
    return "".join(lines)
