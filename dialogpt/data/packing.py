"""Rows -> one row of trees that lie end to end, without padding between them.

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

_TENSORS = ("input_ids", "positions", "ends", "tiles", "target_places", "targets")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBatch:
    """A micro-batch as one row.

    Counts are plain numbers: reading one never waits for a GPU.

    Attributes:
        input_ids: (N,) int64. Behind the last dialogue the row is filled up with end-of-turn ids,
            which are trees of their own, so that every row has the same length.
        positions: (N,) int64, from 0 in each dialogue; 0 in what fills the row up.
        ends: (N,) int32; token q attends to token k if and only if k <= q < ends[k].
        tiles: (K, 3) int32, for each tile the first token of its tree, its own first token, and the
            end of its tree; at most TILE_TOKENS long, cut from the tree's first token on.
        target_places: (M,) int64, the token from which a target is predicted.
        targets: (M,) int64, the token that follows it.
        dialogue_indices: number in the split of each dialogue.
        num_tokens: of the dialogues, without what fills the row up.
        num_target_words, num_target_chars: of the text behind the targets.
        num_skipped: dialogues of a single turn, left out.
    """

    input_ids: Tensor
    positions: Tensor
    ends: Tensor
    tiles: Tensor
    target_places: Tensor
    targets: Tensor
    dialogue_indices: tuple[int, ...]
    num_tokens: int
    num_target_words: float
    num_target_chars: float
    num_skipped: int

    @property
    def num_target_tokens(self) -> int:
        """Tokens that are scored."""
        return self.targets.numel()

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


def pack(
    rows: Sequence[Features], dialogue_indices: Sequence[int], *, eos_id: int, num_tokens: int
) -> PackedBatch:
    """Lay rows end to end.

    Without rows there is no target: a forward and backward pass works on the batch and adds
    nothing.

    Args:
        rows: features; may be none.
        dialogue_indices: number in the split of each row's dialogue.
        eos_id: fills the row up; any id would do.
        num_tokens: N. Every batch has the same, so that compiled code fits all of them.

    Raises:
        ValueError: the rows are longer than that together.
    """
    lengths = np.array([len(row.input_ids) for row in rows], np.int64)
    used = int(lengths.sum())
    if used > num_tokens:
        raise ValueError(f"expected at most {num_tokens} tokens, found rows of {used} together")
    input_ids = np.full(num_tokens, eos_id, np.int64)
    labels = np.full(num_tokens + 1, IGNORE_INDEX, np.int64)
    if rows:
        input_ids[:used] = np.concatenate([row.input_ids for row in rows])
        labels[:used] = np.concatenate([row.labels for row in rows])
    roots = _roots(lengths, num_tokens)
    labels[roots] = IGNORE_INDEX  # nothing precedes the first token of a row
    places = np.flatnonzero(labels[1:] != IGNORE_INDEX)
    sizes = np.diff(roots)
    positions = np.arange(num_tokens) - np.repeat(roots[:-1], sizes)
    positions[used:] = 0  # a model of short rows has no other
    arrays: dict[str, NDArray[np.int64] | NDArray[np.int32]] = {
        "input_ids": input_ids,
        "positions": positions,
        "ends": np.repeat(roots[1:], sizes).astype(np.int32),
        "tiles": _tiles(roots),
        "target_places": places,
        "targets": labels[places + 1],
    }
    return PackedBatch(
        **{name: torch.from_numpy(array) for name, array in arrays.items()},
        dialogue_indices=tuple(dialogue_indices),
        num_tokens=used,
        num_target_words=sum(row.num_target_words for row in rows),
        num_target_chars=sum(row.num_target_chars for row in rows),
        num_skipped=0,
    )


def _roots(lengths: NDArray[np.int64], num_tokens: int) -> NDArray[np.int64]:
    """The first token of each tree, of what fills the row up too, and then num_tokens."""
    roots = np.concatenate([[0], np.cumsum(lengths)])
    filling = np.arange(roots[-1] + TILE_TOKENS, num_tokens, TILE_TOKENS)
    return np.unique(np.concatenate([roots, filling, [num_tokens]]))


def _tiles(roots: NDArray[np.int64]) -> NDArray[np.int32]:
    """(K, 3): see `PackedBatch`."""
    num_tiles = -(-np.diff(roots) // TILE_TOKENS)
    tree = np.repeat(np.arange(len(num_tiles)), num_tiles)
    number = np.arange(len(tree)) - np.repeat(np.cumsum(num_tiles) - num_tiles, num_tiles)
    tiles = [roots[tree], roots[tree] + number * TILE_TOKENS, roots[tree + 1]]
    return np.stack(tiles, axis=1).astype(np.int32)
