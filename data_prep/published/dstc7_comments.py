"""Comments on some submissions, out of a whole month of them.

Nearly all lines are about other submissions. They are told apart by an expression on the bytes,
which reads a gigabyte a second, and only the rest is parsed.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.dump import DamagedArchiveError, read_lines
from data_prep.published.json_records import MAX_CHARACTERS, Record, read_record
from data_prep.stages import Report

DELETED = "[deleted]"

_LINK = re.compile(rb'"link_id"\s*:\s*"t3_([0-9a-z]+)".*')
# With the rest of the line, so that a line counts once.


@dataclass(frozen=True, slots=True)
class Comment:
    """What a conversation needs to know of a comment.

    Attributes:
        thread_id: the submission, without "t3_".
        parent_id: what it answers, with its prefix; "" where the dump does not say it in a string.
        score: as in the dump, because "7.0" has another hash than "7"; 0 if it is no number.
        is_by_deleted: whether the author's account was deleted.
        body: as in the dump.
    """

    thread_id: str
    parent_id: str
    score: int | float
    is_by_deleted: bool
    body: str


def read_comments(
    path: Path, threads: Container[str], counts: Counter[str], report: Report
) -> dict[str, Comment]:
    """The comments of a dump on some submissions, by id with "t1_"; of equal ids the last one.

    Args:
        path: an RC file.
        threads: ids of the submissions, without "t3_".
        counts: of comments read, kept, and unusable ones among those, and of damage.
        report: called with the number of bytes read.
    """
    kept = {}
    try:
        for block in read_lines(path, report):
            for line in _lines_about(block.data, threads, counts):
                record = read_record(line)
                if record is None:
                    counts["comments_dropped.malformed"] += 1
                    continue
                thread_id = _thread_id(record)
                if thread_id is None or thread_id not in threads:
                    continue
                comment = _comment(record, thread_id)
                if comment is None:
                    counts["comments_dropped.unusable"] += 1
                    continue
                counts["comments_kept"] += 1
                kept[f"t1_{record['id']}"] = comment
    except DamagedArchiveError:
        counts["damaged_archives"] += 1
    return kept


def _lines_about(data: bytes, threads: Container[str], counts: Counter[str]) -> Iterator[bytes]:
    """The lines that may be comments on the submissions."""
    num_lines = data.count(b"\n") + (not data.endswith(b"\n"))
    num_told = 0
    for match in _LINK.finditer(data):
        num_told += 1
        if match[1].decode() in threads:
            yield data[data.rfind(b"\n", 0, match.start()) + 1 : match.end()]
    if num_told == num_lines:
        counts["comments_read"] += num_lines
        return
    for line in data.split(b"\n"):  # some name their submissions in another way, or none
        counts["comments_read"] += bool(line.strip())
        if line.strip() and not _LINK.search(line):
            yield line


def _thread_id(record: Record) -> str | None:
    """The submission: what stands between the first and the second "_"."""
    link = record.get("link_id")
    return link.split("_")[1] if isinstance(link, str) and "_" in link else None


def _comment(record: Record, thread_id: str) -> Comment | None:
    """None where the program of the challenge would end, or where the id is no string."""
    is_whole = all(name in record for name in ("parent_id", "author", "score"))
    body, parent_id, score = (record.get(name) for name in ("body", "parent_id", "score"))
    if not is_whole or not isinstance(record.get("id"), str) or not isinstance(body, str):
        return None
    if len(body) > MAX_CHARACTERS:
        return None
    return Comment(
        thread_id=thread_id,
        parent_id=parent_id if isinstance(parent_id, str) else "",
        score=score if isinstance(score, int | float) else 0,
        is_by_deleted=record["author"] == DELETED,
        body=body,
    )
