"""What is compared of candidates when duplicates are looked for."""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.candidates import read_candidates
from data_prep.config import DuplicatesConfig
from data_prep.shingles import (
    IntArray,
    ShingleSets,
    compared_words,
    flattened,
    num_words,
    shingle_sets,
)


class Compared:
    """What is compared of some candidates.

    Attributes:
        is_long: (n,) bool, whether there are enough words to compare.
    """

    def __init__(self, candidates: pa.Table, config: DuplicatesConfig) -> None:
        """Read the words.

        Args:
            candidates: n rows of CANDIDATE_SCHEMA.
            config: what is compared.
        """
        turns, self._bounds = flattened(candidates.column("turns"))
        if config.of == "response":
            turns = turns.take(pa.array(self._bounds[1:] - 1))
            self._bounds = np.arange(len(turns) + 1)
        self._of = config.of
        self._shingle_words = config.shingle_words
        self._words = compared_words(turns)
        words_before = np.concatenate([[0], np.cumsum(num_words(self._words))])
        self.is_long: NDArray[np.bool_] = np.diff(words_before[self._bounds]) >= config.min_words

    def digests(self) -> pa.Array:
        """Binaries of 16 bytes, n of them: the same for the same sequence of turns."""
        turns = pa.ListArray.from_arrays(
            pa.array(self._bounds, pa.int32()), self._words.cast(pa.string())
        )
        texts = pc.binary_join(turns, "\n").to_pylist()  # no turn has a line break in it
        return pa.array(
            [blake2b(text.encode(), digest_size=16).digest() for text in texts], pa.binary(16)
        )

    def sets(self) -> tuple[ShingleSets, ...]:
        """The sets by which they are compared: of the dialogues and of the responses, or of these.

        No shingle goes from one turn to the next.
        """
        of_turns = shingle_sets(self._words, self._shingle_words)
        if self._of == "response":
            return (of_turns,)
        first, stop = self._bounds[:-1], self._bounds[1:]
        return of_turns.unions(first, stop), of_turns.take(stop - 1)


def candidates_in(path: Path, rows: IntArray) -> Iterator[pa.Table]:
    """Some rows of a file of candidates, some at a time.

    Args:
        path: the file.
        rows: ascending.
    """
    first_row = 0
    for candidates in read_candidates(path):
        start, end = np.searchsorted(rows, [first_row, first_row + candidates.num_rows])
        if end > start:
            yield candidates.take(pa.array(rows[start:end] - first_row))
        first_row += candidates.num_rows
