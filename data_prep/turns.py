"""Bodies of comments -> turns, a column at a time.

`data_prep.normalize.turn_text` says what the turn of a body is. Nine bodies in ten hold no mark
that means anything, or only quotes, simple emphasis and escapes; those are cleaned by a compiled
loop, if there is one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep import native
from data_prep.config import TextConfig
from data_prep.normalize import TURN_DROPS, turn_text
from data_prep.text_columns import (
    BoolArray,
    as_text_array,
    replaced,
    text_array,
    text_buffers,
    text_sizes,
)

_STEP = 4096
"""Bodies between two reports of progress."""
_IS_PLAIN, _HAS_URL, _HAS_MARKUP, _IS_REMOVED = 1, 2, 4, 8  # as in native/turns.h

KEPT = 0
"""Drop code of a body that makes a turn; code c > 0 stands for TURN_DROPS[c - 1]."""
_CODES: dict[str | None, int] = {
    None: KEPT,
    **{reason: code for code, reason in enumerate(TURN_DROPS, start=1)},
}


@dataclass(frozen=True, slots=True)
class TurnColumn:
    """What n comments say: the fields of `TurnText`, as columns.

    Attributes:
        texts: n large strings.
        has_url: (n,) bool.
        has_markup: (n,) bool.
        drop_codes: (n,) int8, KEPT or why the comment cannot be a turn.
    """

    texts: pa.Array
    has_url: BoolArray
    has_markup: BoolArray
    drop_codes: NDArray[np.int8]

    def take(self, rows: NDArray[np.int64]) -> "TurnColumn":
        """Some rows, in the order given."""
        return TurnColumn(
            texts=self.texts.take(pa.array(rows)),
            has_url=self.has_url[rows],
            has_markup=self.has_markup[rows],
            drop_codes=self.drop_codes[rows],
        )


def turn_column(
    bodies: pa.Array | pa.ChunkedArray,
    config: TextConfig,
    report: Callable[[int], object] = lambda _: None,
) -> TurnColumn:
    """The turn of each body.

    Args:
        bodies: n strings as dumps hold them.
        config: how bodies become text.
        report: called with the number of bodies done since the last call.
    """
    bodies = as_text_array(bodies)
    if native.compiled is None:
        texts = bodies
        facts = np.zeros(len(bodies), np.uint8)
    else:
        only_text = config != TextConfig()  # the loop knows how quotes are dealt with by default
        cleaned, fact_bytes = native.compiled.turns_of_bodies(*text_buffers(bodies), only_text)
        texts = text_array(*cleaned)
        facts = np.frombuffer(fact_bytes, np.uint8).copy()
    is_plain = (facts & _IS_PLAIN) != 0
    report(int(is_plain.sum()))
    codes = np.where(is_plain & (text_sizes(texts) == 0), _CODES["empty"], KEPT).astype(np.int8)
    codes[(facts & _IS_REMOVED) != 0] = _CODES["removed"]
    others = np.flatnonzero(~is_plain)
    replacements: list[str] = []
    for start in range(0, len(others), _STEP):
        rows = others[start : start + _STEP]
        turns = [turn_text(body, config) for body in bodies.take(pa.array(rows)).to_pylist()]
        replacements += [turn.text for turn in turns]
        codes[rows] = [_CODES[turn.drop_reason] for turn in turns]
        facts[rows] = [turn.has_url * _HAS_URL + turn.has_markup * _HAS_MARKUP for turn in turns]
        report(len(rows))
    return TurnColumn(
        texts=replaced(texts, ~is_plain, replacements),
        has_url=(facts & _HAS_URL) != 0,
        has_markup=(facts & _HAS_MARKUP) != 0,
        drop_codes=codes,
    )
