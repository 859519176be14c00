"""A chunk of a shard: some dialogues in columns, and the bytes they are stored as.

A header of four little-endian uint32 (dialogues, turns, knowledge sentences, tokens) and then the
arrays of `Chunk`, each in one piece: columns compress better than records, and are read without a
Python object a turn. Nothing is pickled. docs/shards.md has the byte layout.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.records import EncodedDialogue

_HEADER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some dialogues in columns; `dialogue(i)` is a view without copies.

    Shapes: D dialogues, S segments (for each dialogue its knowledge sentences, then its turns),
    U turns, N tokens.
    """

    thread_keys: NDArray[np.uint64]
    """(D,)"""
    num_turns: NDArray[np.uint32]
    """(D,)"""
    num_knowledge: NDArray[np.uint32]
    """(D,)"""
    segment_lengths: NDArray[np.uint32]
    """(S,) tokens"""
    turn_keys: NDArray[np.uint64]
    """(U,)"""
    num_words: NDArray[np.uint32]
    """(U,)"""
    num_chars: NDArray[np.uint32]
    """(U,)"""
    speakers: NDArray[np.int8]
    """(U,)"""
    tokens: NDArray[Any]
    """(N,) uint16 or uint32"""

    def __len__(self) -> int:
        return len(self.num_turns)

    def dialogues(self) -> Iterator[EncodedDialogue]:
        """All dialogues of the chunk, in order."""
        token_ends = [0, *accumulate(self.segment_lengths.tolist())]
        segment = turn = 0
        counts = zip(self.num_knowledge.tolist(), self.num_turns.tolist(), strict=True)
        for index, (num_knowledge, num_turns) in enumerate(counts):
            pieces = tuple(
                self.tokens[token_ends[s] : token_ends[s + 1]]
                for s in range(segment, segment + num_knowledge + num_turns)
            )
            turns = slice(turn, turn + num_turns)
            yield EncodedDialogue(
                turns=pieces[num_knowledge:],
                speakers=self.speakers[turns],
                num_words=self.num_words[turns],
                num_chars=self.num_chars[turns],
                turn_keys=self.turn_keys[turns],
                thread_key=int(self.thread_keys[index]),
                knowledge=pieces[:num_knowledge],
            )
            segment += num_knowledge + num_turns
            turn += num_turns


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest of uint16 and uint32 that holds every id."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


def pack_chunk(dialogues: Sequence[EncodedDialogue], vocab_size: int) -> bytes:
    """The bytes of a chunk.

    Args:
        dialogues: at least one.
        vocab_size: decides the width of an id.

    Raises:
        ValueError: a token id is outside [0, vocab_size).
    """
    dtype = token_dtype(vocab_size)
    segments = [piece for d in dialogues for piece in (*d.knowledge, *d.turns)]
    tokens = np.concatenate(segments)
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
        raise ValueError(
            f"token ids must lie in [0, {vocab_size}), found {tokens.min()} to {tokens.max()}"
        )
    columns: list[tuple[Any, Any]] = [
        ([d.thread_key for d in dialogues], "<u8"),
        ([len(d.turns) for d in dialogues], "<u4"),
        ([len(d.knowledge) for d in dialogues], "<u4"),
        ([len(piece) for piece in segments], "<u4"),
        (np.concatenate([d.turn_keys for d in dialogues]), "<u8"),
        (np.concatenate([d.num_words for d in dialogues]), "<u4"),
        (np.concatenate([d.num_chars for d in dialogues]), "<u4"),
        (np.concatenate([d.speakers for d in dialogues]), "i1"),
        (tokens.astype(dtype), dtype),
    ]
    arrays = [np.asarray(values, dtype=kind) for values, kind in columns]
    num_turns, num_knowledge = int(arrays[1].sum()), int(arrays[2].sum())
    header = np.array([len(dialogues), num_turns, num_knowledge, len(arrays[-1])], dtype="<u4")
    return header.tobytes() + b"".join(array.tobytes() for array in arrays)


def unpack_chunk(payload: bytes, vocab_size: int) -> Chunk:
    """What `pack_chunk` packed for the same vocab_size; the arrays are views of the payload."""
    header = np.frombuffer(payload, dtype="<u4", count=4)
    num_dialogues, num_turns, num_knowledge, num_tokens = map(int, header)
    layout: list[tuple[Any, int]] = [
        ("<u8", num_dialogues),
        ("<u4", num_dialogues),
        ("<u4", num_dialogues),
        ("<u4", num_turns + num_knowledge),
        ("<u8", num_turns),
        ("<u4", num_turns),
        ("<u4", num_turns),
        ("i1", num_turns),
        (token_dtype(vocab_size), num_tokens),
    ]
    arrays = []
    offset = _HEADER_BYTES
    for kind, count in layout:
        arrays.append(np.frombuffer(payload, dtype=kind, count=count, offset=offset))
        offset += count * np.dtype(kind).itemsize
    assert offset == len(payload)
    return Chunk(*arrays)
