"""Keys and values of contexts and of replies to them, and the attention that reads both.

A context's are kept once for all of its hypotheses. Those of a reply's tokens stay where they were
written: a table of slots says where each hypothesis finds its own, so that hypotheses may leave the
batch, or go on from one another in beam search, without a key being moved.

Shapes: L blocks, C contexts, P tokens of the longest context, S slots (hypotheses at the start), T
tokens of the longest reply, R rows (hypotheses that go on), G contexts that have rows, M most rows
of one of them, H heads, D width of a head.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dialogpt.models.inference import CachedEngine

_LOG2_E = 1.4426950408889634
_ROWS_A_PROGRAM, _KEYS_AT_ONCE, _STEPS_AT_ONCE, _NUM_WARPS = 16, 64, 8, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class KvCache:
    """What attention reads.

    Attributes:
        contexts: (L, C, P, 2, H, D).
        lengths: (C,) int32 tokens of each context.
        replies: (L, S, T, 2, H, D).
    """

    contexts: Tensor
    lengths: Tensor
    replies: Tensor

    @classmethod
    def empty(
        cls, engine: CachedEngine, *, contexts: int, tokens: int, slots: int, reply_tokens: int
    ) -> "KvCache":
        """Room for so many contexts of so many tokens, and replies."""
        head = (2, engine.num_heads, engine.head_width)
        dtype, device = engine.dtype, engine.device
        # Zeros, not whatever was there: a masked key that is not a number would still spread.
        return cls(
            contexts=torch.zeros(
                engine.num_layers, contexts, tokens, *head, dtype=dtype, device=device
            ),
            lengths=torch.zeros(contexts, dtype=torch.int32, device=engine.device),
            replies=torch.zeros(
                engine.num_layers, slots, reply_tokens, *head, dtype=dtype, device=device
            ),
        )

    def keep_contexts(self, layer: int, places: Tensor, qkv: Tensor) -> None:
        """Store keys and values of contexts' tokens.

        Args:
            layer: the block.
            places: (N,) int64, context x columns + place in the context; columns are the cache's.
            qkv: (N, 3, H, D).
        """
        self.contexts[layer].flatten(0, 1).index_copy_(0, places, qkv[:, 1:])

    def holds(self, *, contexts: int, tokens: int, slots: int, reply_tokens: int) -> bool:
        """Whether there is room for so much."""
        _, most_contexts, most_tokens, *_ = self.contexts.shape
        _, most_slots, most_reply_tokens, *_ = self.replies.shape
        return (
            contexts <= most_contexts
            and tokens <= most_tokens
            and slots <= most_slots
            and reply_tokens <= most_reply_tokens
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouping:
    """Which rows belong to which context, for attention by torch.

    Attributes:
        contexts: (G,) int64 contexts that have rows.
        members: (G, M) int64 their rows; a context with fewer than M repeats its first.
        places: (R,) int64 where row r stands in `members`, read row by row.
    """

    contexts: Tensor
    members: Tensor
    places: Tensor

    @classmethod
    def of(cls, counts: Tensor) -> "Grouping":
        """From the number of rows of each context, (C,) int64 on the host."""
        contexts = counts.nonzero()[:, 0]
        counts = counts[contexts]
        most = int(counts.max())
        first = counts.cumsum(0) - counts
        within = torch.arange(most).expand(len(counts), most)
        is_there = within < counts[:, None]
        members = first[:, None] + torch.where(is_there, within, 0)
        return cls(contexts=contexts, members=members, places=is_there.flatten().nonzero()[:, 0])

    def to(self, device: torch.device) -> "Grouping":
        """The same on a device."""
        return Grouping(
            contexts=self.contexts.to(device, non_blocking=True),
            members=self.members.to(device, non_blocking=True),
            places=self.places.to(device, non_blocking=True),
        )


def attend_by_torch(
    qkv: Tensor, cache: KvCache, layer: int, *, slots: Tensor, step: int, grouping: Grouping
) -> Tensor:
    """What the rows' new tokens read, (R, H, D); their keys and values go into the cache.

    Args:
        qkv: (R, 3, H, D) of the new tokens.
        cache: of the contexts and replies.
        layer: the block.
        slots: (R, T) int: where token t of a row's reply stands; (r, step) for the new one.
        step: tokens of each reply before the new one.
        grouping: of the rows.
    """
    replies = cache.replies[layer]
    replies[slots[:, step], step] = qkv[:, 1:]
    query = qkv[grouping.members, 0] * (1.0 / math.sqrt(qkv.shape[-1]))  # (G, M, H, D)
    said = torch.arange(step + 1, device=qkv.device)
    own = replies[slots[grouping.members, : step + 1], said]  # (G, M, t, 2, H, D)
    own_key, own_value = own.unbind(3)
    is_whole = len(grouping.contexts) == cache.contexts.shape[1]
    context = cache.contexts[layer] if is_whole else cache.contexts[layer, grouping.contexts]
    key, value = context.unbind(2)  # each (G, P, H, D)
    lengths = cache.lengths[grouping.contexts]
    is_padding = torch.arange(key.shape[1], device=qkv.device) >= lengths[:, None]
    far = torch.einsum("gmhd,gphd->ghmp", query, key)
    far = far.masked_fill(is_padding[:, None, None], float("-inf"))
    near = torch.einsum("gmhd,gmthd->ghmt", query, own_key)
    shares = torch.cat([far, near], dim=-1).float().softmax(dim=-1).to(qkv.dtype)
    far, near = shares[..., : key.shape[1]], shares[..., key.shape[1] :]
    mixed = torch.einsum("ghmp,gphd->gmhd", far, value)
    mixed = mixed + torch.einsum("ghmt,gmthd->gmhd", near, own_value)
    return mixed.flatten(0, 1)[grouping.places]


def attend_by_kernel(
    qkv: Tensor,
    cache: KvCache,
    layer: int,
    *,
    slots: Tensor,
    step: Tensor,
    starts: Tensor,
    most_rows: int,
) -> Tensor:
    """As `attend_by_torch`, without the host: everything that changes is read on the device.

    Args:
        qkv: (R, 3, H, D) of the new tokens.
        cache: of the contexts and replies.
        layer: the block.
        slots: (R, T) int32.
        step: () int32.
        starts: (C + 1,) int32, rows of context c are those from starts[c] to starts[c + 1].
        most_rows: of one context.
    """
    from dialogpt.models import cache_kernels as kernels

    _, _, num_heads, width = qkv.shape
    out = qkv.new_empty(len(qkv), num_heads, width)
    contexts, replies = cache.contexts[layer], cache.replies[layer]
    grid = (num_heads, len(cache.lengths), -(-most_rows // _ROWS_A_PROGRAM))
    kernels.attend_cached[grid](
        *(qkv, out, contexts, cache.lengths, replies, slots, starts, step),
        *(contexts.shape[1], replies.shape[1], _LOG2_E / math.sqrt(width)),
        num_heads=num_heads,
        width=width,
        num_rows=_ROWS_A_PROGRAM,
        num_keys=_KEYS_AT_ONCE,
        num_steps=_STEPS_AT_ONCE,
        num_warps=_NUM_WARPS,
    )
    return out
