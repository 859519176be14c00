"""Examples -> one batch without padding. Shapes: B examples, R rows, N tokens, M targets.

All rows lie end to end: first those of the B true responses, then those of the B negative ones, if
there are any. Generation computes the first part, recognition all of it, in one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialogpt.plato.sequence import LATENT_PLACE, Columns
from dialogpt.plato.spans import Spans, make_spans

_TENSORS = ("columns", "target_places", "targets", "target_rows")


@dataclass(frozen=True, kw_only=True, slots=True)
class RowLayout:
    """What rows of a model are like.

    Attributes:
        has_latent: each begins with a place for the latent.
        is_causal: a context sees what is before it alone.
        hides_latent: a context does not see the latent.
    """

    has_latent: bool = True
    is_causal: bool = False
    hides_latent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatoRow:
    """A context with one response.

    Attributes:
        prefix: (4, P) int64 columns of the context, without the latent's place.
        response: (4, T) int64 columns of the response, [BOU] and, unless it is cut, [EOU] with it.
    """

    prefix: Columns
    response: Columns


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatoExample:
    """What a step learns from one response.

    Attributes:
        index: number in the split.
        prefix: of its rows.
        response: the true one.
        negative: of another context; None where there is none.
        num_words, num_chars: of the true response's text, as far as it is kept.
    """

    index: int
    prefix: Columns
    response: Columns
    negative: Columns | None
    num_words: float
    num_chars: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatoBatch:
    """A micro-batch. Counts are plain numbers: reading one never waits for a GPU.

    Attributes:
        columns: (4, N) int64, see `dialogpt.plato.sequence`.
        generation: where the rows of true responses are, and what their places see when they are
            generated.
        recognition: the same of all rows when a latent is recognised.
        target_places: (M,) int64, the place from which a target is predicted; true responses only.
        targets: (M,) int64, the token that follows it.
        target_rows: (M,) int64, the row that it is in.
        num_rows: B, the true responses.
        num_negatives: B or 0.
        num_generated: places of the rows of true responses; they come first.
        dialogue_indices: number in the split of each example.
        num_tokens: of the rows of true responses, the latent's place apart.
        num_target_tokens: M.
        num_target_words, num_target_chars: of the text behind the targets.
        num_skipped: examples left out.
    """

    columns: Tensor
    generation: Spans
    recognition: Spans
    target_places: Tensor
    targets: Tensor
    target_rows: Tensor
    num_rows: int
    num_negatives: int
    num_generated: int
    dialogue_indices: tuple[int, ...]
    num_tokens: int
    num_target_tokens: int
    num_target_words: float
    num_target_chars: float
    num_skipped: int = 0

    @property
    def num_used_tokens(self) -> int:
        """Places that are not padding: all of them, of true responses."""
        return self.num_generated

    @property
    def num_padded_tokens(self) -> int:
        """The same: nothing is padded."""
        return self.num_generated

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {name: getattr(self, name) for name in _TENSORS}

    def to(self, device: torch.device) -> "PlatoBatch":
        """The same batch on a device; the copy overlaps with work where memory is pinned."""
        return self._with(
            {name: value.to(device, non_blocking=True) for name, value in self.tensors().items()},
            self.generation.to(device),
            self.recognition.to(device),
        )

    def pin_memory(self) -> "PlatoBatch":
        """The same batch in page-locked memory; torch's DataLoader calls this."""
        return self._with(
            {name: value.pin_memory() for name, value in self.tensors().items()},
            self.generation.pin_memory(),
            self.recognition.pin_memory(),
        )

    def _with(self, tensors: dict[str, Any], generation: Spans, recognition: Spans) -> "PlatoBatch":
        return replace(self, generation=generation, recognition=recognition, **tensors)


def make_batch(examples: Sequence[PlatoExample], layout: RowLayout) -> PlatoBatch:
    """Lay the rows of some examples end to end.

    Without examples the batch is one row of two places without a target: a forward and backward
    pass works on it and adds nothing.

    Args:
        examples: all with a negative, or all without.
        layout: of the model's rows.
    """
    rows = [PlatoRow(prefix=e.prefix, response=e.response) for e in examples]
    rows += [
        PlatoRow(prefix=e.prefix, response=e.negative) for e in examples if e.negative is not None
    ]
    num_rows, num_negatives = len(examples), len(rows) - len(examples)
    if num_negatives not in (0, num_rows):
        raise ValueError(f"expected negatives for {num_rows} examples or none, got {num_negatives}")
    laid = lay_rows(rows or [_NOTHING], has_latent=layout.has_latent)
    places, targets, target_rows = _targets(laid, num_rows)
    num_laid = max(1, num_rows)  # of the generation pass
    num_generated = int(laid.starts[num_laid])
    return PlatoBatch(
        columns=torch.from_numpy(laid.columns),
        generation=make_spans(
            laid.starts[: num_laid + 1],
            laid.prefix_lengths[:num_laid],
            causal=layout.is_causal,
            hides_latent=layout.hides_latent,
        ),
        recognition=make_spans(laid.starts, laid.prefix_lengths, recognition=True),
        target_places=torch.from_numpy(places),
        targets=torch.from_numpy(targets),
        target_rows=torch.from_numpy(target_rows),
        num_rows=num_rows,
        num_negatives=num_negatives,
        num_generated=num_generated,
        dialogue_indices=tuple(example.index for example in examples),
        num_tokens=num_generated - layout.has_latent * num_rows if examples else 0,
        num_target_tokens=len(targets),
        num_target_words=sum(example.num_words for example in examples),
        num_target_chars=sum(example.num_chars for example in examples),
    )


_NOTHING = PlatoRow(prefix=np.zeros((4, 1), np.int64), response=np.zeros((4, 1), np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class LaidRows:
    """Rows end to end: `columns`, `starts` and `prefix_lengths` as in PlatoBatch, int64."""

    columns: Columns
    starts: NDArray[np.int64]
    prefix_lengths: NDArray[np.int64]


def lay_rows(rows: Sequence[PlatoRow], *, has_latent: bool) -> LaidRows:
    """Rows end to end, each with a place for the latent before it if the model has one."""
    latent = [LATENT_PLACE] if has_latent else []
    prefix_lengths = np.array([row.prefix.shape[1] for row in rows], np.int64) + has_latent
    lengths = prefix_lengths + np.array([row.response.shape[1] for row in rows], np.int64)
    return LaidRows(
        columns=np.concatenate(
            [piece for row in rows for piece in (*latent, row.prefix, row.response)], axis=1
        ),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        prefix_lengths=prefix_lengths,
    )


def _targets(
    laid: LaidRows, num_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Places, tokens and rows of what the first rows learn: each token of a response but [BOU]."""
    places, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for row, (start, end) in enumerate(pairwise(laid.starts[: num_rows + 1].tolist())):
        inside = np.arange(start + laid.prefix_lengths[row], end - 1)
        places.append(inside)
        rows.append(np.full(len(inside), row))
    place = np.concatenate(places)
    return place, laid.columns[0][place + 1], np.concatenate(rows)
