"""The stages that preset "reference" has of its own: comments -> instances, and their lines."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.candidates import CandidateWriter, read_candidates, with_splits
from data_prep.config import SplitConfig
from data_prep.counts import Tally, month_number
from data_prep.dialogues import DIALOGUE_SCHEMA
from data_prep.extract_stages import BuildTask, spilled
from data_prep.finish import contains_any, read_purged_ids
from data_prep.reference.conversations import conversations
from data_prep.reference.order import ORDER_COLUMNS, line_order
from data_prep.reference.posts import KEPT_COMMENTS_SCHEMA, KEPT_SUBMISSIONS_SCHEMA, TITLE_FIELD
from data_prep.sifting import read_keys
from data_prep.splits import dealt_by_hash, split_of
from data_prep.stages import JsonObject, Report, peak_memory
from data_prep.text_columns import BoolArray
from dialogpt.records import SPLITS, write_json

LINES_FOLDER = "reference"
"""Folder of the public code's lines in the output."""

_LINE_COLUMNS = [*ORDER_COLUMNS, "line"]


def build_instances(task: BuildTask, report: Report) -> JsonObject:
    """Write the instances of one partition of a month: dialogues, and the public code's lines.

    Returns:
        JSON: "counts" (by month).
    """
    config, tally = task.config, Tally()
    (month,) = {spill.dump.month for spill in task.spills}
    schema = KEPT_SUBMISSIONS_SCHEMA
    if config.reference.use_title:
        schema = schema.append(TITLE_FIELD)
    comments = spilled(task.spills, "RC", task.number, KEPT_COMMENTS_SCHEMA)
    instances = conversations(
        comments,
        spilled(task.spills, "RS", task.number, schema),
        tally,
        month=month,
        config=config.reference,
        keys=read_keys(config),
    )
    report(comments.num_rows)
    dialogues = instances.select(DIALOGUE_SCHEMA.names).cast(DIALOGUE_SCHEMA)
    with CandidateWriter(task.files.candidates) as writer:
        writer.write(with_splits(dialogues, _split_codes(dialogues, month, config.split)))
    task.files.lines.parent.mkdir(parents=True, exist_ok=True)
    write_lines(instances.select(_LINE_COLUMNS), task.files.lines)
    write_json(task.files.examples, [])
    return {"counts": tally.by_month(), "peak_memory": peak_memory()}


def _split_codes(dialogues: pa.Table, month: str, config: SplitConfig) -> NDArray[np.int8]:
    """The split of each dialogue, by its thread; of a test month all are test."""
    first, last = config.test_month_numbers
    if first <= month_number(month) <= last:
        return np.full(dialogues.num_rows, SPLITS.index("test"), np.int8)
    dealing = dealt_by_hash(config)
    threads = dialogues.column("thread_id").combine_chunks().dictionary_encode()
    splits = [split_of(thread, dealing) for thread in threads.dictionary.to_pylist()]
    codes = np.array([SPLITS.index(split) for split in splits], np.int8)
    return np.asarray(codes[np.asarray(threads.indices)])


def write_lines(lines: pa.Table, path: Path) -> None:
    """Write lines and what they are sorted by, whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(str(unfinished), lines.schema, options=options) as file:
        file.write_table(lines)
    unfinished.replace(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class LinesTask:
    """A month whose lines are put in order.

    Attributes:
        month: "2015-02".
        parts: of each partition the file of its lines, and that of its candidates, row for row.
        purged_ids: file of comments and threads that somebody wanted to have removed.
        output: the file of lines.
    """

    month: str
    parts: tuple[tuple[Path, Path], ...]
    purged_ids: Path
    output: Path


def write_month(task: LinesTask, report: Report) -> JsonObject:
    """Write the lines of one month in the order of the public code's file.

    Its first sort key, the number of the file that a submission stood in, is gone through value by
    value: so no more than half a million submissions are in memory as text.

    Returns:
        JSON: "lines", how many.
    """
    purged = read_purged_ids(task.purged_ids)
    masks = [_stays(candidates, purged) for _, candidates in task.parts]
    paths = [lines for lines, _ in task.parts]
    subs = np.unique(np.concatenate([np.zeros(0, np.int64), *map(_subs, paths)]))
    number = 0
    task.output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = task.output.with_name(task.output.name + ".unfinished")
    with unfinished.open("wb") as output:
        for sub in subs.tolist():
            lines = pa.concat_tables(
                [_lines_of(path, sub, stays) for path, stays in zip(paths, masks, strict=True)]
            )
            order = line_order([np.asarray(lines.column(name)) for name in ORDER_COLUMNS])
            for line in lines.column("line").combine_chunks().take(pa.array(order)).to_pylist():
                output.write(line.encode())
            number += lines.num_rows
    unfinished.replace(task.output)
    report(1)
    return {"lines": number, "peak_memory": peak_memory()}


def _stays(candidates: Path, purged: pa.Array) -> BoolArray:
    masks = [~contains_any(table, purged) for table in read_candidates(candidates)]
    return np.concatenate([np.zeros(0, np.bool_), *masks])


def _subs(path: Path) -> NDArray[np.int64]:
    with pa.memory_map(str(path)) as source:
        column = pa.ipc.open_file(source).read_all().column(ORDER_COLUMNS[0])
        return np.unique(np.asarray(column))


def _lines_of(path: Path, sub: int, stays: BoolArray) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        lines = pa.ipc.open_file(source).read_all()
    return lines.filter(pa.array((np.asarray(lines.column(ORDER_COLUMNS[0])) == sub) & stays))
