"""Paths of turns -> what the public code of DialoGPT says of them, and the lines that it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.filters import TOO_MANY_WORDS
from data_prep.reference.text import WEIGHT, TurnTokens
from data_prep.text_columns import BoolArray
from data_prep.threads import IntArray

MAX_TOKEN_LENGTH = 30
MAX_TOKENS = 200
SEPARATOR = " EOS "
"""Between two turns of a source."""

KEPT = 0
"""Code of an instance that nothing speaks against; code c > 0 stands for INSTANCE_DROPS[c - 1]."""

INSTANCE_DROPS = (
    "empty_response",
    "long_token",
    TOO_MANY_WORDS,
    "url",
    "bracket",
    "all_caps",
    "repeated_token",
)
"""Why an instance is dropped, in the order in which it is asked. The release's words for these are
emptytarget, longword, toolong, url, tags, allcaps and repetitions."""


@dataclass(frozen=True, slots=True)
class Instances:
    """The turns of m paths of at least two turns, one path after the other, oldest turn first.

    Attributes:
        tokens: t distinct turns.
        turns: (n,) which of them each turn of the paths is.
        offsets: (m + 1,) where each path begins in turns.
        with_weights: whether the weight before each turn is written and counted.
    """

    tokens: TurnTokens
    turns: IntArray
    offsets: IntArray
    with_weights: bool

    def take(self, rows: IntArray) -> Self:
        """Some instances, in the order given."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        turns = self.turns[np.arange(offsets[-1]) + shift]
        return type(self)(self.tokens, turns, offsets, self.with_weights)

    def drop_codes(self) -> NDArray[np.int8]:
        """(m,) KEPT, or the first reason in INSTANCE_DROPS that applies."""
        if len(self.offsets) == 1:
            return np.zeros(0, np.int8)
        tokens, num_weights = self.tokens, int(self.with_weights)
        responses = self.turns[self.offsets[1:] - 1]
        num_turns = np.diff(self.offsets)
        # Each turn may have a weight, and between two turns of the source stands a separator.
        num_tokens = self._sums(tokens.num_tokens) + num_turns * num_weights + num_turns - 2
        reasons: Mapping[str, BoolArray] = {
            "empty_response": tokens.num_tokens[responses] + num_weights <= 1,
            "long_token": tokens.longest_tokens[responses] > MAX_TOKEN_LENGTH,
            TOO_MANY_WORDS: num_tokens > MAX_TOKENS,
            "url": self._sums(tokens.has_url) > 0,
            "bracket": self._sums(tokens.has_bracket) > 0,
            "all_caps": self._sums(tokens.has_capitals) > 0,
            "repeated_token": tokens.repeats(with_weight=self.with_weights)[responses],
        }
        codes = np.arange(1, len(INSTANCE_DROPS) + 1, dtype=np.int8)
        applies = [reasons[name] for name in INSTANCE_DROPS]
        return np.select(applies, codes.tolist(), KEPT).astype(np.int8)

    def _sums(self, values: NDArray[np.generic]) -> IntArray:
        """(m,) the sum of values (t,) over the turns of each path."""
        sums: IntArray = np.add.reduceat(values[self.turns].astype(np.int64), self.offsets[:-1])
        return sums

    def texts(self) -> pa.Array:
        """The texts of all turns, n large strings."""
        return self.tokens.texts.take(pa.array(self.turns))

    def tsv_lines(self, heads: pa.Array | None) -> pa.Array:
        """The line of each instance, as m large strings that end with a line break.

        Args:
            heads: what stands before the source, with a tab between; None: nothing, nor a tab.
        """
        texts = self.texts()
        if self.with_weights:
            texts = pc.binary_join_element_wise(_scalar(f"{WEIGHT} "), texts, _scalar(""))
        is_response = np.zeros(len(self.turns), np.bool_)
        is_response[self.offsets[1:] - 1] = True
        offsets = self.offsets - np.arange(len(self.offsets))
        sources = pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()), texts.filter(pa.array(~is_response))
        )
        cells = [] if heads is None else [heads]
        cells += [pc.binary_join(sources, _scalar(SEPARATOR)), texts.filter(pa.array(is_response))]
        ends = [_scalar("\n"), _scalar("")]
        return pc.binary_join_element_wise(
            pc.binary_join_element_wise(*cells, _scalar("\t")), *ends
        )


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())
