"""Packed, padded or trees, recorded or not: what the device can do, and what the run can use."""

import logging
from dataclasses import replace

import torch

from dialogpt.command_line import UserError
from dialogpt.config.training import TrainConfig
from dialogpt.distributed import ResolvedPrecision, is_one_host
from dialogpt.models.gpt2 import ModelSizes
from dialogpt.models.tree_attention import fits_kernels, has_kernels
from dialogpt.train.sharding import is_asked_for

logger = logging.getLogger(__name__)


def with_layout(
    config: TrainConfig, sizes: ModelSizes, *, precision: ResolvedPrecision, device: torch.device
) -> TrainConfig:
    """The config with "packed" or "padded" in the place of "auto"; checks a layout asked for.

    Args:
        config: the run's.
        sizes: of its model.
        precision: of the products.
        device: where they are computed.

    Raises:
        UserError: the layout does not go with the precision, the direction or the longest row.
    """
    layout = config.batch.layout
    kernels = _has_kernels(sizes, precision, device)
    if layout == "auto":
        layout = "packed" if kernels and _fits(config) else "padded"
    elif layout != "padded":
        _require_packable(config, precision)
        if not kernels:
            logger.warning(
                "batch.layout %s: %s in %s with heads of width %d has no kernels for it, so "
                "attention takes one dialogue or thread after the other; batch.layout padded would "
                "be faster",
                layout,
                device.type,
                precision,
                _head_width(sizes),
            )
    if layout != "padded" and config.batch.max_micro_batch_size:
        logger.warning(
            "batch.max_micro_batch_size %d: packed batches are as long with few dialogues as with "
            "many, so a limit on dialogues leaves them part empty; limit micro_batch_tokens "
            "instead",
            config.batch.max_micro_batch_size,
        )
    return replace(config, batch=replace(config.batch, layout=layout))


def can_record(
    config: TrainConfig, sizes: ModelSizes, *, precision: ResolvedPrecision, device: torch.device
) -> bool:
    """Whether passes can be played as CUDA graphs, if batches are small enough to gain by it.

    Not where ranks share the model, or run on several hosts: over a slow network gradients travel
    beside computation, for which recordings leave no gap. Nor where activations are computed again,
    as that asks the device for its random numbers' state.

    Args:
        config: the run's, its layout decided.
        sizes: of its model.
        precision: of the products.
        device: where they are computed.
    """
    return (
        config.compile
        and config.batch.layout != "padded"
        and not config.batch.activation_checkpointing
        and _has_kernels(sizes, precision, device)
        and not is_asked_for()
        and is_one_host()
    )


def _has_kernels(sizes: ModelSizes, precision: ResolvedPrecision, device: torch.device) -> bool:
    return has_kernels(device) and precision == "bf16" and fits_kernels(_head_width(sizes))


def _head_width(sizes: ModelSizes) -> int:
    return sizes.hidden_size // sizes.num_heads


def _fits(config: TrainConfig) -> bool:
    tokens = config.batch.micro_batch_tokens
    return tokens == "auto" or tokens >= config.data.max_seq_len


def _require_packable(config: TrainConfig, precision: ResolvedPrecision) -> None:
    layout = config.batch.layout
    if precision == "fp16":
        raise UserError(
            f"batch.layout {layout}: expected precision bf16 or fp32, found fp16, whose small "
            "gradients it would lose; take batch.layout padded"
        )
    if layout == "tree" and config.direction != "forward":
        raise UserError(
            f"batch.layout tree: expected direction forward, found {config.direction}, whose rows "
            "begin with the answers and so share nothing; take batch.layout packed"
        )
    if not _fits(config):
        raise UserError(
            f"batch.micro_batch_tokens {config.batch.micro_batch_tokens}: expected at least "
            f"data.max_seq_len {config.data.max_seq_len}, as a packed batch holds whole rows; "
            "raise the first or lower the second"
        )
