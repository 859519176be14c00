"""Losses as sums: only the caller knows all micro-batches and ranks, so only the caller divides.

Shapes: B rows, T tokens, H width, V vocabulary, N scored tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dialogpt.records import IGNORE_INDEX


def scored_positions(hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The hidden states that predict a target, and the targets.

    The output layer is then computed at N positions instead of B x T, which for a vocabulary of
    50,257 is most of the memory of a small model.

    Args:
        hidden: (B, T, H); position t predicts the token at t + 1.
        labels: (B, T) int64, in step with the inputs, not shifted; IGNORE_INDEX where no loss is
            wanted.

    Returns:
        states: (N, H).
        targets: (N,) int64.

    Raises:
        ValueError: hidden and labels disagree on B or T.
    """
    if hidden.shape[:2] != labels.shape:
        raise ValueError(f"B, T of hidden {hidden.shape} and labels {labels.shape} must agree")
    next_tokens = labels[:, 1:]
    scored = next_tokens != IGNORE_INDEX
    return hidden[:, :-1][scored], next_tokens[scored]


def token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Summed negative log-likelihood, () float32 (float64 for such logits), nats; 0 for no targets.

    The log-softmax of 16-bit logits is computed in float32: in half precision a sum over the
    vocabulary loses the digits that the loss is made of.

    Args:
        logits: (N, V) float.
        targets: (N,) int64.
    """
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(precise, targets, reduction="sum")
