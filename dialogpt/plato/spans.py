"""Where the rows of a pass are, laid end to end, and what their places see.

Shapes: N places, R rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rows of like length, which are padded together. Shapes: G rows, L places of the longest.

    Attributes:
        places: (n,) int64, the places of the rows in the pass, row after row.
        slots: (n,) int64, row x L + place in the row: where padding puts each of them.
        lengths, prefix_lengths: (G,) int64.
        longest: L.
    """

    places: Tensor
    slots: Tensor
    lengths: Tensor
    prefix_lengths: Tensor
    longest: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Spans:
    """Where the rows of a pass are, and what each place sees.

    Attributes:
        starts: (R + 1,) int32, first place of each row, then N.
        prefix_starts, response_starts: (R + 1,) int32, the same of prefixes alone and of responses
            alone, laid end to end.
        prefix_places, response_places: int64, the places of those in the rows; both empty where
            all places see alike.
        latent_places: (R,) int64, first place of each row.
        row_ids: (N,) int64, the row of each place.
        groups: the rows by length.
        num_rows, longest, longest_prefix, longest_response: plain numbers.
        is_causal: rows see what is before them alone (GPT-2's way), prefix and response alike.
        is_recognition: everything sees everything.
        hides_latent: the context does not see the latent.
    """

    starts: Tensor
    prefix_starts: Tensor
    response_starts: Tensor
    prefix_places: Tensor
    response_places: Tensor
    latent_places: Tensor
    row_ids: Tensor
    groups: tuple[Group, ...]
    num_rows: int
    longest: int
    longest_prefix: int
    longest_response: int
    is_causal: bool = False
    is_recognition: bool = False
    hides_latent: bool = False

    def to(self, device: torch.device) -> "Spans":
        """The same on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Spans":
        """The same in page-locked memory."""
        return self._with(lambda tensor: tensor.pin_memory())

    def _with(self, change: Callable[[Tensor], Tensor]) -> "Spans":
        groups = tuple(_changed(group, change) for group in self.groups)
        return replace(_changed(self, change), groups=groups)


AnySpans = TypeVar("AnySpans", Group, Spans)


def _changed(value: AnySpans, change: Callable[[Tensor], Tensor]) -> AnySpans:
    named = {field.name: getattr(value, field.name) for field in fields(value)}
    changed: dict[str, Any] = {n: change(v) for n, v in named.items() if isinstance(v, Tensor)}
    return replace(value, **changed)


def make_spans(
    starts: NDArray[np.int64],
    prefix_lengths: NDArray[np.int64],
    *,
    recognition: bool = False,
    causal: bool = False,
    hides_latent: bool = False,
) -> Spans:
    """Spans of rows.

    Args:
        starts: (R + 1,) first place of each row, then the number of places.
        prefix_lengths: (R,) places of each row before its response; at least one.
        recognition: for the pass in which everything sees everything.
        causal: for a context that sees what is before it alone; without a latent.
        hides_latent: for a context that does not see the latent.
    """
    lengths = np.diff(starts)
    response_lengths = lengths - prefix_lengths
    row_ids = np.repeat(np.arange(len(lengths)), lengths)
    inside = np.arange(int(starts[-1])) - starts[:-1][row_ids]
    in_prefix = inside < prefix_lengths[row_ids]
    return Spans(
        starts=_int32(starts),
        prefix_starts=_int32(np.concatenate([[0], np.cumsum(prefix_lengths)])),
        response_starts=_int32(np.concatenate([[0], np.cumsum(response_lengths)])),
        prefix_places=torch.from_numpy(np.flatnonzero(in_prefix)),
        response_places=torch.from_numpy(np.flatnonzero(~in_prefix)),
        latent_places=torch.from_numpy(starts[:-1].astype(np.int64)),
        row_ids=torch.from_numpy(row_ids),
        groups=tuple(_groups(starts, lengths, prefix_lengths)),
        num_rows=len(lengths),
        longest=int(lengths.max()),
        longest_prefix=int(prefix_lengths.max()),
        longest_response=int(response_lengths.max()),
        is_causal=causal,
        is_recognition=recognition,
        hides_latent=hides_latent,
    )


def _groups(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], prefix_lengths: NDArray[np.int64]
) -> Iterator[Group]:
    """Rows in groups, none of which is more than a third longer than another one of its group."""
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        limit = lengths[order[first]] * 4 // 3
        end = int(np.searchsorted(lengths[order], limit, "right"))
        rows = order[first:end]
        found = lengths[rows]
        row_ids = np.repeat(np.arange(len(rows)), found)
        inside = np.arange(int(found.sum())) - np.repeat(np.cumsum(found) - found, found)
        longest = int(found[-1])
        yield Group(
            places=torch.from_numpy(starts[rows][row_ids] + inside),
            slots=torch.from_numpy(row_ids * longest + inside),
            lengths=torch.from_numpy(found),
            prefix_lengths=torch.from_numpy(prefix_lengths[rows]),
            longest=longest,
        )
        first = end


def _int32(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.int32))
