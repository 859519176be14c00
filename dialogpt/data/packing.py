"""Rows or trees of turns -> one row in which they lie end to end, without padding between them.

Shapes: N tokens, K tiles, M targets. A dialogue is a tree without branches. What attention needs
to know of trees is in two columns: `ends`, how far each token can be seen, and `tiles`, pieces of
trees for the kernels of `dialogpt.models.attention_kernels`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialogpt.data.features import Features
from dialogpt.records import IGNORE_INDEX

TILE_TOKENS = 64
"""Tokens of a tile, the unit of work of the attention kernels."""

_TENSORS = ("input_ids", "positions", "ends", "tiles", "target_places", "targets", "weights")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBatch:
    """A micro-batch as one row.

    Counts are plain numbers: reading one never waits for a GPU.

    Attributes:
        input_ids: (N,) int64. Behind the last dialogue the row is filled up with end-of-turn ids,
            which are trees of their own, so that every row has the same length.
        positions: (N,) int64, from 0 in each dialogue; 0 in what fills the row up. Answers to one
            turn have the same positions.
        ends: (N,) int32; token q attends to token k if and only if k <= q < ends[k].
        tiles: (K, 3) int32, for each tile the first token of its tree, its own first token, and the
            end of its tree; at most TILE_TOKENS long, cut from the tree's first token on.
        target_places: (M,) int64, the token from which a target is predicted.
        targets: (M,) int64, the token that follows it.
        weights: (M,) float32, dialogues that a target stands in; 1 unless turns are shared.
        has_branches: whether dialogues share turns, or may: the kernels then ask `ends`.
        dialogue_indices: number in the split of each dialogue.
        num_tokens: of the dialogues, shared ones as often as they stand in one.
        num_used_tokens: places of the row before what fills it up.
        num_target_tokens: the sum of `weights`.
        num_target_words, num_target_chars: of the text behind the targets.
        num_skipped: dialogues of a single turn, left out.
    """

    input_ids: Tensor
    positions: Tensor
    ends: Tensor
    tiles: Tensor
    target_places: Tensor
    targets: Tensor
    weights: Tensor
    has_branches: bool
    dialogue_indices: tuple[int, ...]
    num_tokens: int
    num_used_tokens: int
    num_target_tokens: int
    num_target_words: float
    num_target_chars: float
    num_skipped: int

    @property
    def num_padded_tokens(self) -> int:
        """Tokens computed: N."""
        return self.input_ids.numel()

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {name: getattr(self, name) for name in _TENSORS}

    def to(self, device: torch.device) -> "PackedBatch":
        """The same batch on a device; the copy overlaps with work where memory is pinned."""
        return self._with({n: t.to(device, non_blocking=True) for n, t in self.tensors().items()})

    def pin_memory(self) -> "PackedBatch":
        """The same batch in page-locked memory; torch's DataLoader calls this."""
        return self._with({name: tensor.pin_memory() for name, tensor in self.tensors().items()})

    def _with(self, tensors: dict[str, Any]) -> "PackedBatch":
        return replace(self, **tensors)


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Tokens that no branch divides: a whole row, or one turn of a tree.

    Attributes:
        input_ids: (T,) int64, at least one.
        labels: (T,) int64, in step with input_ids; IGNORE_INDEX where no loss is wanted.
        parent: number of the piece that it goes on from; -1 where a tree begins.
        num_paths: dialogues that it stands in.
    """

    input_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    parent: int = -1
    num_paths: int = 1


def pack(
    rows: Sequence[Features], dialogue_indices: Sequence[int], *, eos_id: int, num_tokens: int
) -> PackedBatch:
    """Lay rows end to end; arguments and errors as those of `pack_pieces`."""
    pieces = [Piece(input_ids=row.input_ids, labels=row.labels) for row in rows]
    packed = pack_pieces(pieces, eos_id=eos_id, num_tokens=num_tokens)
    return replace(
        packed,
        dialogue_indices=tuple(dialogue_indices),
        num_target_words=sum(row.num_target_words for row in rows),
        num_target_chars=sum(row.num_target_chars for row in rows),
    )


def pack_pieces(
    pieces: Sequence[Piece], *, eos_id: int, num_tokens: int, has_branches: bool = False
) -> PackedBatch:
    """Lay pieces of trees end to end; the caller fills in what they do not say of dialogues.

    The last token of a dialogue is a target and nothing follows it, so it has no place in the row
    unless another dialogue goes on from it.

    Without pieces there is no target: a forward and backward pass works on the batch and adds
    nothing.

    Args:
        pieces: a piece before those that go on from it, and these before the next of its tree; may
            be none.
        eos_id: fills the row up; any id would do.
        num_tokens: N. Every batch has the same, so that compiled code fits all of them.
        has_branches: whether pieces may have several that go on from them.

    Raises:
        ValueError: the pieces are longer than that together.
    """
    lengths = np.array([len(piece.input_ids) for piece in pieces], np.int64)
    parents = np.array([piece.parent for piece in pieces], np.int64)
    num_paths = np.array([piece.num_paths for piece in pieces], np.int64)
    starts = np.cumsum(lengths) - lengths
    depths, ends = _spans(lengths, starts, parents)
    ids, labels = (
        np.concatenate([np.zeros(0, np.int64), *(getattr(piece, name) for piece in pieces)])
        for name in ("input_ids", "labels")
    )
    before = _tokens_before(lengths, starts, parents)
    is_target = (labels != IGNORE_INDEX) & (before >= 0)
    weights = np.repeat(num_paths, lengths)[is_target]

    is_used = _is_followed(lengths, starts, parents)
    place = np.concatenate([[0], np.cumsum(is_used)])  # of each token in the row
    used = int(place[-1])
    if used > num_tokens:
        raise ValueError(f"expected at most {num_tokens} tokens, found rows of {used} together")
    roots = _roots(place[starts[parents < 0]], used, num_tokens)
    input_ids = np.full(num_tokens, eos_id, np.int64)
    input_ids[:used] = ids[is_used]
    positions = np.zeros(num_tokens, np.int64)  # in what fills up too: a model may have few
    positions[:used] = (np.arange(len(ids)) - np.repeat(starts - depths, lengths))[is_used]
    all_ends = np.repeat(roots[1:], np.diff(roots))
    ends_of_used = np.repeat(place[ends], lengths)[is_used]
    assert has_branches or np.array_equal(ends_of_used, all_ends[:used])
    all_ends[:used] = ends_of_used
    arrays: dict[str, NDArray[Any]] = {
        "input_ids": input_ids,
        "positions": positions,
        "ends": all_ends.astype(np.int32),
        "tiles": _tiles(roots),
        "target_places": place[before[is_target]],
        "targets": labels[is_target],
        "weights": weights.astype(np.float32),
    }
    return PackedBatch(
        **{name: torch.from_numpy(array) for name, array in arrays.items()},
        has_branches=has_branches,
        dialogue_indices=(),
        num_tokens=int(lengths @ num_paths),
        num_used_tokens=used,
        num_target_tokens=int(weights.sum()),
        num_target_words=0.0,
        num_target_chars=0.0,
        num_skipped=0,
    )


def _spans(
    lengths: NDArray[np.int64], starts: NDArray[np.int64], parents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each piece: tokens before it on its way from the root; the end of all behind it."""
    depths, ends = np.zeros_like(lengths), starts + lengths
    children = np.flatnonzero(parents >= 0).tolist()
    for piece in children:
        parent = parents[piece]
        assert parent < piece
        depths[piece] = depths[parent] + lengths[parent]
    for piece in reversed(children):
        ends[parents[piece]] = max(ends[parents[piece]], ends[piece])
    return depths, ends


def _tokens_before(
    lengths: NDArray[np.int64], starts: NDArray[np.int64], parents: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each token of all pieces the one before it in its tree; -1 at a root."""
    before = np.arange(int(lengths.sum())) - 1
    before[starts] = np.where(parents < 0, -1, starts[parents] + lengths[parents] - 1)
    return before


def _is_followed(
    lengths: NDArray[np.int64], starts: NDArray[np.int64], parents: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """For each token of all pieces whether another follows it in its tree."""
    is_leaf = np.ones(len(lengths), bool)
    is_leaf[parents[parents >= 0]] = False
    is_followed = np.ones(int(lengths.sum()), bool)
    is_followed[(starts + lengths - 1)[is_leaf]] = False
    return is_followed


def plain_tiles(
    lengths: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Tiles (K, 3) and ends (N,), as `PackedBatch` has them, of rows without branches end to end.

    Args:
        lengths: (B,) tokens of each row; none is 0.
    """
    roots = np.concatenate([[0], np.cumsum(lengths)])
    return _tiles(roots), np.repeat(roots[1:], lengths).astype(np.int32)


def _roots(starts: NDArray[np.int64], used: int, num_tokens: int) -> NDArray[np.int64]:
    """The first token of each tree, of what fills the row up too, and then num_tokens."""
    filling = np.arange(used, num_tokens, TILE_TOKENS)
    return np.concatenate([starts, filling, [num_tokens]])


def _tiles(roots: NDArray[np.int64]) -> NDArray[np.int32]:
    """(K, 3): see `PackedBatch`."""
    num_tiles = -(-np.diff(roots) // TILE_TOKENS)
    tree = np.repeat(np.arange(len(num_tiles)), num_tiles)
    number = np.arange(len(tree)) - np.repeat(np.cumsum(num_tiles) - num_tiles, num_tiles)
    tiles = [roots[tree], roots[tree] + number * TILE_TOKENS, roots[tree + 1]]
    return np.stack(tiles, axis=1).astype(np.int32)
