"""The first two stages of extraction: dump -> spill, and partition of spills -> candidates.

A dump is read once and its comments are dealt to partitions by thread; a partition then holds whole
threads of all months, so a conversation that goes on past midnight of the 31st stays one. Memory is
bounded by some blocks of lines in the first stage and by a partition in the second.
"""

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from data_prep.blandness import write_trigram_counts
from data_prep.candidates import CandidateWriter, read_candidates
from data_prep.config import ExtractConfig
from data_prep.counts import TRUNCATED_ARCHIVE, Tally, month_number
from data_prep.dump import DamagedArchiveError, LineBlock, read_lines
from data_prep.extract_plan import reading_note
from data_prep.filters import FilterSet
from data_prep.inventory import DumpFile
from data_prep.multiref import test_items
from data_prep.partitions import SpillWriter, read_spill
from data_prep.posts import COMMENTS, SUBMISSIONS, ParsedBlock, parse_block
from data_prep.rejects import Rejects
from data_prep.stages import JsonObject, peak_memory
from data_prep.trees import candidate_tables, grow_trees
from dialogpt.records import write_text

EXAMPLES_PER_REASON = 3
"""Unusable lines of each kind that are shown, a file."""

_BLOCKS_AHEAD = 2
"""Blocks that are read before they are asked for, a thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadTask:
    """A dump to read.

    Attributes:
        dump: which.
        spill: where its posts go.
        num_partitions: to how many partitions they are dealt.
        num_threads: how many read at once.
        rejects: Parquet file for the lines that hold no post, or None.
    """

    dump: DumpFile
    spill: Path
    num_partitions: int
    num_threads: int
    rejects: Path | None


def read_dump(task: ReadTask, report: Callable[[int], object]) -> JsonObject:
    """Read one dump into a spill.

    Args:
        task: what to do.
        report: called with the bytes of the dump read since the last call.

    Returns:
        JSON: "counts" (by month), "unusable" (reason -> lines), "examples", "damage" (null, or
        what is wrong with the archive), "batches" ((partition, rows) of each batch of the spill),
        "sha256" of the dump.
    """
    reader = _DumpReader(task)
    digest = hashlib.sha256()
    with SpillWriter(
        task.spill,
        reader.post_format.schema,
        thread_column="link_id" if task.dump.kind == "RC" else "id",
        num_partitions=task.num_partitions,
    ) as spill:
        damage = None
        try:
            blocks = read_lines(task.dump.path, report, digest)
            for parsed in in_threads(
                lambda block: parse_block(block, reader.post_format), blocks, task.num_threads
            ):
                spill.write(reader.posts_of(parsed))
        except DamagedArchiveError as error:
            damage = f"{task.dump.name}: {error}, in line {error.line_number:,}"
            rest = parse_block(LineBlock(error.line_number, error.partial_line), reader.post_format)
            spill.write(reader.posts_of(rest, unusable_because=TRUNCATED_ARCHIVE))
    reader.rejects.close()
    return {
        "counts": reader.tally.by_month(),
        "unusable": reader.shown,
        "examples": reader.rejects.examples,
        "damage": damage,
        "batches": spill.batches,
        "sha256": digest.hexdigest(),
        "peak_memory": peak_memory(),
        **reading_note(task.dump, task.num_partitions, keep_rejects=task.rejects is not None),
    }


def in_threads(
    work: Callable[[LineBlock], ParsedBlock], blocks: Iterable[LineBlock], num_threads: int
) -> Iterator[ParsedBlock]:
    """What the work makes of each block, in order; several are worked on at once.

    An exception of the blocks comes after all that was made of the blocks before it.
    """
    if num_threads <= 1:
        yield from map(work, blocks)
        return
    source = iter(blocks)
    failure: Exception | None = None
    with ThreadPoolExecutor(num_threads) as threads:
        running: list[Future[ParsedBlock]] = []
        while True:
            try:
                block = next(source, None)
            except DamagedArchiveError as error:
                block, failure = None, error
            if block is None:
                break
            running.append(threads.submit(work, block))
            if len(running) > _BLOCKS_AHEAD * num_threads:
                yield running.pop(0).result()
        for future in running:
            yield future.result()
    if failure is not None:
        raise failure


class _DumpReader:
    """Counts what the blocks of one dump hold."""

    def __init__(self, task: ReadTask) -> None:
        self.post_format = COMMENTS if task.dump.kind == "RC" else SUBMISSIONS
        self.tally = Tally()
        self.rejects = Rejects(task.rejects)
        self.shown: dict[str, list[str]] = {}
        self._dump = task.dump
        self._noun = "comments" if task.dump.kind == "RC" else "submissions"

    def posts_of(self, parsed: ParsedBlock, *, unusable_because: str = "") -> pa.RecordBatch:
        """The posts of a block, after counting them and the lines that are none."""
        month = self._dump.month
        self.tally.add(month, f"{self._noun}_read", parsed.posts.num_rows + len(parsed.unusable))
        for line in parsed.unusable:
            reason = unusable_because or line.reason
            dropped = f"comments_dropped.{reason}"
            self.tally.add(month, dropped if self._noun == "comments" else "submissions_unusable")
            self.rejects.add_lines([line], reason, month=month, dump=self._dump.name)
            shown = self.shown.setdefault(reason, [])
            if len(shown) < EXAMPLES_PER_REASON:
                shown.append(f"{self._dump.name}:{line.line_number}: {line.excerpt}")
        return parsed.posts


@dataclass(frozen=True, slots=True)
class SpillPart:
    """The batches of one partition in the spill of one dump."""

    spill: Path
    dump: DumpFile
    batch_numbers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildTask:
    """A partition to make candidates of.

    Attributes:
        parts: its posts, in the order of months.
        files: where the results go.
        num_buckets: to how many buckets the trigrams of responses are dealt; 0 counts none.
        config: turn limits, filters, splits.
    """

    parts: tuple[SpillPart, ...]
    files: "BuiltFiles"
    num_buckets: int
    config: ExtractConfig


@dataclass(frozen=True, slots=True)
class BuiltFiles:
    """The files of one partition, in the work folder."""

    candidates: Path
    test_items: Path
    trigrams: Path
    rejects: Path

    @classmethod
    def of(cls, work: Path, name: str) -> Self:
        """The files of the partition of this name."""
        return cls(
            candidates=work / "candidates" / f"{name}.arrow",
            test_items=work / "test_items" / f"{name}.jsonl",
            trigrams=work / "trigrams" / f"{name}.arrow",
            rejects=work / "rejects" / f"build-{name}.parquet",
        )


@contextmanager
def without_cycle_collection() -> Iterator[None]:
    """Millions of objects live at once and none is part of a cycle: looking for some costs 12 %."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@without_cycle_collection()
def build_partition(task: BuildTask, report: Callable[[int], object]) -> JsonObject:
    """Write the candidates of one partition, its test items, and the counts of its trigrams.

    Args:
        task: what to do.
        report: called with the number of comments done since the last call.

    Returns:
        JSON: "counts" (by month), "examples", "trigram_batches" ((bucket, rows) of each batch).
    """
    config, tally = task.config, Tally()
    filters = FilterSet.from_config(config.filters)
    rejects = Rejects(task.files.rejects if config.keep_rejects else None)
    trees = grow_trees(
        load_comments(task.parts),
        load_submission_ids(task.parts),
        tally,
        rejects,
        config=config,
        filters=filters,
        report=report,
    )
    with CandidateWriter(task.files.candidates) as writer:
        for table in candidate_tables(trees, tally, rejects, config=config, filters=filters):
            writer.write(table)
    rejects.close()
    if config.multiref.min_responses:
        items = test_items(trees, tally, config=config, filters=filters)
        task.files.test_items.parent.mkdir(parents=True, exist_ok=True)
        write_text(task.files.test_items, "".join(item.to_json() + "\n" for item in items))
    batches: list[tuple[int, int]] = []
    if task.num_buckets:
        batches = write_trigram_counts(
            read_candidates(task.files.candidates),
            task.files.trigrams,
            num_buckets=task.num_buckets,
        )
    return {
        "counts": tally.by_month(),
        "examples": rejects.examples,
        "trigram_batches": batches,
        "peak_memory": peak_memory(),
    }


def load_comments(parts: Iterable[SpillPart]) -> pa.Table:
    """The comments of a partition with their month, in the order of months and lines."""
    schema = COMMENTS.schema.append(pa.field("month", pa.int32()))
    tables = [
        table.append_column(
            schema.field("month"),
            pa.array(np.full(table.num_rows, month_number(dump.month), np.int32)),
        )
        for dump, table in _tables(parts, "RC")
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def load_submission_ids(parts: Iterable[SpillPart]) -> Any:
    """(n,) int64: the submissions of a partition that are in any dump."""
    columns = [table.column("id").to_numpy() for _, table in _tables(parts, "RS")]
    return np.concatenate([np.zeros(0, np.int64), *columns])


def _tables(parts: Iterable[SpillPart], kind: str) -> list[tuple[DumpFile, pa.Table]]:
    return [
        (part.dump, read_spill(part.spill, part.batch_numbers))
        for part in parts
        if part.dump.kind == kind
    ]
