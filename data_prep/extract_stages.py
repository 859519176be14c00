"""The two stages of extraction: dump -> spill, and partition of spills -> dialogues.

A dump is read once and its comments are dealt to partitions by thread; a partition then holds whole
threads of all months, so a conversation that goes on past midnight of the 31st stays one. Memory is
bounded by a block of lines in the first stage and by a partition in the second.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep.comments import keep_comments
from data_prep.config import ExtractConfig
from data_prep.counts import TRUNCATED_ARCHIVE, Tally, month_number
from data_prep.dialogues import DialogueWriter
from data_prep.dump import DamagedArchiveError, LineBlock, read_lines
from data_prep.filters import FilterSet
from data_prep.inventory import DumpFile
from data_prep.partitions import SpillWriter, read_spill
from data_prep.paths import dialogue_rows
from data_prep.posts import COMMENT_SCHEMA, COMMENTS, SUBMISSIONS, ParsedBlock, parse_block

EXAMPLES_PER_REASON = 3
"""Unusable lines of each kind that are shown, a file."""


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A dump to read, where to spill it, and for how many partitions."""

    dump: DumpFile
    spill: Path
    num_partitions: int


def read_dump(task: ReadTask, report: Callable[[int], object]) -> dict[str, Any]:
    """Read one dump into a spill.

    Args:
        task: what to do.
        report: called with the bytes of the dump read since the last call.

    Returns:
        JSON: "counts" (by month), "examples" (reason -> lines), "damage" (null, or what is wrong
        with the archive), "batches" ((partition, rows) of each batch of the spill).
    """
    reader = _DumpReader(task.dump)
    with SpillWriter(
        task.spill,
        reader.post_format.schema,
        thread_column="link_id" if task.dump.kind == "RC" else "id",
        num_partitions=task.num_partitions,
    ) as spill:
        damage = None
        try:
            for block in read_lines(task.dump.path, report):
                spill.write(reader.posts_of(parse_block(block, reader.post_format)))
        except DamagedArchiveError as error:
            damage = f"{task.dump.name}: {error}, in line {error.line_number:,}"
            rest = parse_block(LineBlock(error.line_number, error.partial_line), reader.post_format)
            spill.write(reader.posts_of(rest, unusable_because=TRUNCATED_ARCHIVE))
    return {
        "counts": reader.tally.by_month(),
        "examples": reader.examples,
        "damage": damage,
        "batches": spill.batches,
    }


class _DumpReader:
    """Counts what the blocks of one dump hold."""

    def __init__(self, dump: DumpFile) -> None:
        self.post_format = COMMENTS if dump.kind == "RC" else SUBMISSIONS
        self.tally = Tally()
        self.examples: dict[str, list[str]] = {}
        self._dump = dump
        self._noun = "comments" if dump.kind == "RC" else "submissions"

    def posts_of(self, parsed: ParsedBlock, *, unusable_because: str = "") -> pa.RecordBatch:
        """The posts of a block, after counting them and the lines that are none."""
        month = self._dump.month
        self.tally.add(month, f"{self._noun}_read", parsed.posts.num_rows + len(parsed.unusable))
        for line in parsed.unusable:
            reason = unusable_because or line.reason
            dropped = f"comments_dropped.{reason}"
            self.tally.add(month, dropped if self._noun == "comments" else "submissions_unusable")
            shown = self.examples.setdefault(reason, [])
            if len(shown) < EXAMPLES_PER_REASON:
                shown.append(f"{self._dump.name}:{line.line_number}: {line.excerpt}")
        return parsed.posts


@dataclass(frozen=True, slots=True)
class SpillPart:
    """The batches of one partition in the spill of one dump."""

    spill: Path
    dump: DumpFile
    batch_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BuildTask:
    """A partition to make dialogues of.

    Attributes:
        number: of the partition; it names the output files.
        parts: its posts, in the order of months.
        output: folder of the splits.
        config: turn limits, filters, splits.
    """

    number: int
    parts: tuple[SpillPart, ...]
    output: Path
    config: ExtractConfig


@contextmanager
def _without_cycle_collection() -> Iterator[None]:
    """Millions of turns live at once and none is part of a cycle: looking for some costs 12 %."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_cycle_collection()
def build_partition(task: BuildTask, report: Callable[[int], object]) -> dict[str, Any]:
    """Write the dialogues of one partition.

    Args:
        task: what to do.
        report: called with the number of comments done since the last call.

    Returns:
        JSON: "counts" (by month).
    """
    tally = Tally()
    # The rule on words is applied to paths before their turns are gathered; once is enough.
    filters = FilterSet.from_config(replace(task.config.filters, max_words=0))
    kept = keep_comments(
        load_comments(task.parts), tally, filters=filters, text=task.config.text, report=report
    )
    known = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(table.column("id").to_numpy() for _, table in _tables(task.parts, "RS")),
        ]
    )
    unknown = ~np.isin(kept.thread_ids, known)
    tally.add_each(kept.months[unknown], "comments_kept.unknown_submission")
    with DialogueWriter(task.output, task.number) as writer:
        for split, row in dialogue_rows(kept, tally, config=task.config, filters=filters):
            writer.write(split, row)
    return {"counts": tally.by_month()}


def load_comments(parts: Iterable[SpillPart]) -> pa.Table:
    """The comments of a partition with their month, in the order of months and lines."""
    schema = COMMENT_SCHEMA.append(pa.field("month", pa.int32()))
    tables = [
        table.append_column(
            schema.field("month"),
            pa.array(np.full(table.num_rows, month_number(dump.month), np.int32)),
        )
        for dump, table in _tables(parts, "RC")
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _tables(parts: Iterable[SpillPart], kind: str) -> list[tuple[DumpFile, pa.Table]]:
    return [
        (part.dump, read_spill(part.spill, part.batch_numbers))
        for part in parts
        if part.dump.kind == kind
    ]
