"""The residual stream and the layer norm behind it: one Triton kernel on a GPU, else torch.

Shapes: N tokens, W width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MAX_WIDTH = 8192  # of a row that one program holds


def add_and_norm(
    stream: Tensor,
    update: Tensor | None,
    bias: Tensor | None,
    norm: nn.LayerNorm,
    *,
    by_kernel: bool,
) -> tuple[Tensor, Tensor]:
    """The sum stream + update + bias, and its layer norm; both (N, W), of the kind of stream.

    For inference: no gradient flows through the kernel.

    Args:
        stream: (N, W).
        update: (N, W), a product; None adds nothing.
        bias: (W,) that the product lacks; None if there is no update.
        norm: over W.
        by_kernel: whether Triton may be used; the kernel changes `stream` itself.
    """
    if by_kernel and stream.shape[1] <= _MAX_WIDTH:
        return _by_kernel(stream, update, bias, norm)
    if update is not None:
        stream = stream + update if bias is None else stream + (update + bias)
    shape = list(norm.normalized_shape)
    normed = F.layer_norm(stream, shape, norm.weight, norm.bias, norm.eps)
    return stream, normed


def _by_kernel(
    stream: Tensor, update: Tensor | None, bias: Tensor | None, norm: nn.LayerNorm
) -> tuple[Tensor, Tensor]:
    from dialogpt.models import norm_kernels as kernels

    num_tokens, width = stream.shape
    normed = torch.empty_like(stream)
    kernels.add_and_norm[(num_tokens,)](
        *(stream, stream if update is None else update, norm.bias if bias is None else bias),
        *(norm.weight, norm.bias, normed, width, norm.eps),
        has_update=update is not None,
        columns=1 << (width - 1).bit_length(),
        num_warps=4,
    )
    return stream, normed
