"""The denominators of softmax: by a Triton kernel on a GPU, else by torch.

Shapes: N rows, V vocabulary.
"""

import torch
from torch import Tensor

from dialogpt.models.tree_attention import has_kernels

_BLOCK, _NUM_WARPS = 2048, 4


def row_logsumexp(logits: Tensor) -> Tensor:
    """(N,) log of each row's sum of exponentials, in nats; one look at (N, V) float32 logits."""
    if has_kernels(logits.device) and logits.stride(1) == 1:
        from dialogpt.models import loss_kernels as kernels

        out = logits.new_empty(len(logits))
        kernels.row_logsumexp[(len(logits),)](
            *(logits, out, logits.shape[1], logits.stride(0)), block=_BLOCK, num_warps=_NUM_WARPS
        )
        return out
    # torch's logsumexp takes a CPU more than twice as long as its log_softmax.
    return logits[:, 0] - torch.log_softmax(logits, dim=-1)[:, 0]
