"""A chunk of a shard: some dialogues in columns, and the bytes they are stored as.

A header of four little-endian uint32 (dialogues, turns, knowledge sentences, tokens) and then the
arrays of `Chunk`, each in one piece: columns compress better than records, and are read without a
Python object a turn. Nothing is pickled. docs/shards.md has the byte layout.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.records import EncodedDialogue

_HEADER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some dialogues in columns: those of a chunk, or those of a micro-batch.

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

    def starts(self) -> NDArray[np.int64]:
        """Where segments, turns and tokens of each dialogue begin, then where the last ones end.

        (D + 1, 3) int64.
        """
        starts = np.zeros((len(self) + 1, 3), np.int64)
        np.cumsum(self.num_knowledge + self.num_turns, out=starts[1:, 0])
        np.cumsum(self.num_turns, out=starts[1:, 1])
        token_starts = np.zeros(len(self.segment_lengths) + 1, np.int64)
        np.cumsum(self.segment_lengths, out=token_starts[1:])
        starts[:, 2] = token_starts[starts[:, 0]]
        return starts

    def dialogues(self) -> Iterator[EncodedDialogue]:
        """All dialogues, in order, as views without copies."""
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


_EMPTY = Chunk(
    *(np.zeros(0, kind) for kind in ("<u8", "<u4", "<u4", "<u4", "<u8", "<u4", "<u4", "i1", "<u2"))
)


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest of uint16 and uint32 that holds every id."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


def in_columns(dialogues: Sequence[EncodedDialogue]) -> Chunk:
    """The dialogues in columns; token ids keep their type."""
    if not dialogues:
        return _EMPTY
    segments = [piece for d in dialogues for piece in (*d.knowledge, *d.turns)]
    return Chunk(
        thread_keys=np.array([d.thread_key for d in dialogues], "<u8"),
        num_turns=np.array([len(d.turns) for d in dialogues], "<u4"),
        num_knowledge=np.array([len(d.knowledge) for d in dialogues], "<u4"),
        segment_lengths=np.array([len(piece) for piece in segments], "<u4"),
        turn_keys=np.concatenate([d.turn_keys for d in dialogues]).astype("<u8"),
        num_words=np.concatenate([d.num_words for d in dialogues]).astype("<u4"),
        num_chars=np.concatenate([d.num_chars for d in dialogues]).astype("<u4"),
        speakers=np.concatenate([d.speakers for d in dialogues]).astype("i1"),
        tokens=np.concatenate(segments),
    )


def gather(sources: Sequence[tuple[Chunk, list[list[int]], int]]) -> Chunk:
    """Dialogues of several chunks as one, in the order given; all ids are of one type.

    Without an object a dialogue, and one copy a column: this is what a worker process of training
    spends its time on.

    Args:
        sources: for each dialogue its chunk, what `Chunk.starts` says of that as a list, and the
            dialogue's number in it.
    """
    if not sources:
        return _EMPTY
    heads, segments, turns, tokens = [], [], [], []
    for chunk, starts, place in sources:
        first_segment, first_turn, first_token = starts[place]
        end_segment, end_turn, end_token = starts[place + 1]
        heads.append((chunk, place))
        segments.append(chunk.segment_lengths[first_segment:end_segment])
        turns.append((chunk, slice(first_turn, end_turn)))
        tokens.append(chunk.tokens[first_token:end_token])
    return Chunk(
        thread_keys=np.array([chunk.thread_keys[place] for chunk, place in heads]),
        num_turns=np.array([chunk.num_turns[place] for chunk, place in heads]),
        num_knowledge=np.array([chunk.num_knowledge[place] for chunk, place in heads]),
        segment_lengths=np.concatenate(segments),
        turn_keys=np.concatenate([chunk.turn_keys[of] for chunk, of in turns]),
        num_words=np.concatenate([chunk.num_words[of] for chunk, of in turns]),
        num_chars=np.concatenate([chunk.num_chars[of] for chunk, of in turns]),
        speakers=np.concatenate([chunk.speakers[of] for chunk, of in turns]),
        tokens=np.concatenate(tokens),
    )


def pack_chunk(dialogues: Sequence[EncodedDialogue], vocab_size: int) -> bytes:
    """The bytes of a chunk.

    Args:
        dialogues: at least one.
        vocab_size: decides the width of an id.

    Raises:
        ValueError: a token id is outside [0, vocab_size).
    """
    dtype = token_dtype(vocab_size)
    columns = in_columns(dialogues)
    tokens = columns.tokens
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
        raise ValueError(
            f"token ids must lie in [0, {vocab_size}), found {tokens.min()} to {tokens.max()}"
        )
    columns = replace(columns, tokens=tokens.astype(dtype))
    num_turns, num_knowledge = int(columns.num_turns.sum()), int(columns.num_knowledge.sum())
    header = np.array([len(dialogues), num_turns, num_knowledge, len(tokens)], dtype="<u4")
    arrays = [getattr(columns, field.name) for field in fields(Chunk)]
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
