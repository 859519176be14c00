"""Rows -> one padded batch of tensors. Shapes: B rows, T tokens of the longest row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from dialogpt.config.shared import Direction
from dialogpt.data.dataset import IndexedDialogue, IndexedDialogues, in_indexed_columns
from dialogpt.data.features import Features, make_rows
from dialogpt.data.packing import PackedBatch, pack, pack_pieces
from dialogpt.data.trees import tree_pieces
from dialogpt.records import IGNORE_INDEX


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A micro-batch, padded on the right.

    Counts are plain numbers: reading one never waits for a GPU.

    Attributes:
        input_ids: (B, T) int64. Padding repeats the end-of-turn id, which is also a real token, so
            nothing may be concluded from ids: `attention_mask` comes from lengths.
        labels: (B, T) int64, in step with input_ids, not shifted; IGNORE_INDEX where no loss is
            wanted, padding included.
        lengths: (B,) int64, real tokens of each row.
        dialogue_indices: number in the split of each row's dialogue; shorter than B only in a batch
            without dialogues, which has one row without targets.
        num_tokens: real tokens.
        num_target_tokens: tokens that are scored.
        num_target_words, num_target_chars: of the text behind them.
        num_skipped: dialogues of a single turn, left out.
    """

    input_ids: Tensor
    labels: Tensor
    lengths: Tensor
    dialogue_indices: tuple[int, ...]
    num_tokens: int
    num_target_tokens: int
    num_target_words: float
    num_target_chars: float
    num_skipped: int

    @property
    def num_used_tokens(self) -> int:
        """Places that are not padding: rows share none."""
        return self.num_tokens

    @property
    def num_padded_tokens(self) -> int:
        """Tokens computed, padding included: B x T."""
        return self.input_ids.numel()

    @property
    def attention_mask(self) -> Tensor:
        """(B, T) int64, 1 at real tokens."""
        positions = torch.arange(self.input_ids.shape[1], device=self.lengths.device)
        return (positions < self.lengths[:, None]).long()

    def tensors(self) -> dict[str, Tensor]:
        """Ids and labels by name."""
        return {"input_ids": self.input_ids, "labels": self.labels}

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device; the copy overlaps with work where memory is pinned."""
        return replace(
            self,
            input_ids=self.input_ids.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            lengths=self.lengths.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory; torch's DataLoader calls this."""
        return replace(
            self,
            input_ids=self.input_ids.pin_memory(),
            labels=self.labels.pin_memory(),
            lengths=self.lengths.pin_memory(),
        )


def collate(rows: Sequence[Features], dialogue_indices: Sequence[int], *, eos_id: int) -> Batch:
    """Pad rows on the right to the longest.

    Without rows the batch is one end-of-turn token without a target: a forward and backward pass
    works on it and adds nothing.

    Args:
        rows: features; may be none.
        dialogue_indices: number in the split of each row's dialogue.
        eos_id: fills the padding; any id would do.
    """
    lengths = np.array([len(row.input_ids) for row in rows] or [1], np.int64)
    shape = (len(lengths), int(lengths.max()))
    input_ids = np.full(shape, eos_id, np.int64)
    labels = np.full(shape, IGNORE_INDEX, np.int64)
    if rows:  # all at once: an assignment a row takes longer than all else
        is_real = np.arange(shape[1]) < lengths[:, None]
        input_ids[is_real] = np.concatenate([row.input_ids for row in rows])
        labels[is_real] = np.concatenate([row.labels for row in rows])
    return Batch(
        input_ids=torch.from_numpy(input_ids),
        labels=torch.from_numpy(labels),
        lengths=torch.from_numpy(lengths),
        dialogue_indices=tuple(dialogue_indices),
        num_tokens=int(lengths.sum()) if rows else 0,
        # Nothing precedes the first token of a row, so it is never scored.
        num_target_tokens=int((labels[:, 1:] != IGNORE_INDEX).sum()),
        num_target_words=sum(row.num_target_words for row in rows),
        num_target_chars=sum(row.num_target_chars for row in rows),
        num_skipped=0,
    )


AnyBatch: TypeAlias = Batch | PackedBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class Collator:
    """Dialogues -> a batch; a class, so that it can be sent to worker processes.

    Attributes:
        direction: which side is learned.
        max_seq_len: longest row, in tokens.
        eos_id: ends every turn.
        packed_tokens: tokens of every packed batch; 0 makes padded ones.
        shares_turns: a turn that stands in several dialogues of a packed batch stands there once;
            for direction "forward".
    """

    direction: Direction
    max_seq_len: int
    eos_id: int
    packed_tokens: int = 0
    shares_turns: bool = False

    def __call__(self, dialogues: IndexedDialogues | Sequence[IndexedDialogue]) -> AnyBatch:
        """The batch of some dialogues; those of a single turn are left out and counted."""
        if not isinstance(dialogues, IndexedDialogues):
            dialogues = in_indexed_columns(dialogues)
        if self.shares_turns:
            pairs = zip(dialogues.indices, dialogues.columns.dialogues(), strict=True)
            return self._trees(list(pairs))
        features = make_rows(
            dialogues.columns, self.eos_id, direction=self.direction, max_seq_len=self.max_seq_len
        )
        rows = [row for row in features if row is not None]
        indices = [i for i, row in zip(dialogues.indices, features, strict=True) if row is not None]
        num_skipped = len(features) - len(rows)
        if self.packed_tokens:
            packed = pack(rows, indices, eos_id=self.eos_id, num_tokens=self.packed_tokens)
            return replace(packed, num_skipped=num_skipped)
        return replace(collate(rows, indices, eos_id=self.eos_id), num_skipped=num_skipped)

    def _trees(self, dialogues: Sequence[IndexedDialogue]) -> PackedBatch:
        assert self.direction == "forward", "paths share their beginnings, not their ends"
        chosen = [(index, dialogue) for index, dialogue in dialogues if len(dialogue.turns) > 1]
        pieces, num_words, num_chars = tree_pieces(
            (dialogue for _, dialogue in chosen), eos_id=self.eos_id, max_seq_len=self.max_seq_len
        )
        packed = pack_pieces(
            pieces, eos_id=self.eos_id, num_tokens=self.packed_tokens, has_branches=True
        )
        return replace(
            packed,
            dialogue_indices=tuple(index for index, _ in chosen),
            num_target_words=num_words,
            num_target_chars=num_chars,
            num_skipped=len(dialogues) - len(chosen),
        )
