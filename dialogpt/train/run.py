"""TrainConfig -> loaders, model, optimizer, resume -> loop."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from dialogpt.checkpoint import ModelCard, RunFolder, read_model_card, resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.config.training import ModelConfig, TrainConfig, token_budget
from dialogpt.data.manifest import Manifest
from dialogpt.distributed import (
    ResolvedPrecision,
    num_ranks,
    start_accelerator,
    wait_for_all_ranks,
)
from dialogpt.folders import sole_use
from dialogpt.models.gpt2 import DialogueModel, build_gpt2, gpt2_sizes
from dialogpt.records import write_json, write_text
from dialogpt.run_log import FACTS_FILE, RunLog, noted_end
from dialogpt.seeding import seed_everything
from dialogpt.train.facts import describe, run_facts, utilisation_of
from dialogpt.train.inputs import build_loaders, fingerprint, read_manifests
from dialogpt.train.layout import with_layout
from dialogpt.train.loop import Parts, Trainer
from dialogpt.train.memory import with_budget
from dialogpt.train.optim import build_optimizer
from dialogpt.train.progress import Progress
from dialogpt.train.settings import CONFIG_FILE, check_same_config, flat_settings
from dialogpt.train.sharding import is_asked_for, place_model
from dialogpt.train.state import Identity, read_state, restore_checkpoint
from dialogpt.train.step import Updater
from dialogpt.train.trackers import require_trackers, start_trackers

logger = logging.getLogger(__name__)


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
    require_trackers(config.trackers)
    accelerator, precision = start_accelerator(config.precision)
    logging.basicConfig(format="%(message)s")
    # One voice: the other ranks would say the same; their errors are printed.
    logging.getLogger("dialogpt").setLevel(
        logging.INFO if accelerator.is_main_process else logging.ERROR
    )
    shards = Path(config.data.shards)
    manifests = read_manifests(shards)
    output = Path(config.output)
    check_same_config(output / CONFIG_FILE, resolved)
    run_folder = RunFolder(output, keep_last=config.checkpoint.keep_last)
    with sole_use(output) if accelerator.is_main_process else nullcontext():
        return _go_on(config, resolved, manifests, run_folder, accelerator, precision)


def _go_on(
    config: TrainConfig,
    resolved: str,
    manifests: dict[str, Manifest],
    run_folder: RunFolder,
    accelerator: Accelerator,
    precision: ResolvedPrecision,
) -> int:
    """Train from the newest checkpoint, or from the beginning; as `train`, in a locked folder."""
    output = run_folder.path
    checkpoint = next(reversed(run_folder.checkpoints()), None)
    vocab_size = manifests["train"].vocab_size
    sizes = gpt2_sizes(_model_source(config, checkpoint), vocab_size=vocab_size)
    config = with_layout(config, sizes, precision=precision, device=accelerator.device)
    identity = Identity(
        num_ranks=num_ranks(),
        shards=fingerprint(manifests["train"]),
        layout=config.batch.layout,
    )
    state = None if checkpoint is None else read_state(checkpoint, identity)
    progress = Progress() if state is None else Progress.from_json(state["progress"])
    if checkpoint is None:
        progress.finished = noted_end(output)
    if checkpoint is not None and accelerator.is_main_process:
        run_folder.clean_up_after_kill()
        if "valid" not in manifests:
            run_folder.last_is_best()
    if progress.finished:
        logger.info("%s: training is finished: %s", output, progress.finished)
        return 0

    config = with_budget(
        config,
        sizes,
        device=accelerator.device,
        precision=precision,
        num_shares=num_ranks() if is_asked_for() else 1,
        former=None if state is None else state.get("micro_batch_tokens"),
    )
    identity = replace(identity, micro_batch_tokens=token_budget(config.batch))
    parts = _build(config, manifests, run_folder, accelerator, identity, checkpoint)
    parts = replace(parts, utilisation=utilisation_of(parts, precision))
    facts = run_facts(config, parts, precision)
    if accelerator.is_main_process:
        write_text(output / CONFIG_FILE, resolved)
        write_json(output / FACTS_FILE, facts)
    describe(config, parts, precision)
    if checkpoint is not None and state is not None:
        logger.info("Going on after step %d from %s", progress.step, checkpoint)
        restore_checkpoint(
            checkpoint,
            state,
            model=parts.model,
            optimizer=parts.optimizer,
            accelerator=accelerator,
        )
    log = None
    if accelerator.is_main_process:
        log = RunLog(
            output,
            last_step=progress.step,
            tensorboard=config.tensorboard,
            trackers=start_trackers(
                config.trackers,
                output,
                settings={**flat_settings(resolved), **facts},
                resumed=progress.step > 0,
            ),
        )
    try:
        return Trainer(config, replace(parts, log=log), progress).run()
    finally:
        if log is not None:
            log.close()


def _build(
    config: TrainConfig,
    manifests: dict[str, Manifest],
    run_folder: RunFolder,
    accelerator: Accelerator,
    identity: Identity,
    checkpoint: Path | None,
) -> Parts:
    manifest = manifests["train"]
    loaders = build_loaders(config, manifests, rank=accelerator.process_index)
    seed_everything(config.seed)  # without the rank: all ranks begin with the same weights
    model = build_model(config, manifest, checkpoint)
    seed_everything(config.seed, rank=accelerator.process_index)
    place_model(model, accelerator)
    optimizer = build_optimizer(
        model, config.optimizer, learning_rate=config.schedule.learning_rate
    )
    updater = Updater(
        model,
        optimizer,
        accelerator=accelerator,
        max_grad_norm=config.optimizer.max_grad_norm,
        failures=run_folder.path,
    )
    wait_for_all_ranks()  # the newest checkpoint is the same for all: none is written before
    card = ModelCard(
        direction=config.direction,
        max_seq_len=config.data.max_seq_len,
        text_rules=manifest.text_rules,
        tokenizer_kind=manifest.tokenizer_kind,
        tokenizer_fingerprint=manifest.tokenizer_fingerprint,
        eos_id=manifest.eos_id,
        step=0,
        valid_loss=None,
    )
    planner = loaders["train"].planner
    limit = config.max_steps or None
    total_steps = 0
    for epoch in range(config.max_epochs):
        if limit is None or total_steps < limit:
            total_steps += planner.num_steps(epoch)
    return Parts(
        model=model,
        optimizer=optimizer,
        updater=updater,
        accelerator=accelerator,
        train_loader=loaders["train"],
        valid_loader=loaders.get("valid"),
        run_folder=run_folder,
        log=None,
        tokenizer_folder=Path(config.data.shards) / "tokenizer",
        card=card,
        identity=identity,
        total_steps=total_steps if limit is None else min(limit, total_steps),
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
        card = read_model_card(Path(resolve_model_folder(source.init)))
        if card is not None and card.tokenizer_fingerprint != manifest.tokenizer_fingerprint:
            raise UserError(
                f"model.init {source.init!r}: expected a model of the shards' tokenizer "
                f"{manifest.tokenizer_fingerprint}, found one of {card.tokenizer_fingerprint}; "
                "write the shards with the model's tokenizer, or take another model"
            )
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
