"""How long the rows of a split's examples are, without making them."""

import logging

import numpy as np
from numpy.typing import NDArray

from dialogpt.config.plato import SequenceConfig
from dialogpt.data.chunks import Chunk
from dialogpt.data.dataset import ShardDataset

logger = logging.getLogger(__name__)

_MANY_DIALOGUES = 2_000_000


def last_lengths(dialogues: ShardDataset, limits: SequenceConfig) -> NDArray[np.int32]:
    """(dialogues,) places of the row of each dialogue's last response, without the latent's.

    Exact, unless there are very many dialogues: then the most that there may be, by the index.
    A dialogue of a single utterance, which is left out, has 2.
    """
    if len(dialogues) > _MANY_DIALOGUES:
        return _longest(dialogues, limits)
    counts, lengths = measure(dialogues, limits)
    found = np.full(len(dialogues), 2, np.int32)
    found[counts > 0] = lengths[np.cumsum(counts)[counts > 0] - 1]
    return found


def _longest(dialogues: ShardDataset, limits: SequenceConfig) -> NDArray[np.int32]:
    lengths = []
    for sizes in dialogues.sizes():
        most = limits.max_context_tokens + limits.max_response_tokens + 2
        said = np.minimum(sizes[:, 0].astype(np.int64) + 1, most)
        known = np.minimum(2 * sizes[:, 1].astype(np.int64), limits.max_context_tokens)
        lengths.append((said + known).astype(np.int32))
    return np.concatenate(lengths)[: len(dialogues)]


def measure(
    dialogues: ShardDataset, limits: SequenceConfig
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Responses of each dialogue, and the places of each one's row, by a look at all shards."""
    if len(dialogues) > _MANY_DIALOGUES:
        logger.info("Measuring the responses of %s dialogues", f"{len(dialogues):,}")
    counts, lengths = [], []
    for number in range(dialogues.num_chunks()):
        found = measure_chunk(dialogues.chunk(number), limits)
        counts.append(found[0])
        lengths.append(found[1])
    count = np.concatenate(counts)[: len(dialogues)]
    return count, np.concatenate(lengths)[: int(count.sum())]


def measure_chunk(
    chunk: Chunk, limits: SequenceConfig
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(D,) responses of each dialogue, and (responses,) places of each one's row at most.

    Without the latent's place. With `whole_turns` rows may be shorter.

    Args:
        chunk: D dialogues.
        limits: of rows.
    """
    num_turns = chunk.num_turns.astype(np.int64)
    num_knowledge = chunk.num_knowledge.astype(np.int64)
    kinds = np.stack([num_knowledge, num_turns], axis=1)
    is_turn = np.repeat(np.tile([False, True], len(chunk)), kinds.ravel())
    lengths = chunk.segment_lengths.astype(np.int64)
    known = _knowledge_lengths(lengths[~is_turn], num_knowledge, limits)
    turns = lengths[is_turn]
    kept = np.minimum(turns, limits.max_turn_tokens) if limits.max_turn_tokens else turns
    before = np.concatenate([[0], np.cumsum(kept + 1)])  # of all turns that come before
    firsts = np.repeat(np.cumsum(num_turns) - num_turns, num_turns)
    place = np.arange(len(turns))
    chosen = place > firsts
    place, first = place[chosen], firsts[chosen]
    oldest = np.maximum(first, place - limits.max_turns)
    context = np.minimum(before[place] - before[oldest], limits.max_context_tokens)
    response = np.minimum(turns[place], limits.max_response_tokens) + 2
    owner = np.repeat(np.arange(len(chunk)), num_turns)[chosen]
    return (
        np.bincount(owner, minlength=len(chunk)).astype(np.int64),
        (context + response + known[owner]).astype(np.int32),
    )


def _knowledge_lengths(
    lengths: NDArray[np.int64], counts: NDArray[np.int64], limits: SequenceConfig
) -> NDArray[np.int64]:
    """(D,) places that each dialogue's knowledge takes."""
    longest = limits.max_knowledge_tokens or int(lengths.max(initial=0))
    kept = np.minimum(lengths, longest) + 1
    ends = np.cumsum(counts)
    before = np.concatenate([[0], np.cumsum(kept)])
    firsts = np.maximum(ends - counts, ends - limits.max_knowledge_sentences)
    taken = before[ends] - before[firsts]
    lengths_kept: NDArray[np.int64] = np.minimum(taken, limits.max_context_tokens)
    return lengths_kept
