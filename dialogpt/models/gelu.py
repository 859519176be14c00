"""GPT-2's activation with the bias before it: by Triton's kernels on a GPU, else by torch.

Shapes: N rows, W width. One kernel on the way back makes the gradient of the product and that of
the bias, which otherwise takes another look at all of it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_SHAPE = {"rows": 64, "columns": 128, "step": 16, "num_warps": 8}
_COLUMNS_BACKWARD, _MOST_ROWS_BACKWARD, _FEWEST_ROWS_BACKWARD = 512, 128, 16
_ROW_PROGRAMS = 256
"""At least so many share the rows on the way back, as long as each has enough of them."""


def biased_gelu(inner: Tensor, bias: Tensor) -> Tensor:
    """gelu(inner + bias) in the tanh form, (N, W).

    Args:
        inner: (N, W).
        bias: (W,).
    """
    if inner.is_cuda and inner.dtype in (torch.bfloat16, torch.float16):
        return torch.ops.dialogpt.biased_gelu(inner, bias)  # type: ignore[no-any-return]
    return F.gelu(inner + bias.to(inner.dtype), approximate="tanh")


def _shape_backward(inner: Tensor) -> dict[str, int]:
    rows = _MOST_ROWS_BACKWARD
    while rows > _FEWEST_ROWS_BACKWARD and len(inner) < rows * _ROW_PROGRAMS:
        rows //= 2
    return {"rows": rows, "columns": _COLUMNS_BACKWARD, "step": 1, "num_warps": 4}


def _grid(inner: Tensor, shape: dict[str, int]) -> tuple[int, int]:
    num_rows, width = inner.shape
    return -(-width // shape["columns"]), -(-num_rows // shape["rows"])


@torch.library.custom_op("dialogpt::biased_gelu", mutates_args=())
def _forward(inner: Tensor, bias: Tensor) -> Tensor:
    from dialogpt.models import gelu_kernels as kernels

    inner = inner.contiguous()
    out = torch.empty_like(inner)
    kernels.biased_gelu[_grid(inner, _SHAPE)](inner, bias, out, *inner.shape, **_SHAPE)
    return out


@_forward.register_fake
def _(inner: Tensor, bias: Tensor) -> Tensor:
    return torch.empty_like(inner, memory_format=torch.contiguous_format)


@torch.library.custom_op("dialogpt::biased_gelu_backward", mutates_args=())
def _backward(inner: Tensor, bias: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of inner, (N, W), and sums of it over some rows each, (P, W) float32."""
    from dialogpt.models import gelu_kernels as kernels

    inner = inner.contiguous()
    grad_inner = torch.empty_like(inner)
    shape = _shape_backward(inner)
    grid = _grid(inner, shape)
    sums = inner.new_empty(grid[1], inner.shape[1], dtype=torch.float32)
    kernels.biased_gelu_backward[grid](
        *(inner, bias, grad_out.contiguous(), grad_inner, sums, *inner.shape), **shape
    )
    return grad_inner, sums


@_backward.register_fake
def _(inner: Tensor, bias: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    _, num_sums = _grid(inner, _shape_backward(inner))
    sums = inner.new_empty(num_sums, inner.shape[1], dtype=torch.float32)
    return torch.empty_like(inner, memory_format=torch.contiguous_format), sums


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    inner, bias = ctx.saved_tensors
    grad_inner, sums = torch.ops.dialogpt.biased_gelu_backward(inner, bias, grad_out)
    return grad_inner, sums.sum(dim=0).to(bias.dtype)  # here, where torch compiles it


_forward.register_autograd(_differentiate, setup_context=_keep)
