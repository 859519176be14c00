"""GPT-2's activation with the bias before it: by Triton's kernels on a GPU, else by torch.

Shapes: N rows, W width. One kernel on the way back makes the gradient of the product and that of
the bias, which otherwise takes another look at all of it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ROWS, _COLUMNS, _STEP, _NUM_WARPS = 128, 128, 16, 4


def biased_gelu(inner: Tensor, bias: Tensor) -> Tensor:
    """gelu(inner + bias) in the tanh form, (N, W).

    Args:
        inner: (N, W).
        bias: (W,).
    """
    if inner.is_cuda and inner.dtype in (torch.bfloat16, torch.float16):
        return torch.ops.dialogpt.biased_gelu(inner, bias)  # type: ignore[no-any-return]
    return F.gelu(inner + bias.to(inner.dtype), approximate="tanh")


def _grid(inner: Tensor) -> tuple[int, int]:
    num_rows, width = inner.shape
    return -(-width // _COLUMNS), -(-num_rows // _ROWS)


@torch.library.custom_op("dialogpt::biased_gelu", mutates_args=())
def _forward(inner: Tensor, bias: Tensor) -> Tensor:
    from dialogpt.models import gelu_kernels as kernels

    inner = inner.contiguous()
    out = torch.empty_like(inner)
    kernels.biased_gelu[_grid(inner)](
        *(inner, bias, out, *inner.shape),
        rows=_ROWS,
        columns=_COLUMNS,
        step=_STEP,
        num_warps=_NUM_WARPS,
    )
    return out


@_forward.register_fake
def _(inner: Tensor, bias: Tensor) -> Tensor:
    return torch.empty_like(inner, memory_format=torch.contiguous_format)


@torch.library.custom_op("dialogpt::biased_gelu_backward", mutates_args=())
def _backward(inner: Tensor, bias: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of inner, (N, W), and that of the bias, (W,) float32."""
    from dialogpt.models import gelu_kernels as kernels

    inner = inner.contiguous()
    grad_inner = torch.empty_like(inner)
    grid = _grid(inner)
    sums = inner.new_empty(grid[1], inner.shape[1], dtype=torch.float32)
    kernels.biased_gelu_backward[grid](
        *(inner, bias, grad_out.contiguous(), grad_inner, sums, *inner.shape),
        rows=_ROWS,
        columns=_COLUMNS,
        step=_STEP,
        num_warps=_NUM_WARPS,
    )
    return grad_inner, sums.sum(dim=0)


@_backward.register_fake
def _(inner: Tensor, bias: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    grad_bias = inner.new_empty(inner.shape[1], dtype=torch.float32)
    return torch.empty_like(inner, memory_format=torch.contiguous_format), grad_bias


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    inner, bias = ctx.saved_tensors
    grad_inner, grad_bias = torch.ops.dialogpt.biased_gelu_backward(inner, bias, grad_out)
    return grad_inner, grad_bias.to(bias.dtype)


_forward.register_autograd(_differentiate, setup_context=_keep)
