"""TrainConfig -> loaders, model, optimizer, resume -> loop."""

from dataclasses import replace
from pathlib import Path

import torch

from dialogpt.command_line import UserError
from dialogpt.config.training import ModelConfig, TrainConfig, token_budget
from dialogpt.data.manifest import Manifest
from dialogpt.distributed import least_of_ranks, num_ranks
from dialogpt.models.gpt2 import DialogueModel, build_gpt2, gpt2_sizes
from dialogpt.seeding import seed_everything
from dialogpt.train.facts import describe, run_facts, utilisation_of
from dialogpt.train.inputs import build_loaders, fingerprint
from dialogpt.train.layout import can_record, with_layout
from dialogpt.train.memory import with_budget
from dialogpt.train.recorded import most_tokens
from dialogpt.train.sharding import is_asked_for, place_model
from dialogpt.train.start import (
    Start,
    count_steps,
    first_card,
    going_on,
    learner,
    read_former,
    require_tokenizer_of,
    started,
    write_facts,
)
from dialogpt.train.state import Identity
from dialogpt.train.trainer import Trainer, TrainerParts


def train(config: TrainConfig, resolved: str) -> int:
    """Train, or go on with, the run in config.output.

    Args:
        config: the run's.
        resolved: the same as YAML, kept in the run folder.

    Returns:
        0 at the end of training; 128 + signal when stopped, with everything saved.

    Raises:
        UserError: data, tokenizer, checkpoint or run folder are not what the config needs.
    """
    with started(config, resolved) as start:
        return _go_on(config, start)


def _go_on(config: TrainConfig, start: Start) -> int:
    """Train from the newest checkpoint, or from the beginning; as `train`, in a locked folder."""
    device, manifest = start.accelerator.device, start.manifests["train"]
    sizes = gpt2_sizes(_model_source(config, start.checkpoint), vocab_size=manifest.vocab_size)
    config = with_layout(config, sizes, precision=start.precision, device=device)
    identity = Identity(
        num_ranks=num_ranks(), shards=fingerprint(manifest), layout=config.batch.layout
    )
    former = read_former(start, identity)
    if former.progress.finished:
        return 0
    # As all ranks have it: those that record exchange gradients in another way.
    can_be_recorded = bool(
        least_of_ranks(can_record(config, sizes, precision=start.precision, device=device))
    )
    config = with_budget(
        config,
        sizes,
        device=device,
        precision=start.precision,
        can_record=can_be_recorded,
        num_shares=num_ranks() if is_asked_for() else 1,
        former=None if former.state is None else former.state.get("micro_batch_tokens"),
    )
    tokens = token_budget(config.batch)
    identity = replace(identity, micro_batch_tokens=tokens)
    parts = _build(config, start, identity, records=can_be_recorded and tokens <= most_tokens())
    parts = replace(parts, utilisation=utilisation_of(parts, start.precision))
    facts = run_facts(config, parts, start.precision)
    write_facts(start, facts)
    describe(config, parts, start.precision)
    with going_on(config, start, former, parts, facts) as parts:
        return Trainer(config, parts, former.progress).run()


def _build(config: TrainConfig, start: Start, identity: Identity, *, records: bool) -> TrainerParts:
    accelerator, manifest = start.accelerator, start.manifests["train"]
    loaders = build_loaders(config, start.manifests, rank=accelerator.process_index)
    seed_everything(config.seed)  # without the rank: all ranks begin with the same weights
    model = build_model(config, manifest, start.checkpoint)
    seed_everything(config.seed, rank=accelerator.process_index)
    place_model(model, accelerator)
    optimizer, updater = learner(config, start, model, records=records)
    return TrainerParts(
        model=model,
        optimizer=optimizer,
        updater=updater,
        accelerator=accelerator,
        train_loader=loaders["train"],
        valid_loader=loaders.get("valid"),
        can_validate="valid" in loaders,
        run_folder=start.run_folder,
        log=None,
        tokenizer_folder=Path(config.data.shards) / "tokenizer",
        card=first_card(config, manifest),
        identity=identity,
        total_steps=count_steps(config, loaders["train"].planner),
    )


def _model_source(config: TrainConfig, checkpoint: Path | None) -> ModelConfig:
    """Where the model comes from: what the config names, or the checkpoint that the run has."""
    if checkpoint is None:
        return config.model
    return replace(config.model, init=str(checkpoint / "model"))


def build_model(config: TrainConfig, manifest: Manifest, checkpoint: Path | None) -> DialogueModel:
    """The run's model as it was at a checkpoint, or as the config begins it."""
    source = _model_source(config, checkpoint)
    if checkpoint is None and source.init != "scratch":
        require_tokenizer_of(source.init, manifest)
    model = build_gpt2(
        source,
        vocab_size=manifest.vocab_size,
        eos_id=manifest.eos_id,
        compiled=config.compile and torch.cuda.is_available(),
        recomputes=config.batch.activation_checkpointing,
    )
    num_positions = model.language_model.config.n_positions
    if config.data.max_seq_len > num_positions:
        raise UserError(
            f"data.max_seq_len {config.data.max_seq_len}: expected at most the model's "
            f"{num_positions} positions; lower it, or raise model.max_positions"
        )
    return model
