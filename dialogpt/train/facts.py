"""What a run is, beyond its settings: said at its start, kept as run.json, told to trackers."""

import logging
from datetime import UTC, datetime
from typing import Any

import torch

from dialogpt import __version__
from dialogpt.config.training import TrainConfig
from dialogpt.distributed import ResolvedPrecision
from dialogpt.models.gpt2 import num_parameters
from dialogpt.train.sharding import is_shared
from dialogpt.train.trainer import TrainerParts
from dialogpt.train.utilisation import Utilisation, build_utilisation, device_name

logger = logging.getLogger(__name__)


def utilisation_of(parts: TrainerParts, precision: ResolvedPrecision) -> Utilisation | None:
    """How speed becomes model FLOPs utilisation; None where the device's rate is not known."""
    return build_utilisation(
        parts.model,
        parts.train_loader.planner.lengths,
        device=parts.accelerator.device,
        precision=precision,
        num_ranks=parts.identity.num_ranks,
    )


def run_facts(
    config: TrainConfig, parts: TrainerParts, precision: ResolvedPrecision
) -> dict[str, Any]:
    """Name -> plain value.

    Args:
        config: the run's, its layout decided.
        parts: what it works with, `utilisation` too.
        precision: of the products.
    """
    device, planner = parts.accelerator.device, parts.train_loader.planner
    return {
        "parameters": num_parameters(parts.model),
        "device": device_name(device) or device.type,
        "ranks": parts.identity.num_ranks,
        "precision": precision,
        "layout": config.batch.layout,
        "cuda_graphs": parts.updater.records,
        "train_dialogues": parts.train_loader.num_dialogues,
        "valid_dialogues": parts.valid_loader.num_dialogues if parts.valid_loader else 0,
        "tokens_an_epoch": int(planner.lengths.sum(dtype="int64")),
        "steps_an_epoch": planner.num_steps(0),
        "total_steps": parts.total_steps,
        # Of all devices together; what mfu is a share of.
        "peak_flops_a_second": parts.utilisation.peak_rate if parts.utilisation else None,
        "dialogpt": __version__,
        "torch": torch.__version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe(config: TrainConfig, parts: TrainerParts, precision: str) -> None:
    """Say what follows from the settings before anything runs for long."""
    planner = parts.train_loader.planner
    num_steps = planner.num_steps(0)
    num_dialogues = parts.train_loader.num_dialogues
    num_tokens = int(planner.lengths.sum(dtype="int64"))
    valid = parts.valid_loader.num_dialogues if parts.valid_loader else 0
    logger.info("Run folder   %s", config.output)
    logger.info(
        "Model        %s, %s parameters, %s on %s x %d%s%s",
        config.direction,
        f"{num_parameters(parts.model):,}",
        precision,
        parts.accelerator.device.type,
        parts.identity.num_ranks,
        ", each with a share (FSDP)" if is_shared(parts.model) else "",
        ", as CUDA graphs" if parts.updater.records else "",
    )
    logger.info(
        "Dialogues    %s to train on, %s to validate on, %s",
        f"{num_dialogues:,}",
        f"{valid:,}",
        config.batch.layout,
    )
    logger.info(
        "Epoch        %s steps of about %s tokens and %s dialogues",
        f"{num_steps:,}",
        f"{num_tokens / num_steps:,.0f}",
        f"{num_dialogues / num_steps:,.0f}",
    )
    logger.info("Steps        %s in at most %d epochs", f"{parts.total_steps:,}", config.max_epochs)
