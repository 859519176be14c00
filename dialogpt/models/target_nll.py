"""The output layer and its loss, some rows at a time, so that all logits never are in memory.

Shapes: M targets, W width, V vocabulary. The gradient is computed on the way forward, while the
logits are at hand: 50,257 of them in float32, for 32,768 targets, would be 6.6 GB, and their
gradient as much again.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_BYTES = 1 << 30
"""Of logits that are in memory at once."""
_COLUMNS = 64
"""The vocabulary is padded to a multiple: tensor cores work on whole tiles."""


def target_nll(states: Tensor, table: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the targets' negative log-likelihood, () float32 or float64, nats.

    Args:
        states: (M, W), from which each target is predicted; their kind is that of the products.
        table: (V, W) the output layer, which is also the table of token embeddings.
        targets: (M,) int64.
        weights: (M,) float32, how often each target counts.
    """
    # Asked for here: inside of `forward` gradients are off, and a parameter says it wants one.
    with_gradient = torch.is_grad_enabled()
    total: Tensor = _TargetNll.apply(  # type: ignore[no-untyped-call]
        states, table, targets, weights, with_gradient
    )
    return total


class _TargetNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        table: Tensor,
        targets: Tensor,
        weights: Tensor,
        with_gradient: bool,
    ) -> Tensor:
        num_ids = len(table)
        padded = F.pad(table.detach().to(states.dtype), (0, 0, 0, -num_ids % _COLUMNS))
        wants_gradient = with_gradient and any(ctx.needs_input_grad)
        kind = torch.promote_types(states.dtype, torch.float32)
        losses = states.new_zeros(len(states), dtype=kind)
        grad_states = torch.empty_like(states) if wants_gradient else None
        grad_table = torch.zeros_like(padded, dtype=kind) if wants_gradient else None
        rows = max(1, CHUNK_BYTES // (padded.element_size() * len(padded)))
        logits = states.new_empty(min(rows, len(states)), len(padded))
        for start in range(0, len(states), rows):
            some = slice(start, start + rows)
            product = torch.mm(states[some], padded.T, out=logits[: len(states[some])])
            _nll_and_gradient(product, targets[some], weights[some], losses[some], num_ids)
            if grad_states is not None and grad_table is not None:
                torch.mm(product, padded, out=grad_states[some])
                _add_product(grad_table, product.T, states[some])
        if grad_states is not None and grad_table is not None:
            ctx.save_for_backward(grad_states, grad_table[:num_ids].to(table.dtype))
        return losses.sum()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_states, grad_table = ctx.saved_tensors
        return grad_states * grad_outputs[0], grad_table * grad_outputs[0], None, None, None


def product_as(left: Tensor, right: Tensor, kind: torch.dtype) -> Tensor:
    """The product in a higher precision than theirs, unrounded where there is a kernel for that."""
    if left.is_cuda and left.dtype != kind == torch.float32:
        return torch.mm(left, right, out_dtype=kind)
    return torch.mm(left, right).to(kind)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a total of higher precision."""
    if total.is_cuda and total.dtype != left.dtype:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total += left @ right


def _nll_and_gradient(
    logits: Tensor, targets: Tensor, weights: Tensor, losses: Tensor, num_ids: int
) -> None:
    """Weighted losses of rows of logits; the logits become their gradient.

    From num_ids on they are 0 and stay so: the table's padding is 0.
    """
    if logits.is_cuda and logits.dtype in (torch.bfloat16, torch.float16):
        from dialogpt.models import loss_kernels

        num_rows, width = logits.shape
        loss_kernels.nll_and_gradient[(num_rows,)](
            *(logits, targets, weights, losses, num_ids, width), block=4096, num_warps=8
        )
        return
    log_probs = logits[:, :num_ids].to(losses.dtype).log_softmax(dim=1)
    losses.copy_(-log_probs.gather(1, targets[:, None])[:, 0] * weights)
    gradient = log_probs.exp_()
    gradient.scatter_add_(1, targets[:, None], gradient.new_full((len(targets), 1), -1.0))
    logits[:, :num_ids] = (gradient * weights[:, None]).to(logits.dtype)
