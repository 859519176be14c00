"""Utterances -> the columns of a row: token, position, role and turn of each place.

A row is [latent] context knowledge [BOU] response [EOU]. The places of its two passes are the same:
the latent's place holds z when a response is generated, and [M] when a latent is recognised
(arXiv:1910.07931, section 2.2 and figure 2; the ids are those of its release).

    of            position             turn                      role
    the latent    none                 none                      none
    an utterance  0, 1, .. inside it   d, utterances to the      0 for who will reply, 1 for others
                                       response, 1 for the last
    knowledge     0, 1, .. inside a    number of the sentence    2
                  sentence
    the response  [BOU] 0, then 1, ..  0                         0

Columns are (4, T) int64: tokens, positions, roles, turns. What the latent's place holds in them is
never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.config.plato import SequenceConfig
from dialogpt.records import UNKNOWN_SPEAKER

Columns = NDArray[np.int64]

REPLIER, OTHER, KNOWLEDGE = 0, 1, 2
NUM_ROLES = 3
KNOWLEDGE_TURN = 16
"""Of all sentences, with `own_knowledge_turns`."""
NUM_TURNS = 17
"""Rows of the table of turns: the response's, those of 15 utterances, one more for knowledge."""
LATENT_PLACE: Columns = np.zeros((4, 1), np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What is answered.

    Attributes:
        turns: token ids of each utterance, oldest first.
        speakers: who said each; UNKNOWN_SPEAKER where nobody knows.
        replier: who answers, by the same numbers; UNKNOWN_SPEAKER where nobody knows.
        knowledge: token ids of each sentence that the answer may draw on.
    """

    turns: Sequence[NDArray[Any]]
    speakers: Sequence[int]
    replier: int
    knowledge: Sequence[NDArray[Any]] = ()


def context_columns(context: Context, config: SequenceConfig, *, eou_id: int) -> Columns:
    """(4, C): the context and behind it the knowledge, each cut to its last tokens.

    Args:
        context: at least one utterance.
        config: the limits.
        eou_id: ends every utterance and sentence.
    """
    turns = context.turns[-config.max_turns :]
    roles = _roles(context, config)[-config.max_turns :]
    pieces = []
    for place, (turn, role) in enumerate(zip(turns, roles, strict=True)):
        kept = turn[-config.max_turn_tokens :]
        pieces.append(_utterance(kept, eou_id, role=role, turn=len(turns) - place))
    said = _last(pieces, config.max_context_tokens, whole=config.whole_turns)
    if not context.knowledge or not config.max_knowledge_sentences:
        return said
    # As the release numbers them: from 0 for the first sentence that is kept.
    pieces = [
        _utterance(
            sentence[: config.max_knowledge_tokens],
            eou_id,
            role=KNOWLEDGE,
            turn=KNOWLEDGE_TURN if config.own_knowledge_turns else place,
        )
        for place, sentence in enumerate(context.knowledge[-config.max_knowledge_sentences :])
    ]
    known = _last(pieces, config.max_context_tokens, whole=config.whole_turns)
    return np.concatenate([said, known], axis=1)


def response_columns(
    response: NDArray[Any], *, bou_id: int, eou_id: int, max_tokens: int = 0
) -> Columns:
    """(4, R): [BOU], the response and [EOU], cut to max_tokens and two; 0 cuts nothing.

    A response that is cut has no [EOU]: its writer did not stop there.
    """
    columns = np.zeros((4, len(response) + 2), np.int64)
    columns[0, 0], columns[0, 1:-1], columns[0, -1] = bou_id, response, eou_id
    columns[1] = np.arange(len(response) + 2)
    return columns[:, : max_tokens + 2] if max_tokens else columns


def _utterance(tokens: NDArray[Any], eou_id: int, *, role: int, turn: int) -> Columns:
    columns = np.empty((4, len(tokens) + 1), np.int64)
    columns[0, :-1], columns[0, -1] = tokens, eou_id
    columns[1] = np.arange(len(tokens) + 1)
    columns[2], columns[3] = role, turn
    return columns


def _last(pieces: list[Columns], limit: int, *, whole: bool) -> Columns:
    """The last `limit` columns; with `whole`, without the rest of a piece that is cut."""
    if whole:
        length = sum(piece.shape[1] for piece in pieces)
        while length > limit and len(pieces) > 1:
            length -= pieces.pop(0).shape[1]
    return np.concatenate(pieces, axis=1)[:, -limit:]


def _roles(context: Context, config: SequenceConfig) -> list[int]:
    """REPLIER or OTHER of each utterance: by speakers where they are known, else by turns."""
    num_turns = len(context.turns)
    by_turns = [REPLIER if (num_turns - i) % 2 == 0 else OTHER for i in range(num_turns)]
    if config.roles == "parity" or context.replier == UNKNOWN_SPEAKER:
        return by_turns
    return [
        by_turns[i] if speaker == UNKNOWN_SPEAKER else _role_of(int(speaker), context.replier)
        for i, speaker in enumerate(context.speakers)
    ]


def _role_of(speaker: int, replier: int) -> int:
    return REPLIER if speaker == replier else OTHER
