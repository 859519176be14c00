"""The last stage of extraction: candidates -> dialogues, now that the whole corpus is known."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.blandness import is_bland, last_turns, read_frequent
from data_prep.candidates import of_split, read_candidates
from data_prep.counts import BLAND, DUPLICATES, PURGED, Tally, month_number
from data_prep.dialogues import DialogueWriter
from data_prep.duplicates.search import read_drops
from data_prep.ids import decode_ids
from data_prep.rejects import SHOWN_CHARACTERS, SHOWN_TURNS, Rejects
from data_prep.stages import JsonObject, Report, peak_memory
from data_prep.text_columns import BoolArray
from data_prep.threads import IntArray
from dialogpt.data.manifest import file_sha256
from dialogpt.records import SPLITS, Split, write_json


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishTask:
    """A partition to finish.

    Attributes:
        number: names the files.
        candidates: what `build` wrote.
        rules: about the corpus.
        duplicates: which candidates are duplicates: what `duplicates.search` wrote; or None.
        output: folder of the splits.
        examples: file for some of what is dropped.
        rejects: Parquet file for all of it, or None.
    """

    number: int
    candidates: Path
    rules: "CorpusRules"
    duplicates: Path | None
    output: Path
    examples: Path
    rejects: Path | None


def finish_partition(task: FinishTask, report: Report) -> JsonObject:
    """Write the dialogues of one partition.

    Returns:
        JSON: "counts" (by month), "files" (path below the folder of the splits -> rows and
        checksum).
    """
    tally = Tally()
    rejects = Rejects(task.rejects)
    duplicates = read_drops(task.duplicates) if task.duplicates is not None else None
    drops = LastDrops(task.rules.masks, duplicates, tally, rejects)
    with DialogueWriter(task.output, task.number) as writer:
        for candidates in read_candidates(task.candidates):
            for split, dialogues in drops.dialogues(candidates):
                writer.write_table(split, dialogues)
            report(candidates.num_rows)
    rejects.close()
    write_json(task.examples, rejects.examples)
    return {
        "counts": tally.by_month(),
        "files": {
            str(path.relative_to(task.output)): {"sha256": file_sha256(path), "rows": rows}
            for path, rows in writer.written.items()
        },
        "peak_memory": peak_memory(),
    }


@dataclass(frozen=True, slots=True)
class CorpusRules:
    """The rules that take all partitions together, but for that on duplicates.

    Called with candidates it tells which of them are dropped.

    Attributes:
        frequent: file of frequent trigrams, or None if nothing is bland.
        min_share: of trigrams that make a response bland.
        purged_ids: file of comments and threads that somebody wanted to have removed.
        key: stands for what is in the files.
    """

    frequent: Path | None
    min_share: float
    purged_ids: Path
    key: str

    def masks(self, candidates: pa.Table) -> Iterator[tuple[str, BoolArray]]:
        """Each reason, and which candidates it drops."""
        frequent, purged = _lists_of(self)
        yield from corpus_masks(
            candidates, frequent=frequent, min_share=self.min_share, purged=purged
        )

    def __call__(self, candidates: pa.Table) -> BoolArray:
        """Whether each candidate is dropped, for any reason."""
        dropped = np.zeros(candidates.num_rows, np.bool_)
        for _, mask in self.masks(candidates):
            dropped |= mask
        return dropped


@lru_cache(maxsize=1)
def _lists_of(rules: CorpusRules) -> tuple[pa.Array, pa.Array]:
    """The frequent trigrams, and the ids that are purged."""
    frequent = read_frequent(rules.frequent).column("trigram").combine_chunks()
    return frequent, read_purged_ids(rules.purged_ids)


def corpus_masks(
    candidates: pa.Table, *, frequent: pa.Array, min_share: float, purged: pa.Array
) -> Iterator[tuple[str, BoolArray]]:
    """Each reason of the rules on the corpus, and which candidates it drops.

    Args:
        candidates: dialogues.
        frequent: the frequent trigrams, as large strings.
        min_share: of them that makes a response bland.
        purged: ids of comments and threads that somebody wanted to have removed.
    """
    # In this order: then a purge changes the count of what was a dialogue, and no other.
    yield BLAND, is_bland(last_turns(candidates), frequent, min_share=min_share)
    yield PURGED, contains_any(candidates, purged)


class LastDrops:
    """What is dropped from the candidates of a partition: bland, purged, duplicates.

    Args:
        masks: candidates -> each reason, and which of them it drops.
        duplicates: what is dropped as a duplicate, as `read_drops` gives it; or None.
        tally: counts each drop and what is left.
        rejects: is shown what is dropped.
    """

    def __init__(
        self,
        masks: Callable[[pa.Table], Iterable[tuple[str, BoolArray]]],
        duplicates: pa.Table | None,
        tally: Tally,
        rejects: Rejects,
    ) -> None:
        self._masks = masks
        self._duplicates = duplicates
        self._tally = tally
        self._rejects = rejects
        self._num_seen = 0

    def dialogues(self, candidates: pa.Table) -> Iterator[tuple[Split, pa.Table]]:
        """The candidates that stay, for each split a table of DIALOGUE_SCHEMA.

        To be called with all candidates of the partition, in their order.
        """
        kept = self._without_dropped(candidates)
        for split in SPLITS:
            dialogues = of_split(kept, split)
            self._tally.add_each(_months(dialogues), f"dialogues.{split}")
            yield split, dialogues

    def _without_dropped(self, candidates: pa.Table) -> pa.Table:
        """The candidates that stay, after counting and showing the others."""
        undecided = np.ones(candidates.num_rows, np.bool_)
        for reason, is_dropped in self._masks(candidates):
            self._note(candidates.filter(pa.array(is_dropped & undecided)), reason)
            undecided &= ~is_dropped
        for reason, rows, details in self._duplicates_among(candidates.num_rows):
            self._note(candidates.take(pa.array(rows)), reason, details)
            undecided[rows] = False
        self._num_seen += candidates.num_rows
        return candidates.filter(pa.array(undecided))

    def _duplicates_among(self, number: int) -> Iterator[tuple[str, IntArray, pa.Array]]:
        """Reason, rows and details of the duplicates among the next so many candidates.

        None of them is dropped for another reason: those take no part in the search.
        """
        if self._duplicates is None:
            return
        rows = self._duplicates.column("row").to_numpy().astype(np.int64) - self._num_seen
        is_here = (rows >= 0) & (rows < number)
        for reason in DUPLICATES:
            of_reason = is_here & np.asarray(pc.equal(self._duplicates.column("reason"), reason))
            details = self._duplicates.column("detail").filter(pa.array(of_reason))
            yield reason, rows[of_reason], details.combine_chunks()

    def _note(self, dropped: pa.Table, reason: str, details: pa.Array | None = None) -> None:
        dropped = dropped.drop_columns(["split"])
        self._tally.add_each(_months(dropped), f"paths_dropped.{reason}")
        if reason == PURGED or not dropped.num_rows:
            return  # what people want to have removed is not kept as an example, either
        num_turns = np.asarray(pc.list_value_length(dropped.column("turns"))).astype(np.int64)
        self._rejects.add_paths(
            _leaf_ids(dropped),
            reason,
            lambda rows: shown_part(dropped.take(pa.array(rows))),
            num_turns=num_turns,
            details=details,
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


def shown_part(dialogues: pa.Table) -> pa.Table:
    """The dialogues with their last SHOWN_TURNS turns, of SHOWN_CHARACTERS each, at most."""
    rows = []
    for row in dialogues.to_pylist():
        ends = {name: row[name][-SHOWN_TURNS:] for name in ("turns", "speakers", "turn_ids")}
        ends["turns"] = [turn[:SHOWN_CHARACTERS] for turn in ends["turns"]]
        rows.append({**row, **ends})
    return pa.Table.from_pylist(rows, schema=dialogues.schema)


def _leaf_ids(dialogues: pa.Table) -> IntArray:
    names = [turn_ids[-1] for turn_ids in dialogues.column("turn_ids").to_pylist()]
    return decode_ids(names, b"t1_")[0]


def _months(dialogues: pa.Table) -> NDArray[np.int32]:
    months = dialogues.column("month").combine_chunks().dictionary_encode()
    numbers = np.array([month_number(name) for name in months.dictionary.to_pylist()], np.int32)
    return np.asarray(numbers[np.asarray(months.indices)])
