"""Comments and submissions in the fields of Pushshift dumps; made up but for text and time.

The field set is that of dumps of 2018, so that a reader meets the columns it must skip.
"""

import html
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Record = dict[str, Any]
DumpKind = Literal["RC", "RS"]

SUBREDDITS = ("SmallTalk", "AskAnyone", "IdleChatter")
"""Made-up names: nobody said these words on Reddit."""

# Ids of 2018 look like these; a fresh one is the next number in base 36.
_FIRST_COMMENT_ID = int("dwi0000", 36)
_FIRST_SUBMISSION_ID = int("890000", 36)
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_SCORES = (1, 1, 1, 1, 2, 2, 3, 5, 8, 21, 0, -2)


@dataclass(frozen=True, slots=True)
class DumpLine:
    """One line of a monthly dump.

    Attributes:
        kind: "RC" for comments, "RS" for submissions.
        month: the file it stands in, `YYYY-MM`.
        data: the bytes, with the line break.
        origin: what the line is, the key under which it is counted.
    """

    kind: DumpKind
    month: str
    data: bytes
    origin: str


def month_of(created_utc: int) -> str:
    """The dump month, `YYYY-MM`, of a time in seconds since 1970 (UTC)."""
    return datetime.fromtimestamp(created_utc, tz=UTC).strftime("%Y-%m")


def base_36(number: int) -> str:
    """A non-negative integer as Reddit writes ids."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _BASE_36[digit] + digits
        if number == 0:
            return digits


def fullname(record: Record) -> str:
    """The id with Reddit's type prefix: t1_ for a comment, t3_ for a submission."""
    return ("t1_" if "body" in record else "t3_") + str(record["id"])


def to_json_line(record: Record) -> bytes:
    r"""One ASCII line; other characters become \uXXXX, as in the dumps (lone surrogates too)."""
    return json.dumps(record, separators=(",", ":"), sort_keys=True).encode("ascii") + b"\n"


def dump_line(record: Record, *, month: str, origin: str) -> DumpLine:
    """The record as a line of the comment or the submission file of a month."""
    kind: DumpKind = "RC" if "body" in record else "RS"
    return DumpLine(kind=kind, month=month, data=to_json_line(record), origin=origin)


class RecordMaker:
    """Makes records with fresh ids, seeded scores and invented authors.

    Args:
        seed: equal seeds and equal calls give equal records.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._comment_ids = _ids(_FIRST_COMMENT_ID, self.rng)
        self._submission_ids = _ids(_FIRST_SUBMISSION_ID, self.rng)
        self._authors: dict[str, str] = {}

    def author(self, person: str) -> str:
        """The invented name of a person, the same at every call; it tells nothing about them."""
        return self._authors.setdefault(person, f"chatter_{len(self._authors):05d}")

    def submission(self, title: str, *, author: str, created_utc: int, num_comments: int) -> Record:
        """A text submission without text; title is plain and gets Reddit's entities here."""
        submission_id = next(self._submission_ids)
        subreddit = self.rng.choice(SUBREDDITS)
        return {
            "author": author,
            "author_flair_text": None,
            "created_utc": created_utc,
            "distinguished": None,
            "domain": f"self.{subreddit}",
            "edited": False,
            "gilded": 0,
            "id": submission_id,
            "is_self": True,
            "locked": False,
            "num_comments": num_comments,
            "over_18": False,
            "permalink": f"/r/{subreddit}/comments/{submission_id}/",
            "retrieved_on": created_utc + 2_000_000,
            "score": self.rng.choice(_SCORES),
            "selftext": "",
            "stickied": False,
            "subreddit": subreddit,
            "subreddit_id": f"t5_{SUBREDDITS.index(subreddit) + 1}made",
            "title": html.escape(title, quote=False),
            "url": f"https://www.reddit.com/r/{subreddit}/comments/{submission_id}/",
        }

    def comment(self, text: str, parent: Record, *, author: str, created_utc: int) -> Record:
        """A reply to a submission or comment; text is plain and gets Reddit's entities here."""
        comment_id = next(self._comment_ids)
        link_id = parent["link_id"] if "body" in parent else fullname(parent)
        return {
            "author": author,
            "author_flair_css_class": None,
            "author_flair_text": None,
            # Reddit gives out &, < and > of a body as entities, and so do the dumps.
            "body": html.escape(text, quote=False),
            "can_gild": True,
            "controversiality": 0,
            "created_utc": created_utc,
            "distinguished": None,
            "edited": False,
            "gilded": 0,
            "id": comment_id,
            "is_submitter": False,
            "link_id": link_id,
            "parent_id": fullname(parent),
            "permalink": f"/r/{parent['subreddit']}/comments/{link_id[3:]}/_/{comment_id}/",
            "retrieved_on": created_utc + 2_000_000,
            "score": self.rng.choice(_SCORES),
            "stickied": False,
            "subreddit": parent["subreddit"],
            "subreddit_id": parent["subreddit_id"],
        }


def _ids(first: int, rng: random.Random) -> Iterator[str]:
    number = first
    while True:
        number += rng.randint(1, 9)  # real ids have gaps: other comments of the same time
        yield base_36(number)
