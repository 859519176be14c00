"""The last stage of extraction: candidates -> dialogues, now that the whole corpus is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.blandness import is_bland, last_turns, read_frequent
from data_prep.candidates import of_split, read_candidates
from data_prep.config import ExtractConfig
from data_prep.counts import BLAND, PURGED, Tally, month_number
from data_prep.dialogues import DialogueWriter
from data_prep.ids import decode_ids
from data_prep.rejects import SHOWN_TURNS, Rejects
from data_prep.stages import JsonObject, Report, peak_memory
from data_prep.text_columns import BoolArray
from data_prep.threads import IntArray
from dialogpt.data.manifest import file_sha256
from dialogpt.records import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishTask:
    """A partition to finish.

    Attributes:
        number: names the files.
        candidates: what `build` wrote.
        frequent: file of frequent trigrams, or None.
        purged_ids: file of comments and threads that somebody wanted to have removed.
        output: folder of the splits.
        rejects: Parquet file for what is dropped, or None.
        config: thresholds.
    """

    number: int
    candidates: Path
    frequent: Path | None
    purged_ids: Path
    output: Path
    rejects: Path | None
    config: ExtractConfig


def finish_partition(task: FinishTask, report: Report) -> JsonObject:
    """Write the dialogues of one partition.

    Returns:
        JSON: "counts" (by month), "examples", "files" (path below the folder of the splits -> rows
        and checksum).
    """
    tally = Tally()
    rejects = Rejects(task.rejects)
    drops = _Drops(task, tally, rejects)
    with DialogueWriter(task.output, task.number) as writer:
        for candidates in read_candidates(task.candidates):
            kept = drops.without_dropped(candidates)
            for split in SPLITS:
                dialogues = of_split(kept, split)
                tally.add_each(_months(dialogues), f"dialogues.{split}")
                writer.write_table(split, dialogues)
            report(candidates.num_rows)
    rejects.close()
    return {
        "counts": tally.by_month(),
        "examples": rejects.examples,
        "files": {
            str(path.relative_to(task.output)): {"sha256": file_sha256(path), "rows": rows}
            for path, rows in writer.written.items()
        },
        "peak_memory": peak_memory(),
    }


class _Drops:
    """What is dropped from the candidates of a partition, in this order: purged, bland."""

    def __init__(self, task: FinishTask, tally: Tally, rejects: Rejects) -> None:
        self._tally = tally
        self._rejects = rejects
        self._min_share = task.config.filters.bland_share
        self._frequent = read_frequent(task.frequent).column("trigram").combine_chunks()
        self._purged = read_purged_ids(task.purged_ids)

    def without_dropped(self, candidates: pa.Table) -> pa.Table:
        """The candidates that stay, after counting and showing the others."""
        undecided = np.ones(candidates.num_rows, np.bool_)
        for reason, is_dropped in self._masks(candidates):
            dropped = candidates.filter(pa.array(is_dropped & undecided))
            self._note(dropped.drop_columns(["split"]), reason)
            undecided &= ~is_dropped
        return candidates.filter(pa.array(undecided))

    def _masks(self, candidates: pa.Table) -> Iterator[tuple[str, BoolArray]]:
        yield PURGED, contains_any(candidates, self._purged)
        yield (
            BLAND,
            is_bland(last_turns(candidates), self._frequent, min_share=self._min_share),
        )

    def _note(self, dropped: pa.Table, reason: str) -> None:
        self._tally.add_each(_months(dropped), f"paths_dropped.{reason}")
        if reason == PURGED or not dropped.num_rows:
            return  # what people want to have removed is not kept as an example, either
        num_turns = np.asarray(pc.list_value_length(dropped.column("turns"))).astype(np.int64)
        self._rejects.add_paths(
            _leaf_ids(dropped),
            reason,
            lambda rows: last_turns_of(dropped.take(pa.array(rows)), SHOWN_TURNS),
            num_turns=num_turns,
        )


def contains_any(dialogues: pa.Table, purged: pa.Array) -> BoolArray:
    """Whether each dialogue holds one of some comments, or belongs to one of some threads."""
    if not len(purged):
        return np.zeros(dialogues.num_rows, np.bool_)
    turn_ids = dialogues.column("turn_ids").combine_chunks()
    hits = np.asarray(pc.is_in(turn_ids.values, value_set=purged))
    num_hits = np.concatenate([[0], np.cumsum(hits)])
    in_turns = np.diff(num_hits[np.asarray(turn_ids.offsets)]) > 0
    is_thread = np.asarray(pc.is_in(dialogues.column("thread_id"), value_set=purged))
    contains: BoolArray = in_turns | is_thread
    return contains


def read_purged_ids(path: Path) -> pa.Array:
    """The ids of a file with one a line, "t1_" for comments and "t3_" for threads."""
    lines = path.read_text(encoding="utf-8").split() if path.is_file() else []
    return pa.array(lines, pa.string())


def last_turns_of(dialogues: pa.Table, number: int) -> pa.Table:
    """The dialogues with at most so many turns, the last ones."""
    rows = [
        {**row, **{name: row[name][-number:] for name in ("turns", "speakers", "turn_ids")}}
        for row in dialogues.to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=dialogues.schema)


def _leaf_ids(dialogues: pa.Table) -> IntArray:
    names = [turn_ids[-1] for turn_ids in dialogues.column("turn_ids").to_pylist()]
    return decode_ids(names, b"t1_")[0]


def _months(dialogues: pa.Table) -> NDArray[np.int32]:
    months = dialogues.column("month").combine_chunks().dictionary_encode()
    numbers = np.array([month_number(name) for name in months.dictionary.to_pylist()], np.int32)
    return np.asarray(numbers[np.asarray(months.indices)])
