"""Model FLOPs utilisation: which part of what the devices can compute the model makes use of.

Chowdhery et al. 2022, "PaLM", arXiv:2204.02311, appendix B: the operations that the model needs for
the tokens of a second, over the peak rate of the hardware. What is computed twice, on padding, or
not at all because the device waits, counts for nothing.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dialogpt.distributed import ResolvedPrecision
from dialogpt.models.gpt2 import DialogueModel

_TERA = 1e12

# Dense products of bf16 or fp16 with sums in float32, from NVIDIA's data sheets and the GA102 and
# AD102 white papers; data sheets that give sparse rates are halved. Whole names only, as torch says
# them: a part of a card (MIG), a slower variant or a new card must not pass for one in the list.
_PEAK_RATES: tuple[tuple[str, float], ...] = (
    (r"Tesla V100-(SXM2|SXM3)-\d+GB(-LS)?", 125.0 * _TERA),
    (r"Tesla V100-(PCIE|FHHL|DGXS)-\d+GB", 112.0 * _TERA),
    (r"Tesla V100S-PCIE-\d+GB", 130.0 * _TERA),
    (r"Tesla T4|T4", 65.0 * _TERA),
    (r"A100-SXM4-\d+GB|A100-PCIE-\d+GB|A100 \d+GB PCIe", 312.0 * _TERA),
    (r"A30", 165.0 * _TERA),
    (r"A40", 149.7 * _TERA),
    (r"A10", 125.0 * _TERA),
    (r"RTX A6000", 154.8 * _TERA),
    (r"H100 \d+GB HBM3", 989.4 * _TERA),
    (r"H100 PCIe", 756.0 * _TERA),
    (r"H100 NVL", 835.0 * _TERA),
    (r"H200|GH200 \d+GB", 989.4 * _TERA),
    (r"H200 NVL", 835.5 * _TERA),
    (r"L4", 121.0 * _TERA),
    (r"L40", 181.0 * _TERA),
    (r"L40S", 362.0 * _TERA),
    (r"GeForce RTX 3090", 71.0 * _TERA),
    (r"GeForce RTX 3090 Ti", 80.0 * _TERA),
    (r"GeForce RTX 4090", 165.2 * _TERA),
)


def peak_rate(device_name: str, precision: ResolvedPrecision) -> float | None:
    """Floating-point operations a second at most; None for a device that is not known.

    Args:
        device_name: as `torch.cuda.get_device_name` gives it.
        precision: of the products; none is known for fp32.
    """
    if precision == "fp32":
        return None
    name = device_name.removeprefix("NVIDIA ")
    return next((rate for pattern, rate in _PEAK_RATES if re.fullmatch(pattern, name)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFlops:
    """What one token costs in training, forward and backward.

    PaLM's 6 N + 12 L H Q T, with two things counted more closely. A weight counts where it takes
    part in a product: position vectors, biases and layer norms do not, and the output projection
    does only for the tokens that are targets, as no other needs logits. And a dialogue's tokens
    attend within the dialogue, so T is its own length. As in PaLM, attention is not halved for
    being causal.

    Attributes:
        num_block_weights: of the matrices in the L transformer blocks.
        num_output_weights: of the output projection.
        attention_width: L H Q, the widths of all attention layers together.
        mean_length: T for the average token, see `mean_length_over_tokens`.
    """

    num_block_weights: int
    num_output_weights: int
    attention_width: int
    mean_length: float

    def per_token(self, target_share: float) -> float:
        """Floating-point operations; target_share is the share of tokens that are targets."""
        weights = self.num_block_weights + target_share * self.num_output_weights
        return 6.0 * weights + 12.0 * self.attention_width * self.mean_length


def model_flops(model: DialogueModel, *, mean_length: float) -> ModelFlops:
    """The costs of a GPT-2; mean_length as in `ModelFlops`."""
    gpt2 = model.language_model
    matrices = (p.numel() for p in gpt2.transformer.h.parameters() if p.ndim == 2)
    return ModelFlops(
        num_block_weights=sum(matrices),
        num_output_weights=gpt2.lm_head.weight.numel(),
        attention_width=gpt2.config.n_layer * gpt2.config.n_embd,
        mean_length=mean_length,
    )


def mean_length_over_tokens(lengths: NDArray[np.integer]) -> float:
    """The length of the row of the average token: sum of squares over sum.

    Larger than the mean over rows, since a long row has more tokens, and each attends to more.

    Args:
        lengths: (rows,) tokens.
    """
    exact = lengths.astype(np.float64)
    return float((exact**2).sum() / max(1.0, exact.sum()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Utilisation:
    """Turns a speed into model FLOPs utilisation.

    Attributes:
        flops: what a token costs.
        peak_rate: floating-point operations a second of all devices together.
    """

    flops: ModelFlops
    peak_rate: float

    def share(self, tokens_per_second: float, *, target_share: float) -> float:
        """Model FLOPs utilisation, from 0 to 1.

        Args:
            tokens_per_second: over all ranks, without padding.
            target_share: share of these tokens that are targets.
        """
        return tokens_per_second * self.flops.per_token(target_share) / self.peak_rate


def build_utilisation(
    model: DialogueModel,
    lengths: NDArray[np.integer],
    *,
    device: torch.device,
    precision: ResolvedPrecision,
    num_ranks: int,
) -> Utilisation | None:
    """For a run; None where the peak rate of its devices is not known.

    Args:
        model: to be trained.
        lengths: (dialogues,) tokens of each row.
        device: of this rank; the others are taken to be alike.
        precision: of the products.
        num_ranks: devices.
    """
    name = device_name(device)
    rate = None if name is None else peak_rate(name, precision)
    if rate is None:
        return None
    flops = model_flops(model, mean_length=mean_length_over_tokens(lengths))
    return Utilisation(flops=flops, peak_rate=num_ranks * rate)


def device_name(device: torch.device) -> str | None:
    """The name of a CUDA device; None for others."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
