"""Submissions of a month that DSTC-7, track 2, talks about: those that link to a place in a page.

The rules are those of the challenge's program with the options of its Makefile, in its order. Some
never say anything, and still are part of what selects: see RULES.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.dump import DamagedArchiveError, read_lines
from data_prep.published.json_records import MAX_CHARACTERS, Record, read_record
from data_prep.stages import Report

MIN_COMMENTS = 10
MIN_ANCHOR_CHARACTERS = 3

_TEXTS = ("id", "subreddit", "domain", "url", "title")
_PRESENT = (*_TEXTS, "score", "num_comments", "permalink", "distinguished")
_EXCLUDED_DOMAINS = tuple(
    f"{name}.com" for name in ("reddit", "twitter", "youtube", "imgur", "flickr", "ebay")
)
_FILE_ENDS = ("jpg", "gif", "png", "pdf")


@dataclass(frozen=True, slots=True)
class Submission:
    """What a conversation needs to know of a submission."""

    subreddit: str
    title: str


@dataclass(frozen=True, slots=True)
class SubmissionLists:
    """What a submission must be among; None lets all pass.

    Attributes:
        subreddits: names, in this case.
        domains: likewise.
        pages: addresses of web pages that the challenge could fetch for this month.
    """

    subreddits: frozenset[str] | None = None
    domains: frozenset[str] | None = None
    pages: frozenset[str] | None = None

    def drop_reason(self, submission: Record) -> str | None:
        """Why a submission is dropped, None if it is not."""
        for reason, names, field in (
            ("other_subreddit", self.subreddits, "subreddit"),
            ("other_domain", self.domains, "domain"),
            ("other_page", self.pages, "url"),
        ):
            if names is not None and submission[field] not in names:
                return reason
        return None


def _has_short_anchor(submission: Record) -> bool:
    """Whether it links to a page as a whole; a "#" at the very beginning does not count."""
    place = submission["url"].find("#")
    return place <= 0 or len(submission["url"][place + 1 :].strip()) < MIN_ANCHOR_CHARACTERS


RULES: tuple[tuple[str, Callable[[Record], bool]], ...] = (
    ("few_comments", lambda post: bool(post["num_comments"] < MIN_COMMENTS)),
    ("crossposted", lambda post: bool(post.get("num_crossposts", 0) > 0)),
    ("locked", lambda post: bool(post.get("locked"))),
    # No dump has a field "over-18", so that posts for adults pass.
    ("over_18", lambda post: "over-18" in post and bool(post["over_18"])),
    ("not_brand_safe", lambda post: not post.get("brand_safe", True)),
    ("distinguished", lambda post: post["distinguished"] is not None),
    ("not_public", lambda post: post.get("subreddit_type") in ("restricted", "archived")),
    ("excluded_domain", lambda post: any(name in post["domain"] for name in _EXCLUDED_DOMAINS)),
    ("no_anchor", _has_short_anchor),
    ("blank_in_url", lambda post: " " in post["url"]),
    ("file", lambda post: post["url"].endswith(_FILE_ENDS)),
)
"""Why a submission is dropped, and what tells; the first that applies counts.

A value that cannot be compared, like the string "12" for a number of comments, is `unusable`."""

DROPS = (
    *("malformed", "unusable", *(reason for reason, _ in RULES)),
    *("other_subreddit", "other_domain", "other_page"),
)


def drop_reason(submission: Record, lists: SubmissionLists) -> str | None:
    """Why the challenge has no conversations about a submission; None if it has."""
    if not all(isinstance(submission.get(name), str) for name in _TEXTS):
        return "unusable"
    if (
        not all(name in submission for name in _PRESENT)
        or len(submission["title"]) > MAX_CHARACTERS
    ):
        return "unusable"
    try:
        reason = next((name for name, applies in RULES if applies(submission)), None)
    except (KeyError, TypeError):
        return "unusable"
    return reason or lists.drop_reason(submission)


def read_submissions(
    path: Path, lists: SubmissionLists, counts: Counter[str], report: Report
) -> dict[str, Submission]:
    """The submissions of a dump that are kept, by id; of equal ids the last one.

    Args:
        path: an RS file.
        lists: what they must be among.
        counts: of submissions read, kept, and dropped for each reason, and of damage.
        report: called with the number of bytes read.
    """
    kept = {}
    for line in _lines(path, counts, report):
        counts["submissions_read"] += 1
        # Spares most lines: of an address without "#" neither form of it stands in the line.
        if b"#" not in line and b"\\u0023" not in line:
            counts["submissions_dropped.no_anchor"] += 1
            continue
        record = read_record(line)
        reason = "malformed" if record is None else drop_reason(record, lists)
        if record is None or reason is not None:
            counts[f"submissions_dropped.{reason}"] += 1
            continue
        counts["submissions_kept"] += 1
        kept[record["id"]] = Submission(record["subreddit"], record["title"])
    return kept


def _lines(path: Path, counts: Counter[str], report: Report) -> Iterator[bytes]:
    try:
        for block in read_lines(path, report):
            yield from (line for line in block.data.split(b"\n") if line.strip())
    except DamagedArchiveError:
        counts["damaged_archives"] += 1
