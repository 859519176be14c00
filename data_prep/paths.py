"""Reply trees -> one dialogue for each path from the root to a leaf, as columns.

DialoGPT (arXiv:1911.00536, section 3): "we extract each path from the root node to the leaf node as
a training instance containing multiple turns of dialogue". The root is a comment: the submission
itself is not a turn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.comments import KeptComments
from data_prep.counts import month_name
from data_prep.dialogues import table_of_columns
from data_prep.ids import encode_ids
from data_prep.text_columns import BoolArray, text_sizes
from data_prep.threads import IntArray, ancestors, leaves, sum_to_root
from dialogpt.records import UNKNOWN_SPEAKER

_MAX_SPEAKERS = 128  # speakers are stored as int8
_SLICE_BYTES = 64 << 20
"""Text of the dialogues that are assembled at once."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of m leaves through a forest of n comments.

    Attributes:
        parents: (n,) as in `threads.Forest`.
        leaf_rows: (m,) the last comment of each path.
        num_turns: (m,) how many comments of the path count: all, or at most the last k, with the
            same k for all paths.
    """

    parents: IntArray
    leaf_rows: IntArray
    num_turns: IntArray

    def __len__(self) -> int:
        return len(self.leaf_rows)

    def take(self, rows: IntArray | BoolArray) -> Self:
        """Some paths, by number or by mask."""
        return type(self)(self.parents, self.leaf_rows[rows], self.num_turns[rows])

    def last(self, num_turns: int) -> Self:
        """The same paths, of each at most so many turns."""
        return type(self)(self.parents, self.leaf_rows, np.minimum(self.num_turns, num_turns))

    def sums(self, values: NDArray[np.generic]) -> IntArray:
        """The sum of values (n,) over the comments of each path."""
        to_root = np.append(sum_to_root(self.parents, values.astype(np.int64)), 0)
        # Going further up than a whole path is long ends at the top.
        longest = int(self.num_turns.max(initial=0))
        above = ancestors(self.parents, self.leaf_rows, longest)
        sums: IntArray = to_root[self.leaf_rows] - to_root[above]
        return sums

    def comment_rows(self) -> tuple[IntArray, IntArray]:
        """The rows of all paths, one path after the other, oldest comment first.

        Returns:
            rows: the comments.
            offsets: (m + 1,) where each path begins in rows.
        """
        offsets = np.concatenate([[0], np.cumsum(self.num_turns)])
        rows = np.empty(int(offsets[-1]), np.int64)
        places, current, left = offsets[1:] - 1, self.leaf_rows, self.num_turns
        while len(current):
            rows[places] = current
            goes_on = left > 1
            places, current = places[goes_on] - 1, self.parents[current[goes_on]]
            left = left[goes_on] - 1
        return rows, offsets


def root_to_leaf(parents: IntArray, *, max_turns: int) -> Paths:
    """The path to every leaf; of each the last max_turns comments, or all if that is 0."""
    leaf_rows = leaves(parents)
    num_turns = sum_to_root(parents, np.ones_like(parents))[leaf_rows]
    return Paths(parents, leaf_rows, np.minimum(num_turns, max_turns) if max_turns else num_turns)


def num_words(texts: pa.Array) -> IntArray:
    """Blank-separated words of each cleaned turn; none is empty."""
    return np.asarray(pc.count_substring(texts, " ")).astype(np.int64) + 1


def dialogue_tables(kept: KeptComments, paths: Paths) -> Iterator[pa.Table]:
    """The dialogues of some paths, in their order, as tables of DIALOGUE_SCHEMA.

    A table holds no more than some _SLICE_BYTES of text, so that any number of paths may be long.
    """
    sizes = paths.sums(text_sizes(kept.turns.texts) + 64)
    slice_numbers = np.cumsum(sizes) // _SLICE_BYTES
    for number in np.unique(slice_numbers).tolist():
        yield dialogue_table(kept, paths.take(slice_numbers == number))


def dialogue_table(kept: KeptComments, paths: Paths) -> pa.Table:
    """The dialogues of some paths as one table of DIALOGUE_SCHEMA."""
    rows, offsets = paths.comment_rows()
    texts = kept.turns.texts.take(pa.array(rows)).cast(pa.string())
    leaf_rows = paths.leaf_rows
    months = pa.array(kept.months[leaf_rows]).dictionary_encode()
    names = pa.array([month_name(n) for n in months.dictionary.to_pylist()], pa.string())
    return table_of_columns(
        {
            "turns": _lists(offsets, texts),
            "speakers": _lists(offsets, pa.array(speaker_numbers(kept.authors[rows], offsets))),
            "turn_ids": _lists(offsets, encode_ids(kept.ids[rows], "t1_")),
            "thread_id": encode_ids(kept.thread_ids[leaf_rows], "t3_"),
            "subreddit": kept.subreddits.take(pa.array(leaf_rows)).cast(pa.string()),
            "month": names.take(months.indices),
            "created_utc": pa.array(kept.created_utc[leaf_rows]),
            "score": pa.array(kept.scores[leaf_rows]).cast(pa.int32()),
        }
    )


def _lists(offsets: IntArray, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def speaker_numbers(authors: IntArray, offsets: IntArray) -> NDArray[np.int8]:
    """In each path 0 for whoever speaks first, 1 for the next new voice, and so on.

    Unknown authors, and voices beyond what int8 can number, are UNKNOWN_SPEAKER.

    Args:
        authors: (turns,) a number for each turn's author, negative where not known.
        offsets: (m + 1,) where each path begins.
    """
    speakers = np.full(len(authors), UNKNOWN_SPEAKER, np.int8)
    turns = np.flatnonzero(authors >= 0)
    paths = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[turns]
    # Voices: the turns of one author in one path, which the sort puts side by side.
    order = np.lexsort((turns, authors[turns], paths))
    turns, paths = turns[order], paths[order]
    is_first = np.ones(len(turns), np.bool_)
    is_first[1:] = (np.diff(paths) != 0) | (np.diff(authors[turns]) != 0)
    voices = np.cumsum(is_first) - 1
    first_turns, paths_of_voices = turns[is_first], paths[is_first]
    by_appearance = np.lexsort((first_turns, paths_of_voices))
    numbers = np.empty(len(by_appearance), np.int64)
    first_of_path = np.searchsorted(paths_of_voices[by_appearance], paths_of_voices)
    numbers[by_appearance] = np.arange(len(by_appearance))
    numbers -= first_of_path
    speakers[turns] = np.where(numbers < _MAX_SPEAKERS, numbers, UNKNOWN_SPEAKER)[voices]
    return speakers
