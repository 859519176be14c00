"""Whole threads of real dumps, in columns, ready to be drawn again and again."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from benchmarks.bodies import UNCHANGED, BodyMaker, Template
from data_prep.dump import read_lines
from data_prep.inventory import DumpFile, take_inventory

Record = dict[str, Any]

_NEEDED = ("id", "link_id", "parent_id", "author", "body", "subreddit", "subreddit_id")
"""A comment that lacks one of these strings is passed over."""

TOP_LEVEL = -1
"""The parent of a comment that answers the submission itself."""


@dataclass(frozen=True, slots=True)
class RealThreads:
    """T threads of N nodes together; a node is a comment, or a parent that no dump has.

    Attributes:
        first_node: (T + 1,) int64; nodes of thread t are first_node[t] .. first_node[t + 1] - 1.
        parent: (N,) int64; place of the parent within its thread, or TOP_LEVEL.
        present: (N,) bool; False for a parent that is missing.
        seconds: (N,) int64; time since the submission.
        score: (N,) int64.
        author: N names, "" of those that are missing.
        length_class: (N,) int64; -1 where the body is kept as it is.
        templates: N templates of bodies.
        submissions: T records, as far as the dumps have them.
        subreddits: T pairs of name and id.
        maker: makes texts of templates.
    """

    first_node: npt.NDArray[np.int64]
    parent: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]
    seconds: npt.NDArray[np.int64]
    score: npt.NDArray[np.int64]
    author: list[str]
    length_class: npt.NDArray[np.int64]
    templates: list[Template]
    submissions: list[Record | None]
    subreddits: list[tuple[str, str]]
    maker: BodyMaker


def length_class(num_words: int) -> int:
    """Texts of one class are exchanged: up to 40 words of equal number, then within about 15 %."""
    return num_words if num_words <= 40 else 40 + int(np.log(num_words / 40) / np.log(1.15))


def records_of(dump: DumpFile) -> Iterator[Record]:
    """The records of a dump; lines that are no JSON objects are passed over."""
    for block in read_lines(dump.path, lambda _: None):
        for line in block.data.splitlines():
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(record, dict):
                yield record


def read_threads(folder: Path, months: Sequence[str] = ()) -> RealThreads:
    """The threads of all dumps in a folder, or of some months; a thread may span months.

    Raises:
        UserError: there are no dumps.
        ValueError: no comment dump is of these months.
    """
    dumps = [dump for dump in take_inventory(folder).dumps if not months or dump.month in months]
    comments: dict[str, dict[str, Record]] = {}
    submissions: dict[str, Record] = {}
    for dump in dumps:
        for record in records_of(dump):
            if dump.kind == "RS":
                submissions["t3_" + record["id"]] = record
            elif all(isinstance(record.get(name), str) for name in _NEEDED):
                comments.setdefault(record["link_id"], {})["t1_" + record["id"]] = record
    if not comments:
        raise ValueError(f"{folder}: no comments of the months {', '.join(months)}")
    builder = _Builder()
    link_ids = sorted(comments)
    random.Random(0).shuffle(link_ids)  # BodyMaker's pools are full before all threads are seen
    for link_id in link_ids:
        builder.add(link_id, comments[link_id], submissions.get(link_id))
    return builder.threads()


class _Builder:
    """Collects threads node by node."""

    def __init__(self) -> None:
        self.first_node = [0]
        self.parent: list[int] = []
        self.present: list[bool] = []
        self.seconds: list[int] = []
        self.score: list[int] = []
        self.author: list[str] = []
        self.length_class: list[int] = []
        self.templates: list[Template] = []
        self.submissions: list[Record | None] = []
        self.subreddits: list[tuple[str, str]] = []
        self.maker = BodyMaker()

    def add(self, link_id: str, comments: dict[str, Record], submission: Record | None) -> None:
        """One thread: comments by full name, and its submission."""
        places = {name: place for place, name in enumerate(comments)}
        times = [int(float(record["created_utc"])) for record in comments.values()]
        start = min(times) - 60
        if submission is not None:
            start = min(start, int(float(submission["created_utc"])))
        missing_since: dict[int, int] = {}
        for record, time in zip(comments.values(), times, strict=True):
            parent = TOP_LEVEL
            if record["parent_id"].startswith("t1_"):
                parent = places.setdefault(record["parent_id"], len(places))
                if parent >= len(comments):
                    missing_since.setdefault(parent, time - start)
            self._add_comment(record, parent, time - start)
        for place in range(len(comments), len(places)):
            self.parent.append(TOP_LEVEL)
            self.present.append(False)
            self.seconds.append(missing_since[place])
            self.score.append(0)
            self.author.append("")
            self.length_class.append(-1)
            self.templates.append(())
        self.first_node.append(len(self.parent))
        self.submissions.append(self._with_templates(submission))
        any_record = next(iter(comments.values()))
        self.subreddits.append((any_record["subreddit"], any_record["subreddit_id"]))

    def _add_comment(self, record: Record, parent: int, seconds: int) -> None:
        body = record["body"]
        self.parent.append(parent)
        self.present.append(True)
        self.seconds.append(seconds)
        self.score.append(int(record.get("score") or 0))
        self.author.append(record["author"])
        self.length_class.append(-1 if body in UNCHANGED else length_class(len(body.split())))
        self.templates.append(self.maker.learn(body))

    def _with_templates(self, submission: Record | None) -> Record | None:
        if submission is None:
            return None
        texts = {name: submission.get(name) or "" for name in ("title", "selftext")}
        return {**submission, **{name: self.maker.learn(text) for name, text in texts.items()}}

    def threads(self) -> RealThreads:
        """What was added."""
        return RealThreads(
            first_node=np.array(self.first_node),
            parent=np.array(self.parent),
            present=np.array(self.present),
            seconds=np.array(self.seconds),
            score=np.array(self.score),
            author=self.author,
            length_class=np.array(self.length_class),
            templates=self.templates,
            submissions=self.submissions,
            subreddits=self.subreddits,
            maker=self.maker,
        )
