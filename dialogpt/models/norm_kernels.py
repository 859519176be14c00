"""The residual stream and the layer norm behind it as Triton kernels for NVIDIA GPUs.

`add_and_norm` is for inference, the others for training. On the way forward a program takes one
token, on the way back every P-th, of P programs.
"""

import triton
import triton.language as tl


@triton.jit
def _normed(x, scale, shift, width, eps, columns: tl.constexpr):
    """The layer norm of a row (columns,), its mean and its reciprocal standard deviation."""
    column = tl.arange(0, columns)
    is_there = column < width
    mean = tl.sum(x, 0) / width
    away = tl.where(is_there, x - mean, 0.0)
    spread = tl.rsqrt(tl.sum(away * away, 0) / width + eps)
    a = tl.load(scale + column, mask=is_there, other=0.0).to(tl.float32)
    b = tl.load(shift + column, mask=is_there, other=0.0).to(tl.float32)
    return away * spread * a + b, mean, spread


@triton.jit
def add_and_norm(
    stream,  # (N, width), changed
    update,  # (N, width)
    bias,  # (width,) of the update
    scale,  # (width,) of the norm
    shift,  # (width,) of the norm
    normed,  # (N, width), written
    width,
    eps,
    has_update: tl.constexpr,
    columns: tl.constexpr,  # a power of two, at least width
):
    """Add update and bias to the stream, and write the norm of the sum."""
    column = tl.arange(0, columns)
    is_there = column < width
    places = tl.program_id(0).to(tl.int64) * width + column
    x = tl.load(stream + places, mask=is_there, other=0.0).to(tl.float32)
    if has_update:
        x += tl.load(update + places, mask=is_there, other=0.0).to(tl.float32)
        x += tl.load(bias + column, mask=is_there, other=0.0).to(tl.float32)
        tl.store(stream + places, x.to(stream.dtype.element_ty), mask=is_there)
    value, _, _ = _normed(x, scale, shift, width, eps, columns)
    tl.store(normed + places, value.to(normed.dtype.element_ty), mask=is_there)


@triton.jit
def _is_kept(seed, row, rate, columns: tl.constexpr):
    """(columns,): which numbers of a row dropout keeps.

    Philox with 7 rounds (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", which
    passes the tests of randomness from 7 on) makes four numbers a call.
    """
    quarter = tl.arange(0, columns // 4)
    a, b, c, d = tl.rand4x(seed, row * (columns // 4) + quarter, n_rounds=7)
    return tl.interleave(tl.interleave(a, c), tl.interleave(b, d)) >= rate


@triton.jit
def join_and_norm(
    stream,  # (N, width)
    product,  # (N, width)
    bias,  # (width,) of the product
    scale,  # (width,) of the norm
    shift,  # (width,) of the norm
    seed,  # (1,) int64, where something is dropped
    joined,  # (N, width), written
    normed,  # (N, width), written
    moments,  # (2, N) float32, written: mean, reciprocal standard deviation
    num_rows,
    width,
    eps,
    rate,
    drops: tl.constexpr,
    columns: tl.constexpr,  # a power of two, at least width
):
    """Write stream + dropout(product + bias), and the norm of it as it is written."""
    row = tl.program_id(0)
    column = tl.arange(0, columns)
    is_there = column < width
    places = row.to(tl.int64) * width + column
    x = tl.load(stream + places, mask=is_there, other=0.0).to(tl.float32)
    update = tl.load(product + places, mask=is_there, other=0.0).to(tl.float32)
    update += tl.load(bias + column, mask=is_there, other=0.0).to(tl.float32)
    if drops:
        update = tl.where(_is_kept(tl.load(seed), row, rate, columns), update / (1.0 - rate), 0.0)
    rounded = (x + update).to(joined.dtype.element_ty)
    tl.store(joined + places, rounded, mask=is_there)
    x = rounded.to(tl.float32)
    value, mean, spread = _normed(x, scale, shift, width, eps, columns)
    tl.store(normed + places, value.to(normed.dtype.element_ty), mask=is_there)
    tl.store(moments + row, mean)
    tl.store(moments + num_rows + row, spread)


@triton.jit
def join_and_norm_backward(
    grad_joined,  # (N, width)
    grad_normed,  # (N, width)
    joined,  # (N, width)
    moments,  # (2, N)
    scale,  # (width,)
    seed,  # (1,) int64, where something is dropped
    grad_stream,  # (N, width), written
    grad_product,  # (N, width), written where something is dropped; else it is grad_stream
    sums,  # (P, 3, width) float32, written: gradients of scale, shift and bias, of a program's rows
    num_rows,
    width,
    rate,
    drops: tl.constexpr,
    columns: tl.constexpr,
):
    """Write the gradients of what `join_and_norm` read."""
    column = tl.arange(0, columns)
    is_there = column < width
    a = tl.load(scale + column, mask=is_there, other=0.0).to(tl.float32)
    of_scale = tl.zeros((columns,), tl.float32)
    of_shift = tl.zeros((columns,), tl.float32)
    of_bias = tl.zeros((columns,), tl.float32)
    for row in tl.range(tl.program_id(0), num_rows, tl.num_programs(0), num_stages=3):
        places = row * width.to(tl.int64) + column
        given = tl.load(grad_normed + places, mask=is_there, other=0.0).to(tl.float32)
        x = tl.load(joined + places, mask=is_there, other=0.0).to(tl.float32)
        gradient = tl.load(grad_joined + places, mask=is_there, other=0.0).to(tl.float32)
        spread = tl.load(moments + num_rows + row)
        away = (x - tl.load(moments + row)) * spread
        of_scale += given * away
        of_shift += given
        given *= a
        mean = tl.sum(given, 0) / width
        slope = tl.sum(given * away, 0) / width
        gradient += spread * (given - mean - away * slope)
        tl.store(grad_stream + places, gradient.to(grad_stream.dtype.element_ty), mask=is_there)
        if drops:
            is_kept = _is_kept(tl.load(seed), row, rate, columns)
            gradient = tl.where(is_kept, gradient / (1.0 - rate), 0.0)
            kind = grad_product.dtype.element_ty
            tl.store(grad_product + places, gradient.to(kind), mask=is_there)
        of_bias += gradient
    place = sums + tl.program_id(0) * 3 * width + column
    tl.store(place, of_scale, mask=is_there)
    tl.store(place + width, of_shift, mask=is_there)
    tl.store(place + 2 * width, of_bias, mask=is_there)
