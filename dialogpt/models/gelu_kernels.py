"""GPT-2's activation and its gradient, the bias included, as Triton kernels for NVIDIA GPUs.

gelu(x) = x s(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3) and s the logistic function, which is
the same as Hendrycks and Gimpel's tanh form (arXiv:1606.08415). A program takes some columns of
some rows.
"""

import triton
import triton.language as tl

_LOG2_E = tl.constexpr(1.4426950408889634)
_SLOPE = tl.constexpr(1.5957691216057308)  # 2 sqrt(2 / pi)
_CUBE = tl.constexpr(0.044715)


@triton.jit
def _logistic(x):
    return 1.0 / (1.0 + tl.exp2(-x * _LOG2_E))


@triton.jit
def biased_gelu(
    inner,  # (N, width)
    bias,  # (width,)
    out,  # (N, width)
    num_rows,
    width,
    rows: tl.constexpr,
    columns: tl.constexpr,
    step: tl.constexpr,
):
    """Write gelu(inner + bias)."""
    across = tl.program_id(0) * columns + tl.arange(0, columns)
    is_column = across < width
    shift = tl.load(bias + across, mask=is_column, other=0.0).to(tl.float32)
    for start in range(0, rows, step):
        down = tl.program_id(1) * rows + start + tl.arange(0, step)
        places = down.to(tl.int64)[:, None] * width + across[None, :]
        is_there = (down < num_rows)[:, None] & is_column[None, :]
        x = tl.load(inner + places, mask=is_there, other=0.0).to(tl.float32) + shift[None, :]
        value = x * _logistic(_SLOPE * (x + _CUBE * x * x * x))
        tl.store(out + places, value.to(out.dtype.element_ty), mask=is_there)


@triton.jit
def biased_gelu_backward(
    inner,  # (N, width)
    bias,  # (width,)
    grad_out,  # (N, width)
    grad_inner,  # (N, width)
    sums,  # (P, width) float32: of the gradient over each program's rows
    num_rows,
    width,
    columns: tl.constexpr,
):
    """Write the gradient of `inner`, and sums of it. A program takes every P-th row."""
    across = tl.program_id(0) * columns + tl.arange(0, columns)
    is_there = across < width
    shift = tl.load(bias + across, mask=is_there, other=0.0).to(tl.float32)
    total = tl.zeros((columns,), tl.float32)
    for row in range(tl.program_id(1), num_rows, tl.num_programs(1)):
        places = row * width.to(tl.int64) + across
        x = tl.load(inner + places, mask=is_there, other=0.0).to(tl.float32) + shift
        given = tl.load(grad_out + places, mask=is_there, other=0.0).to(tl.float32)
        share = _logistic(_SLOPE * (x + _CUBE * x * x * x))
        slope = _SLOPE * (1.0 + 3.0 * _CUBE * x * x)
        gradient = given * (share + x * share * (1.0 - share) * slope)
        tl.store(grad_inner + places, gradient.to(grad_inner.dtype.element_ty), mask=is_there)
        total += gradient
    tl.store(sums + tl.program_id(1) * width + across, total, mask=is_there)
