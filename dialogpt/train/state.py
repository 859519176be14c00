"""What a checkpoint holds besides the model: optimizer, generators, position. Nothing is pickled.

model/                        as in every model folder
optimizer.safetensors         by parameter name
random-rank-00000.safetensors every generator of every rank
state.json                    progress, loss scale, what the run depends on; written last
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from dialogpt.checkpoint import STATE_FILE, ModelCard, RunFolder, write_model_folder
from dialogpt.command_line import UserError
from dialogpt.data.sampler import PLAN_VERSION
from dialogpt.distributed import wait_for_all_ranks
from dialogpt.records import write_json
from dialogpt.seeding import random_state, restore_random_state
from dialogpt.train.optim import load_optimizer_tensors, optimizer_tensors
from dialogpt.train.progress import Progress
from dialogpt.train.sharding import savable

_OPTIMIZER_FILE = "optimizer.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What the order of the data depends on; a run goes on only where all of it is the same.

    Attributes:
        num_ranks: processes.
        shards: fingerprint of the training split.
        layout: packed, padded or tree.
        plan: `dialogpt.data.sampler.PLAN_VERSION`.
        micro_batch_tokens: noted for a run that goes on, where the settings say "auto".
    """

    num_ranks: int
    shards: str
    layout: str = "padded"
    plan: int = PLAN_VERSION
    micro_batch_tokens: int = 0


def save_checkpoint(
    run_folder: RunFolder,
    model: nn.Module,
    *,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    progress: Progress,
    identity: Identity,
    tokenizer_folder: Path,
    card: ModelCard,
) -> None:
    """Write a checkpoint whole, then let `last` point to its model. All ranks take part."""
    if accelerator.is_main_process:
        run_folder.begin_checkpoint(progress.step)
    wait_for_all_ranks()
    folder = run_folder.unfinished(progress.step)
    save_file(random_state(), _random_file(folder, accelerator.process_index))
    weights = savable(model)
    if accelerator.is_main_process:
        write_model_folder(folder / "model", weights, tokenizer_folder=tokenizer_folder, card=card)
    del weights  # before the next ones are gathered
    tensors = optimizer_tensors(optimizer, model)
    if accelerator.is_main_process:
        save_file(tensors, folder / _OPTIMIZER_FILE)
    wait_for_all_ranks()
    if accelerator.is_main_process:
        scaler = accelerator.scaler
        state = {
            "progress": progress.to_json(),
            "num_ranks": identity.num_ranks,
            "shards": identity.shards,
            "layout": identity.layout,
            "plan": identity.plan,
            "micro_batch_tokens": identity.micro_batch_tokens,
            "loss_scale": None if scaler is None else scaler.state_dict(),
        }
        write_json(folder / STATE_FILE, state)
        run_folder.publish(progress.step)
    wait_for_all_ranks()


def read_state(checkpoint: Path, identity: Identity) -> dict[str, Any]:
    """The state.json of a checkpoint.

    Raises:
        UserError: it was made with other processes or other data.
    """
    state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    if state["num_ranks"] != identity.num_ranks:
        raise UserError(
            f"{checkpoint}: expected {state['num_ranks']} processes, as the run began with, found "
            f"{identity.num_ranks}; start as many, or name another output"
        )
    if state["shards"] != identity.shards:
        raise UserError(
            f"{checkpoint}: expected training shards {state['shards']}, as the run began with, "
            f"found {identity.shards}; restore the shards, or name another output"
        )
    layout = state.get("layout", "padded")  # there was no other when it was not noted
    if layout != identity.layout:
        raise UserError(
            f"{checkpoint}: expected {layout} batches, as the run began with, found "
            f"{identity.layout}; give --batch.layout {layout}, or name another output"
        )
    plan = state.get("plan", 1)
    if plan != identity.plan and layout != "padded":  # whose order is that of version 1
        raise UserError(
            f"{checkpoint}: expected dialogues in the order of version {plan}, as the run began "
            f"with, found version {identity.plan}; go on with the version of this project that "
            "began the run, or name another output"
        )
    return state


def restore_checkpoint(
    checkpoint: Path,
    state: dict[str, Any],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
) -> None:
    """Put back optimizer, loss scale and generators; the model is loaded when it is built.

    Args:
        checkpoint: its folder.
        state: what `read_state` returned.
        model: names the optimizer's parameters.
        optimizer: its running means are restored.
        accelerator: its loss scale is restored; names this rank.
    """
    load_optimizer_tensors(optimizer, model, load_file(checkpoint / _OPTIMIZER_FILE))
    if accelerator.scaler is not None and state["loss_scale"] is not None:
        accelerator.scaler.load_state_dict(state["loss_scale"])
    restore_random_state(load_file(_random_file(checkpoint, accelerator.process_index)))


def _random_file(folder: Path, rank: int) -> Path:
    return folder / f"random-rank-{rank:05d}.safetensors"
