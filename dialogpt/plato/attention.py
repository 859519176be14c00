"""Who sees whom, and attention that keeps to it: two backends for rows laid end to end.

Shapes: N places, R rows, H heads, D their width.

    pass         who looks              at whom
    generation   latent, context        latent, context (unless hidden from one another)
                 response               latent, context, itself and the response before it
    recognition  everything             everything

`varlen` (NVIDIA, half precision) is FlashAttention over rows of any length, which needs no mask:
the prefix looks at itself, and responses look at whole rows, whose last places they are, causally.
`padded` works everywhere: rows of like length are padded together, for attention alone, and masked
by booleans, which torch's scaled_dot_product_attention excludes by and never adds.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dialogpt.plato.spans import Group, Spans

Backend = Literal["varlen", "padded"]
_ROUND = 128
"""Longest rows are rounded up to it, so that compiled code meets few of them."""


def backend_for(device: torch.device, dtype: torch.dtype) -> Backend:
    """The fastest backend for products of a dtype on a device."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return "padded"
    # FlashAttention needs Ampere or later.
    return "varlen" if torch.cuda.get_device_capability(device)[0] >= 8 else "padded"


class Attention:
    """Attention of one pass, for all of its blocks.

    Args:
        spans: on the device.
        backend: see the module's docstring.
    """

    def __init__(self, spans: Spans, backend: Backend) -> None:
        self._spans = spans
        self._backend = backend
        self._masks = []
        if backend == "padded":
            self._masks = [visible(spans, group) for group in spans.groups]

    def __call__(self, qkv: Tensor) -> Tensor:
        """(N, H, D): what each head reads at each place.

        Args:
            qkv: (N, 3, H, D) queries, keys and values.
        """
        if self._backend == "varlen":
            return _varlen(qkv, self._spans)
        out = qkv.new_empty(len(qkv), *qkv.shape[2:])
        for group, mask in zip(self._spans.groups, self._masks, strict=True):
            out = out.index_copy(0, group.places, _padded(qkv, group, mask))
        return out


def visible(spans: Spans, group: Group) -> Tensor:
    """(G, 1, L, L) bool: whether a place of a row (third axis) sees another (fourth).

    Padding is seen by nobody and sees itself, so that no softmax is over nothing.
    """
    place = torch.arange(group.longest, device=group.lengths.device)
    query, key = place[:, None], place[None, :]
    lengths, prefix = group.lengths[:, None, None], group.prefix_lengths[:, None, None]
    if spans.is_recognition:
        sees = torch.ones_like(query == key)[None]
    elif spans.is_causal:
        sees = (key <= query)[None]
    else:
        sees = (key < prefix) | (key <= query)
        if spans.hides_latent:
            in_context = (query >= 1) & (query < prefix)
            sees = sees & ~(in_context & (key == 0))
    return ((sees & (key < lengths)) | (query == key))[:, None]


def _padded(qkv: Tensor, group: Group, mask: Tensor) -> Tensor:
    """(n, H, D) of a group's places."""
    num_slots = len(group.lengths) * group.longest
    found = qkv.index_select(0, group.places)
    rows = qkv.new_zeros(num_slots, *qkv.shape[1:]).index_copy(0, group.slots, found)
    rows = rows.view(len(group.lengths), group.longest, *qkv.shape[1:])
    query, key, value = (rows[:, :, i].transpose(1, 2) for i in range(3))
    read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return read.transpose(1, 2).reshape(num_slots, *qkv.shape[2:]).index_select(0, group.slots)


def _varlen(qkv: Tensor, spans: Spans) -> Tensor:
    if spans.is_recognition or spans.is_causal:
        query, key, value = qkv.unbind(1)
        rows = _Rows(spans.starts, spans.longest)
        return _flash(query, key, value, rows, rows, causal=spans.is_causal)
    of_prefix = qkv.index_select(0, spans.prefix_places)
    out = qkv.new_empty(len(qkv), *qkv.shape[2:])
    out = out.index_copy(0, spans.prefix_places, _within_prefix(of_prefix, spans))
    read = _flash(
        qkv[:, 0].index_select(0, spans.response_places),
        qkv[:, 1],
        qkv[:, 2],
        _Rows(spans.response_starts, spans.longest_response),
        _Rows(spans.starts, spans.longest),
        causal=True,
    )
    return out.index_copy(0, spans.response_places, read)


def _within_prefix(qkv: Tensor, spans: Spans) -> Tensor:
    """What the places of prefixes read of one another; the latent is the first of each."""
    query, key, value = qkv.unbind(1)
    rows = _Rows(spans.prefix_starts, spans.longest_prefix)
    read = _flash(query, key, value, rows, rows, causal=False)
    if not spans.hides_latent:
        return read
    is_context = torch.ones(len(qkv), dtype=torch.bool, device=qkv.device)
    is_context = is_context.index_fill(0, spans.prefix_starts[:-1].long(), False)
    # As many places as there are, less one a row: known without a look at the device.
    places = torch.argsort(~is_context, stable=True)[: len(qkv) - spans.num_rows]
    query, key, value = qkv.index_select(0, places).unbind(1)
    before = torch.arange(spans.num_rows + 1, device=qkv.device, dtype=torch.int32)
    rows = _Rows(spans.prefix_starts - before, spans.longest_prefix)
    return read.index_copy(0, places, _flash(query, key, value, rows, rows, causal=False))


class _Rows(NamedTuple):
    """Rows laid end to end: (R + 1,) int32 first place of each, then the end; longest one."""

    starts: Tensor
    longest: int


def _flash(
    query: Tensor, key: Tensor, value: Tensor, queries: _Rows, keys: _Rows, *, causal: bool
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # With fewer queries than keys, causal counts from the ends: the last query sees the last key.
    read = varlen_attn(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        queries.starts,
        keys.starts,
        _rounded(queries.longest),
        _rounded(keys.longest),
        window_size=(-1, 0) if causal else (-1, -1),
    )
    assert isinstance(read, Tensor)
    return read


def _rounded(length: int) -> int:
    return -(-length // _ROUND) * _ROUND
