"""How much GPU memory a run takes, known before it starts; and how many tokens fit at once.

Counted from what the backward pass needs: see the constants. `benchmarks/training.py memory` holds
the estimate against what GPUs took; docs/benchmarks.md has the table.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from dialogpt.command_line import UserError
from dialogpt.config.training import TrainConfig
from dialogpt.distributed import ResolvedPrecision, least_of_ranks, num_ranks
from dialogpt.models.gpt2 import ModelSizes
from dialogpt.models.target_nll import CHUNK_BYTES
from dialogpt.train.recorded import most_tokens

logger = logging.getLogger(__name__)

DEFAULT_TOKENS = 16384
"""What "auto" means where the device's memory is not known."""
MOST_TOKENS = 65536
"""More at once are not faster on any GPU that was tried."""
_STEP = 1024
_GIB = 2**30

_BYTES_OF_A_WEIGHT = 12  # itself and two running means, in float32
_BYTES_OF_A_GRADIENT = 4
_COPY_BYTES = 2  # of a block's weight in the precision of the products, kept for the backward pass
# Kept by a block for the backward pass, in bytes a token and unit of width. Packed: the stream
# twice, what both layer norms give, what attention reads (3) and gives, and the inner layer before
# and after its activation (4 each), all of 2 bytes. Padded: measured.
_BLOCK_BYTES = {"packed": 32, "padded": 37}
_BORDER_BYTES = 4  # what goes into a block, kept where the rest is computed again
_SPARE = 0.06
"""Share of the memory that fragments, libraries and compiled code take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """Bytes on one device at the highest point of a step.

    Attributes:
        weights: with the optimizer's running means. Gradients come as activations go, and count
            here where they are more than those.
        activations: kept for the backward pass, and the weights' copies with them.
        loss: logits of a chunk and gradients of the output layer; twice the logits where passes
            are recorded, as a recording shares its memory with nothing else, validation included.
    """

    weights: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.activations + self.loss


def estimate(
    sizes: ModelSizes,
    num_tokens: int,
    *,
    layout: str,
    recomputes: bool = False,
    records: bool = False,
    exchanges: bool = False,
    num_shares: int = 1,
) -> MemoryEstimate:
    """What a step with products in bf16 takes.

    Args:
        sizes: of the model.
        num_tokens: of a micro-batch, padding included.
        layout: "packed", "tree" or "padded".
        recomputes: activations are computed again in the backward pass.
        records: passes are played as CUDA graphs.
        exchanges: there are several ranks; those that record have a copy of all gradients.
        num_shares: ranks that share the weights (FSDP); 1 where each has all.
    """
    width = num_tokens * sizes.hidden_size
    block = width * _BLOCK_BYTES["padded" if layout == "padded" else "packed"]
    if recomputes:
        activations = width * _BORDER_BYTES * sizes.num_layers + block
    else:
        activations = block * sizes.num_layers + sizes.num_block_parameters * _COPY_BYTES
    logits = min(CHUNK_BYTES, num_tokens * sizes.vocab_size * _COPY_BYTES)
    loss = logits * (2 if records else 1) + sizes.vocab_size * sizes.hidden_size * (
        _BYTES_OF_A_GRADIENT + _COPY_BYTES
    )
    gradients = sizes.num_parameters * _BYTES_OF_A_GRADIENT // num_shares
    return MemoryEstimate(
        weights=sizes.num_parameters * _BYTES_OF_A_WEIGHT // num_shares
        + max(0, gradients - activations - loss)
        + (gradients if records and exchanges else 0),
        activations=activations,
        loss=loss,
    )


def with_budget(
    config: TrainConfig,
    sizes: ModelSizes,
    *,
    device: torch.device,
    precision: ResolvedPrecision,
    can_record: bool = False,
    num_shares: int = 1,
    former: int | None = None,
) -> TrainConfig:
    """The config with a number in the place of "auto"; says what the run will take.

    Args:
        config: the run's, its layout decided.
        sizes: of its model.
        device: of this rank.
        precision: of the products; what others than bf16 take has not been measured, so nothing is
            said of them, and "auto" is as on a CPU.
        can_record: as `dialogpt.train.layout.can_record` has it.
        num_shares: as for `estimate`.
        former: the number with which the run began, if it goes on.

    Raises:
        UserError: not even one row fits the GPU.
    """
    batch = config.batch
    free, whole = _memory(device) if precision == "bf16" else (0, 0)
    tokens = batch.micro_batch_tokens

    def wanted_for(tokens: int) -> MemoryEstimate:
        return estimate(
            sizes,
            tokens,
            layout=batch.layout,
            recomputes=batch.activation_checkpointing,
            records=can_record and tokens <= most_tokens(),
            exchanges=num_ranks() > 1,
            num_shares=num_shares,
        )

    if tokens == "auto":
        tokens = former or _largest(config, wanted_for, free)
        logger.info(
            "Batch        %s tokens at once, as batch.micro_batch_tokens auto", f"{tokens:,}"
        )
        batch = replace(batch, micro_batch_tokens=tokens)
        config = replace(config, batch=batch)
    if not whole:
        return config
    wanted = wanted_for(tokens)
    logger.info(
        "Memory       about %.1f GiB of %.1f: %.1f weights, %.1f activations, %.1f loss",
        *(value / _GIB for value in (wanted.total, whole, wanted.weights)),
        *(value / _GIB for value in (wanted.activations, wanted.loss)),
    )
    if wanted.total > free:
        logger.warning(
            "The GPU has %.1f GiB free and the run wants about %.1f: it may run out of memory. "
            "Halve batch.micro_batch_tokens and double batch.accumulation_steps, which changes "
            "nothing else, or switch batch.activation_checkpointing on",
            free / _GIB,
            wanted.total / _GIB,
        )
    return config


def _memory(device: torch.device) -> tuple[int, int]:
    """Bytes free on every rank's device, and of this one in all; 0 where that is not known."""
    if device.type != "cuda":
        return 0, 0
    free, whole = torch.cuda.mem_get_info(device)
    return int(least_of_ranks(free)), whole


def _largest(config: TrainConfig, wanted_for: Callable[[int], MemoryEstimate], free: int) -> int:
    """The most tokens that fit, a multiple of 1,024."""
    longest = config.data.max_seq_len
    if not free:
        return max(DEFAULT_TOKENS, longest)
    usable = int(free * (1.0 - _SPARE))
    for tokens in range(MOST_TOKENS, 0, -_STEP):
        if wanted_for(tokens).total <= usable and tokens >= longest:
            return tokens
    raise UserError(
        f"batch.micro_batch_tokens auto: expected memory for {max(_STEP, longest)} tokens, found "
        f"{free / _GIB:.1f} GiB free; switch batch.activation_checkpointing on, lower "
        "data.max_seq_len, take a smaller model, or share the weights over several GPUs "
        "(configs/accelerate/fsdp.yaml)"
    )
