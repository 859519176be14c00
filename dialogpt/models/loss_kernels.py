"""Cross-entropy over the logits of a row, and its gradient, as Triton kernels for NVIDIA GPUs."""

import triton
import triton.language as tl

_LOG2_E = tl.constexpr(1.4426950408889634)
_MASKED = tl.constexpr(-1.0e30)


@triton.jit
def nll_and_gradient(
    logits,  # (M, width), 16 bits; becomes weights * (softmax(logits) - one_hot(targets))
    targets,  # (M,) int64
    weights,  # (M,) float32
    losses,  # (M,) float32, nats times weight
    num_ids,  # ids of the vocabulary; the columns behind them are padding, and get 0
    width,
    block: tl.constexpr,
):
    """Write a row's weighted loss, and its gradient in the place of the logits."""
    row = tl.program_id(0).to(tl.int64)
    logits += row * width
    target = tl.load(targets + row)
    weight = tl.load(weights + row)
    places = tl.arange(0, block)
    highest = tl.full((block,), _MASKED, tl.float32)
    total = tl.zeros((block,), tl.float32)
    for start in range(0, num_ids, block):
        ids = start + places
        value = tl.load(logits + ids, mask=ids < num_ids, other=_MASKED).to(tl.float32) * _LOG2_E
        new_highest = tl.maximum(highest, value)
        total = total * tl.exp2(highest - new_highest) + tl.exp2(value - new_highest)
        highest = new_highest
    peak = tl.max(highest)
    log2_total = peak + tl.log2(tl.sum(total * tl.exp2(highest - peak)))
    found = tl.load(logits + target).to(tl.float32) * _LOG2_E
    tl.store(losses + row, weight * (log2_total - found) / _LOG2_E)
    tl.debug_barrier()  # all have read the target's logit before it is written over
    for start in range(0, width, block):
        ids = start + places
        value = tl.load(logits + ids, mask=ids < num_ids, other=_MASKED).to(tl.float32)
        gradient = tl.exp2(value * _LOG2_E - log2_total)
        gradient = weight * tl.where(ids == target, gradient - 1.0, gradient)
        tl.store(logits + ids, gradient.to(logits.dtype.element_ty), mask=ids < width)


@triton.jit
def row_logsumexp(
    logits,  # (M, pitch)
    out,  # (M,) float32 nats
    num_ids,  # ids of the vocabulary; the columns behind them are not looked at
    pitch,
    block: tl.constexpr,
):
    """Write the logarithm of a row's sum of exponentials."""
    row = tl.program_id(0).to(tl.int64)
    places = tl.arange(0, block)
    highest = tl.full((block,), _MASKED, tl.float32)
    total = tl.zeros((block,), tl.float32)
    for start in range(0, num_ids, block):
        ids = start + places
        value = tl.load(logits + row * pitch + ids, mask=ids < num_ids, other=_MASKED)
        value = value.to(tl.float32) * _LOG2_E
        new_highest = tl.maximum(highest, value)
        total = total * tl.exp2(highest - new_highest) + tl.exp2(value - new_highest)
        highest = new_highest
    peak = tl.max(highest)
    tl.store(out + row, (peak + tl.log2(tl.sum(total * tl.exp2(highest - peak)))) / _LOG2_E)
