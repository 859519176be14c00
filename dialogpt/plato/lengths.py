"""How long the rows of a split's examples are, without making them, and what limits cut off."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.config.plato import SequenceConfig
from dialogpt.data.chunks import Chunk
from dialogpt.data.dataset import ShardDataset

logger = logging.getLogger(__name__)

_MANY_DIALOGUES = 2_000_000
_ALONE = 2
"""Length of a dialogue of a single utterance, which has no response; others have 3 at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cuts:
    """Of how many responses something was left out, by `SequenceConfig`.

    Attributes:
        turns: oldest utterances left out, of all contexts together.
        contexts: contexts of which an utterance lost tokens, or was too old.
        knowledge: of which sentences were left out or lost tokens.
        responses: that lost their end.
    """

    turns: int
    contexts: int
    knowledge: int
    responses: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The responses of some dialogues, D, in order; R responses.

    Attributes:
        counts: (D,) int64 responses of each dialogue.
        lengths: (R,) int32 places of each one's row at most, the latent's apart.
        cuts: (R, 4) int64 what is left out, in the order of `Cuts`.
    """

    counts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    cuts: NDArray[np.int64]

    def all(self) -> Cuts:
        """What is left out of all responses."""
        return _cuts(self.cuts)


def _cuts(rows: NDArray[np.int64]) -> Cuts:
    turns, contexts, knowledge, responses = rows.sum(axis=0).tolist()
    return Cuts(turns=turns, contexts=contexts, knowledge=knowledge, responses=responses)


def last_lengths(
    dialogues: ShardDataset, limits: SequenceConfig
) -> tuple[NDArray[np.int32], Cuts | None]:
    """(dialogues,) places of the row of each dialogue's last response, the latent's apart; cuts.

    Exact, unless there are very many dialogues: then the most that there may be, by the index, and
    no cuts. A dialogue of a single utterance, which is left out, has 2.
    """
    if len(dialogues) > _MANY_DIALOGUES:
        return _longest(dialogues, limits), None
    found = measure(dialogues, limits)
    has_response = found.counts > 0
    lasts = np.cumsum(found.counts)[has_response] - 1
    lengths = np.full(len(dialogues), _ALONE, np.int32)
    lengths[has_response] = found.lengths[lasts]
    return lengths, _cuts(found.cuts[lasts])


def have_responses(lengths: NDArray[np.int32]) -> bool:
    """Whether any of the dialogues that `last_lengths` measured has a response."""
    return bool((lengths > _ALONE).any())


def _longest(dialogues: ShardDataset, limits: SequenceConfig) -> NDArray[np.int32]:
    lengths = []
    for sizes in dialogues.sizes():
        most = limits.max_context_tokens + limits.max_response_tokens + 2
        said = np.minimum(sizes[:, 0].astype(np.int64) + 1, most)
        known = np.minimum(2 * sizes[:, 1].astype(np.int64), limits.max_context_tokens)
        lengths.append((said + known).astype(np.int32))
    return np.concatenate(lengths)[: len(dialogues)]


def measure(dialogues: ShardDataset, limits: SequenceConfig) -> Measured:
    """The responses of all dialogues, by a look at all shards."""
    if len(dialogues) > _MANY_DIALOGUES:
        logger.info("Measuring the responses of %s dialogues", f"{len(dialogues):,}")
    found = [
        measure_chunk(dialogues.chunk(number), limits) for number in range(dialogues.num_chunks())
    ]
    # The last chunk may go on behind the last dialogue.
    counts = np.concatenate([one.counts for one in found])[: len(dialogues)]
    num_responses = int(counts.sum())
    return Measured(
        counts=counts,
        lengths=np.concatenate([one.lengths for one in found])[:num_responses],
        cuts=np.concatenate([one.cuts for one in found])[:num_responses],
    )


def measure_chunk(chunk: Chunk, limits: SequenceConfig) -> Measured:
    """The responses of a chunk's dialogues. With `whole_turns` rows may be shorter."""
    num_turns = chunk.num_turns.astype(np.int64)
    num_knowledge = chunk.num_knowledge.astype(np.int64)
    kinds = np.stack([num_knowledge, num_turns], axis=1)
    is_turn = np.repeat(np.tile([False, True], len(chunk)), kinds.ravel())
    lengths = chunk.segment_lengths.astype(np.int64)
    known, known_cut = _knowledge_lengths(lengths[~is_turn], num_knowledge, limits)
    turns = lengths[is_turn]
    kept = np.minimum(turns, limits.max_turn_tokens)
    before = _sums_before(kept + 1)
    shortened = _sums_before(turns > kept)
    firsts = np.repeat(np.cumsum(num_turns) - num_turns, num_turns)
    place = np.arange(len(turns))
    chosen = place > firsts
    place, first = place[chosen], firsts[chosen]
    oldest = np.maximum(first, place - limits.max_turns)
    said = before[place] - before[oldest]
    context = np.minimum(said, limits.max_context_tokens)
    response = np.minimum(turns[place], limits.max_response_tokens) + 2
    owner = np.repeat(np.arange(len(chunk)), num_turns)[chosen]
    is_cut = (oldest > first) | (said > context) | (shortened[place] > shortened[oldest])
    cuts = [oldest - first, is_cut, known_cut[owner], turns[place] > limits.max_response_tokens]
    return Measured(
        counts=np.bincount(owner, minlength=len(chunk)).astype(np.int64),
        lengths=(context + response + known[owner]).astype(np.int32),
        cuts=np.stack(cuts, axis=1).astype(np.int64),
    )


def _sums_before(values: NDArray[Any]) -> NDArray[np.int64]:
    """(N + 1,) the sum of all values before each place, and of all."""
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])


def _knowledge_lengths(
    lengths: NDArray[np.int64], counts: NDArray[np.int64], limits: SequenceConfig
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(D,) places that each dialogue's knowledge takes, and whether something is left out."""
    kept = np.minimum(lengths, limits.max_knowledge_tokens)
    ends = np.cumsum(counts)
    before, whole = _sums_before(kept + 1), _sums_before(lengths + 1)
    firsts = np.maximum(ends - counts, ends - limits.max_knowledge_sentences)
    taken = np.minimum(before[ends] - before[firsts], limits.max_context_tokens)
    return taken, taken < whole[ends] - whole[ends - counts]
