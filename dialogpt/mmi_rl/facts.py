"""What a run is, beyond its settings: said at its start, kept as run.json, told to trackers."""

import logging
from datetime import UTC, datetime
from typing import Any

import torch

from dialogpt import __version__
from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.config.training import TrainConfig
from dialogpt.copying import copied_share
from dialogpt.mmi_rl.contexts import ContextReader
from dialogpt.mmi_rl.trainer import PolicyParts
from dialogpt.models.gpt2 import num_parameters
from dialogpt.train.utilisation import device_name

logger = logging.getLogger(__name__)


def run_facts(config: TrainConfig, parts: PolicyParts, precision: str) -> dict[str, Any]:
    """Name -> plain value, for run.json and the page about the run."""
    assert config.mmi_rl is not None
    device = parts.accelerator.device
    valid = parts.valid_contexts
    return {
        "parameters": num_parameters(parts.model),
        "device": device_name(device) or device.type,
        "ranks": parts.identity.num_ranks,
        "precision": precision,
        "layout": config.batch.layout,
        "train_dialogues": len(parts.train_loader.planner.lengths),
        "valid_dialogues": 0 if valid is None else len(valid.dataset),
        "steps_an_epoch": parts.train_loader.planner.num_steps(0),
        "total_steps": parts.total_steps,
        # What people copy, by the measure that the policy's replies are held to.
        "human_copy_rate": _human_copy_rate(valid, config.mmi_rl.copy_ngram),
        "dialogpt": __version__,
        "torch": torch.__version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _human_copy_rate(valid: ContextReader | None, n: int) -> float | None:
    contexts = [] if valid is None else valid.read(range(len(valid.dataset)))
    shares = [copied_share(context.answer, context.texts, n) for context in contexts]
    return sum(shares) / len(shares) if shares else None


def describe(config: TrainConfig, mmi_rl: MmiRlConfig, facts: dict[str, Any]) -> None:
    """Say what follows from the settings before anything runs for long."""
    logger.info("Run folder   %s", config.output)
    logger.info(
        "Policy       %s, %s parameters, %s on %s x %d",
        config.model.init,
        f"{facts['parameters']:,}",
        facts["precision"],
        facts["device"],
        facts["ranks"],
    )
    logger.info("Reward       log P(source | reply) of %s", mmi_rl.backward_model)
    logger.info(
        "Regularisers KL to the start model x %g, copying x %g",
        mmi_rl.kl_weight,
        mmi_rl.copy_weight,
    )
    logger.info(
        "Steps        %s of %d contexts x %d replies on each device",
        f"{facts['total_steps']:,}",
        mmi_rl.contexts_per_step,
        mmi_rl.num_samples,
    )
