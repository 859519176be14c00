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

from dialogpt.config.shared import Direction
from dialogpt.data.chunks import Chunk
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _FittedColumns:
    """What `fit_turns` keeps of many dialogues of two turns or more. Shapes: R rows, K turns.

    Attributes:
        num_turns: (R,) int64, turns kept of each dialogue; at least two.
        response_is_cut: (R,) bool.
        starts: (K,) int64, the first token kept of each turn, by its place in the column of tokens.
        lengths: (K,) int64, tokens kept of each turn.
        turns: (K,) int64, the number of each turn in the columns of turns.
        shares: (K,) float64, how much of each turn is kept; 1 for an empty one.
    """

    num_turns: NDArray[np.int64]
    response_is_cut: NDArray[np.bool_]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    turns: NDArray[np.int64]
    shares: NDArray[np.float64]


def make_rows(
    dialogues: Chunk, eos_id: int, *, direction: Direction, max_seq_len: int
) -> list[Features | None]:
    """What `make_features` returns for each dialogue, made for all of them at once.

    A micro-batch has hundreds of dialogues, and numpy takes as long for one as for all: this is
    many times as fast. The rows are views of two arrays.
    """
    fitted = _fit(dialogues, max_seq_len)
    rows: list[Features | None] = [None] * len(dialogues)
    if not len(fitted.num_turns):
        return rows
    ends = np.cumsum(fitted.num_turns)  # of each row, in turns
    firsts = ends - fitted.num_turns
    order = np.arange(len(fitted.turns))
    if direction == "backward":
        order = np.repeat(firsts + ends - 1, fitted.num_turns) - order
    lengths = fitted.lengths[order]
    turn_ends = np.cumsum(lengths + 1)
    input_ids = np.full(turn_ends[-1], eos_id, np.int64)
    is_text = np.ones(len(input_ids), bool)
    is_text[turn_ends - 1] = False
    before = np.cumsum(lengths) - lengths  # tokens of the turns before, ends apart
    places = np.repeat(fitted.starts[order] - before, lengths)
    places += np.arange(len(places))
    input_ids[is_text] = dialogues.tokens[places]

    is_given = np.zeros(len(order), bool)
    is_given[firsts] = True
    labels = input_ids.copy()
    labels[np.repeat(is_given, lengths + 1)] = IGNORE_INDEX
    row_ends = turn_ends[ends - 1]
    if direction == "forward":
        labels[row_ends[fitted.response_is_cut] - 1] = IGNORE_INDEX
    shares = np.where(is_given, 0.0, fitted.shares[order])
    turns = fitted.turns[order]
    num_words = np.add.reduceat(shares * dialogues.num_words[turns], firsts).tolist()
    num_chars = np.add.reduceat(shares * dialogues.num_chars[turns], firsts).tolist()

    start = 0
    numbers = np.flatnonzero(dialogues.num_turns >= 2).tolist()
    for number, end, words, chars in zip(
        numbers, row_ends.tolist(), num_words, num_chars, strict=True
    ):
        rows[number] = Features(
            input_ids=input_ids[start:end],
            labels=labels[start:end],
            num_target_words=words,
            num_target_chars=chars,
        )
        start = end
    return rows


def _fit(dialogues: Chunk, max_seq_len: int) -> _FittedColumns:
    """`fit_turns` of each dialogue of two turns or more."""
    lengths, starts = _turns(dialogues)
    num_turns = dialogues.num_turns.astype(np.int64)
    ends = np.cumsum(num_turns)
    sizes_before = np.concatenate([[0], np.cumsum(lengths + 1)])
    # Of each turn with all that follow it in its dialogue: tokens with ends, and turns.
    tokens_left = np.repeat(sizes_before[ends], num_turns) - sizes_before[:-1]
    turns_left = np.repeat(ends, num_turns) - np.arange(len(lengths))
    is_kept = (tokens_left <= max_seq_len) | (turns_left <= 2)
    is_kept &= np.repeat(num_turns >= 2, num_turns)

    is_row = num_turns >= 2
    turns = np.flatnonzero(is_kept)
    num_kept = np.add.reduceat(is_kept, (ends - num_turns)[is_row], dtype=np.int64)
    row_ends = np.cumsum(num_kept)
    firsts = row_ends - num_kept
    whole = lengths[turns]
    too_many = np.maximum(tokens_left[turns[firsts]] - max_seq_len, 0)
    cut_head = np.minimum(too_many, np.maximum(whole[firsts] - 1, 0))
    cut_tail = too_many - cut_head
    kept = whole.copy()
    kept[firsts] -= cut_head
    kept[row_ends - 1] -= cut_tail
    first_tokens = starts[turns]
    first_tokens[firsts] += cut_head
    return _FittedColumns(
        num_turns=num_kept,
        response_is_cut=cut_tail > 0,
        starts=first_tokens,
        lengths=kept,
        turns=turns,
        shares=np.divide(kept, whole, out=np.ones(len(kept)), where=whole > 0),
    )


def _turns(dialogues: Chunk) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(U,) tokens of each turn, and (U,) the place of its first one in the column of tokens."""
    lengths = dialogues.segment_lengths.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    num_knowledge = dialogues.num_knowledge
    if not num_knowledge.any():
        return lengths, starts
    kinds = np.stack([num_knowledge, dialogues.num_turns], axis=1).ravel()
    is_turn = np.repeat(np.tile([False, True], len(dialogues)), kinds)
    return lengths[is_turn], starts[is_turn]
