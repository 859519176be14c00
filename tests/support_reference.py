"""A month by preset `reference`, from dump files to lines."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_prep.config import ReferenceConfig
from data_prep.counts import Tally
from data_prep.dump import read_lines
from data_prep.posts import parse_block
from data_prep.reference.conversations import conversations
from data_prep.reference.keys import KeepKeys
from data_prep.reference.order import in_order
from data_prep.reference.posts import (
    KEPT_COMMENTS_SCHEMA,
    KEPT_SUBMISSIONS_SCHEMA,
    REFERENCE_COMMENTS,
    REFERENCE_SUBMISSIONS,
    SUBMISSIONS_PER_FILE,
    TITLE_FIELD,
    SubmissionFiles,
    kept_comments,
)

MONTH = "2018-01"


@dataclass
class ReferenceMonth:
    """What came of a month: instances in the order of the release, and all counts."""

    instances: pa.Table
    counts: Counter[str]

    @property
    def lines(self) -> bytes:
        return "".join(self.instances.column("line").to_pylist()).encode()


def read_comments(path: Path, config: ReferenceConfig, counts: Counter[str]) -> pa.Table:
    keys = KeepKeys.read(Path(config.keys)) if config.keys else None
    batches = []
    for block in read_lines(path, lambda _: None):
        parsed = parse_block(block, REFERENCE_COMMENTS)
        counts["comments_read"] += parsed.posts.num_rows + len(parsed.unusable)
        counts.update(f"comments_dropped.{line.reason}" for line in parsed.unusable)
        batch, drops = kept_comments(parsed.posts, max_words=config.max_words, keys=keys)
        counts.update({f"comments_dropped.{reason}": n for reason, n in drops.items()})
        batches.append(batch)
    return pa.Table.from_batches(batches, KEPT_COMMENTS_SCHEMA)


def read_submissions(path: Path, config: ReferenceConfig, per_file: int) -> pa.Table:
    files = SubmissionFiles(with_titles=config.use_title, submissions_per_file=per_file)
    schema = KEPT_SUBMISSIONS_SCHEMA
    if config.use_title:
        schema = schema.append(TITLE_FIELD)
    blocks = read_lines(path, lambda _: None)
    batches = [files.kept(parse_block(block, REFERENCE_SUBMISSIONS).posts)[0] for block in blocks]
    return pa.Table.from_batches(batches, schema)


def reference_month(
    comments: Path,
    submissions: Path,
    *,
    num_partitions: int = 1,
    per_file: int = SUBMISSIONS_PER_FILE,
    **options: Any,
) -> ReferenceMonth:
    """Extract a month.

    Args:
        comments: RC file.
        submissions: RS file.
        num_partitions: whole threads are dealt to so many, and put together at the end.
        per_file: submissions in a file of the release.
        options: of ReferenceConfig.
    """
    config = ReferenceConfig(**options)
    keys = KeepKeys.read(Path(config.keys)) if config.keys else None
    counts: Counter[str] = Counter()
    kept = read_comments(comments, config, counts)
    known = read_submissions(submissions, config, per_file)
    tally = Tally()
    parts = [
        conversations(part, known, tally, month=MONTH, config=config, keys=keys)
        for part in _partitions(kept, num_partitions)
    ]
    counts.update(tally.by_month().get(MONTH, {}))
    return ReferenceMonth(in_order(pa.concat_tables(parts)), counts)


def _partitions(comments: pa.Table, number: int) -> list[pa.Table]:
    links = comments.column("link_id").to_numpy()
    return [comments.filter(pa.array(links % number == part)) for part in range(number)]
