"""Attention within trees that lie end to end: by Triton's kernels on a GPU, else by torch.

Shapes: N tokens, H heads, D width of a head, K tiles.
"""

import math
import os
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dialogpt.data.packing import TILE_TOKENS

_LOG2_E = 1.4426950408889634
_NUM_WARPS = 4
_REGISTERS = {(9, 64): (96, 168)}
"""By generation of the GPU and width of a head, if limits were found that let more programs run at
once: registers a thread of the forward and of the backward kernel."""
_MIN_CAPABILITY = (8, 0)  # bfloat16 and asynchronous copies


def has_kernels(device: torch.device) -> bool:
    """Whether the kernels run there; `DIALOGPT_NO_KERNELS=1` says that they do not."""
    return (
        device.type == "cuda"
        and torch.cuda.get_device_capability(device) >= _MIN_CAPABILITY
        and find_spec("triton") is not None
        and not os.environ.get("DIALOGPT_NO_KERNELS")
    )


class Trees(NamedTuple):
    """Who may see whom.

    Attributes:
        tiles: (K, 3) int32, see `dialogpt.data.packing.PackedBatch`.
        ends: (N,) int32; token q attends to token k if and only if k <= q < ends[k].
        has_branches: whether a token of a tree may not see all of it before. Without, the kernels
            ask neither `ends` nor which tiles see one another.
    """

    tiles: Tensor
    ends: Tensor
    has_branches: bool


def tree_attention(qkv: Tensor, trees: Trees) -> Tensor:
    """What each token reads from those on its way to the root; (N, H, D), of the kind of qkv.

    Args:
        qkv: (N, 3, H, D) queries, keys, values. The kernels take 16-bit numbers and a D that is a
            power of two from 16 on.
        trees: who may see whom.
    """
    is_short = qkv.dtype in (torch.bfloat16, torch.float16)
    if qkv.is_cuda and is_short and fits_kernels(qkv.shape[-1]):
        out, _ = torch.ops.dialogpt.tree_attention(qkv, *trees)
        return out  # type: ignore[no-any-return]
    return _by_tree(qkv, trees.tiles, trees.ends)


def fits_kernels(width: int) -> bool:
    """Whether the kernels take heads of this width."""
    return width >= 16 and width & (width - 1) == 0


def _by_tree(qkv: Tensor, tiles: Tensor, ends: Tensor) -> Tensor:
    """One tree after the other through torch's own attention: for tests, and where no kernel is."""
    pieces = []
    for root, first, stop in tiles.tolist():
        if first != root:
            continue
        places = torch.arange(root, stop, device=qkv.device)
        is_seen = (places <= places[:, None]) & (places[:, None] < ends[root:stop])
        query, key, value = qkv[root:stop].permute(1, 2, 0, 3)  # each (H, tokens, D)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=is_seen)
        pieces.append(mixed.transpose(0, 1))
    return torch.cat(pieces)


@torch.library.custom_op("dialogpt::tree_attention", mutates_args=())
def _attend(qkv: Tensor, tiles: Tensor, ends: Tensor, has_branches: bool) -> tuple[Tensor, Tensor]:
    """(N, H, D), and (H, N) float32: log2 of the softmax's denominators."""
    from dialogpt.models import attention_kernels as kernels

    num_tokens, _, num_heads, width = qkv.shape
    qkv = qkv.contiguous()
    out = qkv.new_empty(num_tokens, num_heads, width)
    lse = qkv.new_empty(num_heads, num_tokens, dtype=torch.float32)
    kernels.attend[(num_heads, len(tiles))](
        *(qkv, out, lse, tiles, ends, num_tokens, _LOG2_E / math.sqrt(width)),
        num_heads=num_heads,
        width=width,
        tile_tokens=TILE_TOKENS,
        has_branches=has_branches,
        num_warps=_NUM_WARPS,
        num_stages=1,
        maxnreg=_registers(qkv)[0],
    )
    return out, lse


def _registers(qkv: Tensor) -> tuple[int | None, int | None]:
    if not qkv.is_cuda:
        return None, None
    generation, _ = torch.cuda.get_device_capability(qkv.device)
    return _REGISTERS.get((generation, qkv.shape[-1]), (None, None))


@_attend.register_fake
def _(qkv: Tensor, tiles: Tensor, ends: Tensor, has_branches: bool) -> tuple[Tensor, Tensor]:
    num_tokens, _, num_heads, width = qkv.shape
    lse = qkv.new_empty(num_heads, num_tokens, dtype=torch.float32)
    return qkv.new_empty(num_tokens, num_heads, width), lse


@torch.library.custom_op("dialogpt::tree_attention_backward", mutates_args=())
def _attend_backward(
    qkv: Tensor,
    out: Tensor,
    lse: Tensor,
    grad_out: Tensor,
    tiles: Tensor,
    ends: Tensor,
    has_branches: bool,
) -> Tensor:
    """(N, 3, H, D), the gradient of qkv."""
    from dialogpt.models import attention_kernels as kernels

    num_tokens, _, num_heads, width = qkv.shape
    qkv = qkv.contiguous()
    grad_qkv = torch.empty_like(qkv)
    scale = 1.0 / math.sqrt(width)
    kernels.attend_backward[(num_heads, len(tiles))](
        *(qkv, out, lse, grad_out.contiguous(), grad_qkv, tiles, ends, num_tokens),
        *(scale, scale * _LOG2_E),
        num_heads=num_heads,
        width=width,
        tile_tokens=TILE_TOKENS,
        has_branches=has_branches,
        num_warps=_NUM_WARPS,
        num_stages=1,
        maxnreg=_registers(qkv)[1],
    )
    return grad_qkv


@_attend_backward.register_fake
def _(
    qkv: Tensor,
    out: Tensor,
    lse: Tensor,
    grad_out: Tensor,
    tiles: Tensor,
    ends: Tensor,
    has_branches: bool,
) -> Tensor:
    return torch.empty_like(qkv, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    qkv, tiles, ends, ctx.has_branches = inputs
    out, lse = output
    ctx.mark_non_differentiable(lse)
    ctx.save_for_backward(qkv, out, lse, tiles, ends)


def _backward(ctx: Any, grad_out: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
    qkv, out, lse, tiles, ends = ctx.saved_tensors
    grad = torch.ops.dialogpt.tree_attention_backward(
        qkv, out, lse, grad_out, tiles, ends, ctx.has_branches
    )
    return grad, None, None, None


_attend.register_autograd(_backward, setup_context=_keep)
