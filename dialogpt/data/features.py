"""One dialogue -> the row that a decoder-only model trains on.

Worked example, with end-of-turn id 0 and turns A = [5, 6], B = [7], C = [8, 9]:

    direction   input_ids            labels (-100 where no loss is wanted; not shifted)
    forward     5 6 0 7 0 8 9 0      -100 -100 -100 7 0 8 9 0
    backward    8 9 0 7 0 5 6 0      -100 -100 -100 7 0 5 6 0

Forward learns each turn from those before it: every turn but the first is a target, as in DialoGPT.
Backward learns P(source | response): the list of turns is reversed, not their tokens; the response,
now first, is given and all source turns are targets. So every dialogue of two turns or more makes
exactly one row in either direction. (In the reference, backward rows inherit per-turn weights that
are reversed along, and most two-turn dialogues vanish: microsoft/DialoGPT#41.)

Turns end with the end-of-turn id and nothing else: no token types, as the reference trains.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.config import Direction
from dialogpt.records import IGNORE_INDEX, EncodedDialogue


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """One row. Shape: T tokens.

    Attributes:
        input_ids: (T,) int64.
        labels: (T,) int64, in step with input_ids, not shifted; IGNORE_INDEX where no loss is
            wanted.
        num_target_words, num_target_chars: of the text of the target turns, for losses per word
            and character; a turn of which a part is cut counts in proportion to its tokens.
    """

    input_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    num_target_words: float
    num_target_chars: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedTurns:
    """The turns of a dialogue that fit a row, oldest first.

    Attributes:
        turns: token ids a turn; their end-of-turn tokens fit too.
        first: position in the dialogue of the first turn kept.
        response_is_cut: the response lost its tail, so that its end is not where it ends.
    """

    turns: list[NDArray[Any]]
    first: int
    response_is_cut: bool


def fit_turns(turns: tuple[NDArray[Any], ...], max_seq_len: int) -> FittedTurns:
    """Shorten a dialogue of two turns or more to max_seq_len tokens, end-of-turn tokens included.

    What the response needs least goes first: the oldest turns, whole, while more than two remain;
    then the head of the oldest one left; at last the tail of the response. The first turn kept
    keeps its last token, so that there is always a source.

    Args:
        turns: token ids a turn, oldest first.
        max_seq_len: at least 4.
    """
    first = 0
    length = sum(map(len, turns)) + len(turns)
    while length > max_seq_len and len(turns) - first > 2:
        length -= len(turns[first]) + 1
        first += 1
    kept = list(turns[first:])
    if length > max_seq_len:
        room = max(1, len(kept[0]) - (length - max_seq_len))
        length -= max(0, len(kept[0]) - room)
        kept[0] = kept[0][-room:]
    response_is_cut = length > max_seq_len
    if response_is_cut:
        kept[-1] = kept[-1][: len(kept[-1]) - (length - max_seq_len)]
    return FittedTurns(turns=kept, first=first, response_is_cut=response_is_cut)


def make_features(
    dialogue: EncodedDialogue, eos_id: int, *, direction: Direction, max_seq_len: int
) -> Features | None:
    """The row of a dialogue; None for a single turn, which has nothing to learn from.

    Knowledge sentences are left out: GPT-2's row has no place for them.

    Args:
        dialogue: turns as token ids.
        eos_id: ends every turn.
        direction: which side is given and which is learned; see the module's docstring.
        max_seq_len: longest row, in tokens.
    """
    if len(dialogue.turns) < 2:
        return None
    fitted = fit_turns(dialogue.turns, max_seq_len)
    forward = direction == "forward"
    ordered = fitted.turns if forward else fitted.turns[::-1]
    eos = np.array([eos_id], dtype=np.int64)
    input_ids = np.concatenate([piece for turn in ordered for piece in (turn, eos)]).astype(
        np.int64
    )
    labels = input_ids.copy()
    labels[: len(ordered[0]) + 1] = IGNORE_INDEX
    if forward and fitted.response_is_cut:
        # The writer did not stop here; a model that learned so would stop at the row's end.
        labels[-1] = IGNORE_INDEX

    kept = np.array([len(turn) for turn in fitted.turns], dtype=np.float64)
    whole = np.array([len(turn) for turn in dialogue.turns[fitted.first :]], dtype=np.float64)
    share = np.divide(kept, whole, out=np.ones_like(kept), where=whole > 0)
    share[0 if forward else -1] = 0.0  # what is given is no target
    return Features(
        input_ids=input_ids,
        labels=labels,
        num_target_words=float(share @ dialogue.num_words[fitted.first :]),
        num_target_chars=float(share @ dialogue.num_chars[fitted.first :]),
    )
