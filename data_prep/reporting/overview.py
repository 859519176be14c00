"""What is known of every dialogue without reading its text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.reporting.columns import greatest, lengths, read_columns
from data_prep.reporting.distribution import Distribution
from dialogpt.records import Split

_COLUMNS = ("speakers", "thread_id", "subreddit", "month", "score")
_HELD_OUT_FIRST: tuple[Split, ...] = ("test", "valid", "train")


@dataclass(slots=True)
class Overview:
    """Counts over all dialogues.

    Attributes:
        num_dialogues: split -> how many.
        num_turns: turns of a dialogue.
        num_speakers: known voices of a dialogue.
        num_unknown_speakers: turns of which nobody knows who said them.
        scores: of the last turns.
        subreddits: name -> dialogues.
        months: name -> dialogues; "" where it is not known.
        shared_threads: those that are in two splits, which must not be.
    """

    num_dialogues: dict[Split, int] = field(default_factory=dict)
    num_turns: Distribution = field(default_factory=Distribution)
    num_speakers: Distribution = field(default_factory=Distribution)
    num_unknown_speakers: int = 0
    scores: Distribution = field(default_factory=Distribution)
    subreddits: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
    shared_threads: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        """The dialogues of all splits."""
        return sum(self.num_dialogues.values())

    def add(self, batch: pa.RecordBatch) -> None:
        """Count some rows of _COLUMNS, all but their threads."""
        speakers = batch.column("speakers")
        num_turns, voices = lengths(speakers), np.asarray(speakers.flatten())
        self.num_turns.add(num_turns)
        # Voices are numbered as they begin to speak, and -1 is nobody.
        self.num_speakers.add(greatest(voices, num_turns, of_none=-1) + 1)
        self.num_unknown_speakers += int((voices < 0).sum())
        self.scores.add(np.asarray(batch.column("score")))
        self.subreddits.update(_value_counts(batch.column("subreddit")))
        self.months.update(_value_counts(batch.column("month")))


def overview_of(parts: Mapping[Split, Sequence[Path]]) -> Overview:
    """Read the columns of all files.

    Memory: 16 bytes for each thread of the test and validation splits, and what the different
    subreddits take.

    Args:
        parts: split -> its files.

    Raises:
        UserError: a file is damaged.
    """
    overview = Overview(num_dialogues=dict.fromkeys(parts, 0))
    held_out: dict[Split, NDArray[np.int64]] = {}
    for split in _HELD_OUT_FIRST:
        keys = [np.zeros(0, np.int64)]
        for path in parts.get(split, ()):
            for batch in read_columns(path, _COLUMNS):
                overview.num_dialogues[split] += batch.num_rows
                overview.add(batch)
                threads = pc.unique(batch.column("thread_id")).to_pylist()
                found = _keys(threads)
                for others in held_out.values():
                    shared = np.flatnonzero(np.isin(found, others))
                    overview.shared_threads.update(threads[row] for row in shared.tolist())
                if split != "train":
                    keys.append(found)
        if split != "train":
            held_out[split] = np.unique(np.concatenate(keys))
    return overview


def _keys(threads: Sequence[str]) -> NDArray[np.int64]:
    """64 bits for each thread; two of n are the same by chance with probability n**2 / 2**65."""
    return np.fromiter(map(hash, threads), np.int64, len(threads))


def _value_counts(column: pa.Array) -> dict[str, int]:
    return dict(_pairs(pc.value_counts(column)))


def _pairs(counts: pa.StructArray) -> Iterator[tuple[str, int]]:
    yield from zip(
        counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True
    )
