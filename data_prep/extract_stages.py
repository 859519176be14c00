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
from typing import Any, Self, TypeVar

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
from data_prep.partitions import SpillWriter, read_owned
from data_prep.posts import COMMENTS, ParsedBlock, UnusableLine, parse_block
from data_prep.rejects import Rejects
from data_prep.sifting import Sifted, Sifter, sifter_for
from data_prep.stages import JsonObject, peak_memory
from data_prep.trees import candidate_tables, grow_trees
from dialogpt.records import write_json, write_text

Made = TypeVar("Made")

EXAMPLES_PER_REASON = 3
"""Unusable lines of each kind that are shown, a file."""

_BLOCKS_AHEAD = 2
"""Blocks that are given to a thread before its results are asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadTask:
    """A dump to read.

    Attributes:
        dump: which.
        spill: where its posts go.
        num_partitions: to how many partitions they are dealt.
        num_threads: how many read at once.
        examples: file for some of the lines that hold no post.
        rejects: Parquet file for all of them, or None.
        config: says which posts stay.
    """

    dump: DumpFile
    spill: Path
    num_partitions: int
    num_threads: int
    examples: Path
    rejects: Path | None
    config: ExtractConfig


def read_dump(task: ReadTask, report: Callable[[int], object]) -> JsonObject:
    """Read one dump into a spill.

    Args:
        task: what to do.
        report: called with the bytes of the dump read since the last call.

    Returns:
        JSON: "counts" (by month), "unusable" (reason -> lines), "damage" (null, or what is wrong
        with the archive), "num_rows" (posts of each partition), "sha256" of the dump.
    """
    reader = DumpReader(task.dump, task.rejects, sifter_for(task.dump, task.config))
    digest = hashlib.sha256()
    with SpillWriter(
        task.spill,
        reader.schema,
        thread_column="link_id" if task.dump.kind == "RC" else "id",
        num_partitions=task.num_partitions,
    ) as spill:
        in_background = task.num_threads > 1
        blocks = read_lines(task.dump.path, report, digest, in_background=in_background)
        for posts in reader.posts(blocks, num_threads=task.num_threads):
            spill.write(posts)
    result = reader.result()
    write_json(task.examples, result.pop("examples"))
    return {
        **result,
        "num_rows": spill.num_rows.tolist(),
        "sha256": digest.hexdigest(),
        "peak_memory": peak_memory(),
        **reading_note(task.dump, task.num_partitions, task.config),
    }


def in_threads(
    work: Callable[[LineBlock], Made], blocks: Iterable[LineBlock], num_threads: int
) -> Iterator[Made]:
    """What the work makes of each block, in order; several are worked on at once.

    An exception of the blocks comes after all that was made of the blocks before it.
    """
    if num_threads <= 1:
        yield from map(work, blocks)
        return
    failure: Exception | None = None
    with ThreadPoolExecutor(num_threads) as threads:
        running: list[Future[Made]] = []
        try:
            for block in blocks:
                running.append(threads.submit(work, block))
                if len(running) > _BLOCKS_AHEAD * num_threads:
                    yield running.pop(0).result()
        except DamagedArchiveError as error:
            failure = error
        for future in running:
            yield future.result()
    if failure is not None:
        raise failure


class DumpReader:
    """Counts what the blocks of one dump hold.

    Attributes:
        schema: of the posts that stay.
    """

    def __init__(self, dump: DumpFile, rejects: Path | None, sifter: Sifter) -> None:
        """Begin to count.

        Args:
            dump: which; the file itself is not opened.
            rejects: Parquet file for the lines that hold no post, or None.
            sifter: says how lines are read, and which posts stay.
        """
        self.schema = sifter.schema
        self._sifter = sifter
        self._tally = Tally()
        self._rejects = Rejects(rejects)
        self._shown: dict[str, list[str]] = {}
        self._damage: str | None = None
        self._dump = dump
        self._noun = "comments" if dump.kind == "RC" else "submissions"

    def posts(
        self, blocks: Iterable[LineBlock], *, num_threads: int = 1
    ) -> Iterator[pa.RecordBatch]:
        """The posts of each block that stay, as far as the archive is in order."""
        try:
            for parsed, sifted in in_threads(self._sifted, blocks, num_threads):
                yield self._posts_of(parsed, sifted)
        except DamagedArchiveError as error:
            self._damage = f"{self._dump.name}: {error}, in line {error.line_number:,}"
            rest = LineBlock(error.line_number, error.partial_line)
            yield self._posts_of(*self._sifted(rest), unusable_because=TRUNCATED_ARCHIVE)

    def _sifted(self, block: LineBlock) -> tuple[ParsedBlock, Sifted]:
        parsed = parse_block(block, self._sifter.post_format)
        return parsed, self._sifter.sift(parsed.posts)

    def result(self) -> JsonObject:
        """JSON: "counts", "unusable", "examples", "damage", as `read_dump` returns them."""
        self._rejects.close()
        return {
            "counts": self._tally.by_month(),
            "unusable": self._shown,
            "examples": self._rejects.examples,
            "damage": self._damage,
        }

    def _posts_of(
        self, parsed: ParsedBlock, sifted: Sifted, *, unusable_because: str = ""
    ) -> pa.RecordBatch:
        """The posts of a block that stay, after counting the others and the lines that are none."""
        month = self._dump.month
        posts, drops = sifted
        posts, more_drops = self._sifter.sift_in_order(posts)
        for reason, number in (*drops.items(), *more_drops.items()):
            self._tally.add(month, f"{self._noun}_dropped.{reason}", number)
        self._tally.add(month, f"{self._noun}_read", parsed.posts.num_rows + len(parsed.unusable))
        by_reason: dict[str, list[UnusableLine]] = {}
        for line in parsed.unusable:
            by_reason.setdefault(unusable_because or line.reason, []).append(line)
        for reason, lines in by_reason.items():
            dropped = f"comments_dropped.{reason}"
            name = dropped if self._noun == "comments" else "submissions_unusable"
            self._tally.add(month, name, len(lines))
            self._rejects.add_lines(lines, reason, month=month, dump=self._dump.name)
            shown = self._shown.setdefault(reason, [])
            for line in lines[: EXAMPLES_PER_REASON - len(shown)]:
                shown.append(f"{self._dump.name}:{line.line_number}: {line.excerpt}")
        return posts


@dataclass(frozen=True, slots=True)
class Spill:
    """The posts of one dump, dealt to partitions."""

    path: Path
    dump: DumpFile


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildTask:
    """A partition to make candidates of.

    Attributes:
        number: which of those that the posts were dealt to.
        spills: of all dumps that have posts of it, in the order of months.
        files: where the results go.
        num_buckets: to how many buckets the trigrams of responses are dealt; 0 counts none.
        config: turn limits, filters, splits.
    """

    number: int
    spills: tuple[Spill, ...]
    files: "BuiltFiles"
    num_buckets: int
    config: ExtractConfig


@dataclass(frozen=True, slots=True)
class BuiltFiles:
    """The files of one partition, in the work folder."""

    candidates: Path
    test_items: Path
    trigrams: Path
    lines: Path
    examples: Path
    rejects: Path

    @classmethod
    def of(cls, work: Path, name: str) -> Self:
        """The files of the partition of this name."""
        return cls(
            candidates=work / "candidates" / f"{name}.arrow",
            test_items=work / "test_items" / f"{name}.jsonl",
            trigrams=work / "trigrams" / f"{name}.arrow",
            lines=work / "lines" / f"{name}.arrow",
            examples=work / "examples" / f"build-{name}.json",
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
        JSON: "counts" (by month).
    """
    config, tally = task.config, Tally()
    filters = FilterSet.from_config(config.filters)
    rejects = Rejects(task.files.rejects if config.keep_rejects else None)
    trees = grow_trees(
        load_comments(task.spills, task.number),
        load_submission_ids(task.spills, task.number),
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
    if task.num_buckets:
        candidates = read_candidates(task.files.candidates)
        write_trigram_counts(candidates, task.files.trigrams, num_buckets=task.num_buckets)
    write_json(task.files.examples, rejects.examples)
    return {"counts": tally.by_month(), "peak_memory": peak_memory()}


def load_comments(spills: Iterable[Spill], partition: int) -> pa.Table:
    """The comments of a partition with their month, in the order of months and lines."""
    schema = COMMENTS.schema.append(pa.field("month", pa.int32()))
    tables = [
        table.append_column(
            schema.field("month"),
            pa.array(np.full(table.num_rows, month_number(dump.month), np.int32)),
        )
        for dump, table in _tables(spills, "RC", partition)
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def load_submission_ids(spills: Iterable[Spill], partition: int) -> Any:
    """(n,) int64: the submissions of a partition that are in any dump."""
    columns = [table.column("id").to_numpy() for _, table in _tables(spills, "RS", partition)]
    return np.concatenate([np.zeros(0, np.int64), *columns])


def spilled(spills: Iterable[Spill], kind: str, partition: int, schema: pa.Schema) -> pa.Table:
    """The posts of one kind in a partition, in the order of the dump."""
    tables = [table for _, table in _tables(spills, kind, partition)]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _tables(spills: Iterable[Spill], kind: str, partition: int) -> list[tuple[DumpFile, pa.Table]]:
    return [
        (spill.dump, read_owned(spill.path, partition))
        for spill in spills
        if spill.dump.kind == kind
    ]
