"""GPT-2's activation with the bias before it: by Triton's kernels on a GPU, else by torch.

Shapes: N rows, W width. One kernel on the way back makes the gradient of the product and that of
the bias, which otherwise takes another look at all of it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_SHAPE = {"rows": 64, "columns": 128, "step": 16, "num_warps": 8}
_SHAPE_BACKWARD = {"columns": 512, "num_warps": 4}
_PROGRAMS = 512
"""That share the rows on the way back. The same for all numbers of rows, of which compiled code
then need not know."""


def biased_gelu(inner: Tensor, bias: Tensor) -> Tensor:
    """gelu(inner + bias) in the tanh form, (N, W).

    Args:
        inner: (N, W).
        bias: (W,).
    """
    if inner.is_cuda and inner.dtype in (torch.bfloat16, torch.float16):
        return torch.ops.dialogpt.biased_gelu(inner, bias)  # type: ignore[no-any-return]
    return F.gelu(inner + bias.to(inner.dtype), approximate="tanh")


@torch.library.custom_op("dialogpt::biased_gelu", mutates_args=())
def _forward(inner: Tensor, bias: Tensor) -> Tensor:
    from dialogpt.models import gelu_kernels as kernels

    inner = inner.contiguous()
    out = torch.empty_like(inner)
    num_rows, width = inner.shape
    grid = (-(-width // _SHAPE["columns"]), -(-num_rows // _SHAPE["rows"]))
    kernels.biased_gelu[grid](inner, bias, out, num_rows, width, **_SHAPE)
    return out


@_forward.register_fake
def _(inner: Tensor, bias: Tensor) -> Tensor:
    return torch.empty_like(inner, memory_format=torch.contiguous_format)


@torch.library.custom_op("dialogpt::biased_gelu_backward", mutates_args=())
def _backward(inner: Tensor, bias: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of inner, (N, W), and sums of it over each program's rows, (P, W) float32."""
    from dialogpt.models import gelu_kernels as kernels

    inner = inner.contiguous()
    grad_inner = torch.empty_like(inner)
    num_rows, width = inner.shape
    sums = inner.new_empty(_PROGRAMS, width, dtype=torch.float32)
    kernels.biased_gelu_backward[-(-width // _SHAPE_BACKWARD["columns"]), _PROGRAMS](
        *(inner, bias, grad_out.contiguous(), grad_inner, sums, num_rows, width), **_SHAPE_BACKWARD
    )
    return grad_inner, sums


@_backward.register_fake
def _(inner: Tensor, bias: Tensor, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    sums = inner.new_empty(_PROGRAMS, inner.shape[1], dtype=torch.float32)
    return torch.empty_like(inner, memory_format=torch.contiguous_format), sums


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor, Tensor]:
    inner, bias = ctx.saved_tensors
    grad_inner, sums = torch.ops.dialogpt.biased_gelu_backward(inner, bias, grad_out)
    return grad_inner, sums.sum(dim=0).to(bias.dtype)  # here, where torch compiles it


_forward.register_autograd(_differentiate, setup_context=_keep)
