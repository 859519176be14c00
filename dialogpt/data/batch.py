"""Rows -> one padded batch of tensors. Shapes: B rows, T tokens of the longest row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from dialogpt.config import Direction
from dialogpt.data.dataset import IndexedDialogue
from dialogpt.data.features import Features, make_features
from dialogpt.data.packing import PackedBatch, pack
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
    longest = max((len(row.input_ids) for row in rows), default=1)
    shape = (max(1, len(rows)), longest)
    input_ids = torch.full(shape, eos_id, dtype=torch.int64)
    labels = torch.full(shape, IGNORE_INDEX, dtype=torch.int64)
    for number, row in enumerate(rows):
        length = len(row.input_ids)
        input_ids[number, :length] = torch.from_numpy(row.input_ids)
        labels[number, :length] = torch.from_numpy(row.labels)
    lengths = [len(row.input_ids) for row in rows] or [1]
    return Batch(
        input_ids=input_ids,
        labels=labels,
        lengths=torch.tensor(lengths, dtype=torch.int64),
        dialogue_indices=tuple(dialogue_indices),
        num_tokens=sum(lengths) if rows else 0,
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
    """

    direction: Direction
    max_seq_len: int
    eos_id: int
    packed_tokens: int = 0

    def __call__(self, dialogues: Sequence[IndexedDialogue]) -> AnyBatch:
        """The batch of some dialogues; those of a single turn are left out and counted."""
        rows, indices = [], []
        for index, dialogue in dialogues:
            features = make_features(
                dialogue, self.eos_id, direction=self.direction, max_seq_len=self.max_seq_len
            )
            if features is not None:
                rows.append(features)
                indices.append(index)
        num_skipped = len(dialogues) - len(rows)
        if self.packed_tokens:
            packed = pack(rows, indices, eos_id=self.eos_id, num_tokens=self.packed_tokens)
            return replace(packed, num_skipped=num_skipped)
        return replace(collate(rows, indices, eos_id=self.eos_id), num_skipped=num_skipped)
