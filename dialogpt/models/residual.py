"""The residual stream, what a layer adds to it, and the layer norm behind: one kernel each way.

Shapes: N tokens, W width. For training; `dialogpt.models.norm` is for inference. On the way back
one kernel makes the gradients of the stream and of what was added, and sums over tokens for the
norm's weights and the layer's bias, which otherwise take another look each at all of it. What is
dropped is drawn again there instead of being kept.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MAX_COLUMNS = 8192  # of a row that one program holds
_PROGRAMS = 528
"""That share the rows on the way back, four on each multiprocessor of a Hopper GPU. As many on any
card, so that sums are added up in one order, and rounded alike."""
_PROGRAMS_OF_WIDE = 396
"""Of more than 1,024 columns, which take more registers."""


def join_and_norm(
    stream: Tensor, product: Tensor, bias: Tensor, norm: nn.LayerNorm, *, rate: float
) -> tuple[Tensor, Tensor]:
    """Stream + dropout(product + bias), and its layer norm; both (N, W), of the kind of stream.

    The norm is computed in the precision of its weights, by the kernel in float32.

    Args:
        stream: (N, W).
        product: (N, W), what a layer adds, without its bias.
        bias: (W,), that bias.
        norm: over W.
        rate: the share of what is added that is dropped (Srivastava et al. 2014).
    """
    columns = _columns(stream.shape[1])
    is_short = stream.dtype in (torch.bfloat16, torch.float16)
    if stream.is_cuda and is_short and columns <= _MAX_COLUMNS:
        seed = torch.randint(1 << 62, (int(rate > 0.0),), device=stream.device)
        joined, normed, _ = torch.ops.dialogpt.join_and_norm(
            stream, product, bias, norm.weight, norm.bias, seed, norm.eps, rate
        )
        return joined, normed
    update = product + bias.to(product.dtype)
    stream = stream + (F.dropout(update, rate) if rate else update)
    shape = list(norm.normalized_shape)
    normed = F.layer_norm(stream.to(norm.weight.dtype), shape, norm.weight, norm.bias, norm.eps)
    return stream, normed.to(stream.dtype)


def _columns(width: int) -> int:
    return 1 << (width - 1).bit_length()


@torch.library.custom_op("dialogpt::join_and_norm", mutates_args=())
def _join(
    stream: Tensor,
    product: Tensor,
    bias: Tensor,
    scale: Tensor,
    shift: Tensor,
    seed: Tensor,
    eps: float,
    rate: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Both results, and (2, N) float32: mean and reciprocal standard deviation of each token.

    `seed` is (1,) int64, or (0,) if nothing is dropped.
    """
    from dialogpt.models import norm_kernels as kernels

    num_tokens, width = stream.shape
    stream, product = stream.contiguous(), product.contiguous()
    joined, normed = torch.empty_like(stream), torch.empty_like(stream)
    moments = stream.new_empty(2, num_tokens, dtype=torch.float32)
    kernels.join_and_norm[(num_tokens,)](
        *(stream, product, bias, scale, shift, seed, joined, normed, moments),
        *(num_tokens, width, eps, rate),
        drops=rate > 0.0,
        columns=_columns(width),
        num_warps=2,
    )
    return joined, normed, moments


@_join.register_fake
def _(
    stream: Tensor,
    product: Tensor,
    bias: Tensor,
    scale: Tensor,
    shift: Tensor,
    seed: Tensor,
    eps: float,
    rate: float,
) -> tuple[Tensor, Tensor, Tensor]:
    moments = stream.new_empty(2, stream.shape[0], dtype=torch.float32)
    joined = torch.empty_like(stream, memory_format=torch.contiguous_format)
    return joined, torch.empty_like(joined), moments


@torch.library.custom_op("dialogpt::join_and_norm_backward", mutates_args=())
def _join_backward(
    grad_joined: Tensor,
    grad_normed: Tensor,
    joined: Tensor,
    moments: Tensor,
    scale: Tensor,
    seed: Tensor,
    rate: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of stream and product, (N, W), and sums of programs, (P, 3, W) float32.

    The sums are of the gradients of scale, shift and bias. If nothing is dropped, stream and
    product have one gradient, and the second is (0, W).
    """
    from dialogpt.models import norm_kernels as kernels

    num_tokens, width = joined.shape
    grad_joined, grad_normed = grad_joined.contiguous(), grad_normed.contiguous()
    grad_stream = torch.empty_like(joined)
    grad_product = torch.empty_like(joined if rate else joined[:0])
    columns = _columns(width)
    sums = joined.new_empty(_num_programs(width), 3, width, dtype=torch.float32)
    kernels.join_and_norm_backward[(len(sums),)](
        *(grad_joined, grad_normed, joined, moments, scale, seed, grad_stream, grad_product, sums),
        *(num_tokens, width, rate),
        drops=rate > 0.0,
        columns=columns,
        num_warps=4,
    )
    return grad_stream, grad_product, sums


def _num_programs(width: int) -> int:
    return _PROGRAMS if width <= 1024 else _PROGRAMS_OF_WIDE


@_join_backward.register_fake
def _(
    grad_joined: Tensor,
    grad_normed: Tensor,
    joined: Tensor,
    moments: Tensor,
    scale: Tensor,
    seed: Tensor,
    rate: float,
) -> tuple[Tensor, Tensor, Tensor]:
    width = joined.shape[1]
    sums = joined.new_empty(_num_programs(width), 3, width, dtype=torch.float32)
    return torch.empty_like(joined), torch.empty_like(joined if rate else joined[:0]), sums


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *_, scale, _, seed, _, ctx.rate = inputs
    joined, _, moments = output
    ctx.mark_non_differentiable(moments)
    ctx.save_for_backward(joined, moments, scale, seed)


def _differentiate(
    ctx: Any, grad_joined: Tensor, grad_normed: Tensor, _: Tensor
) -> tuple[Tensor | None, ...]:
    joined, moments, scale, seed = ctx.saved_tensors
    grad_stream, grad_product, sums = torch.ops.dialogpt.join_and_norm_backward(
        grad_joined, grad_normed, joined, moments, scale, seed, ctx.rate
    )
    grad_scale, grad_shift, grad_bias = sums.sum(dim=0).to(scale.dtype).unbind()
    grad_product = grad_product if ctx.rate else grad_stream
    return grad_stream, grad_product, grad_bias, grad_scale, grad_shift, None, None, None


_join.register_autograd(_differentiate, setup_context=_keep)
