"""TrainConfig with a section mmi_rl -> models, contexts, resume -> loop."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from dialogpt.checkpoint import ModelCard, RunFolder
from dialogpt.command_line import UserError
from dialogpt.config.decoding import MmiConfig
from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.config.training import TrainConfig, token_budget
from dialogpt.data.manifest import Manifest
from dialogpt.decode.load import choose_dtype, load_model
from dialogpt.decode.scorers import BackwardScorer
from dialogpt.distributed import (
    ResolvedPrecision,
    num_ranks,
    start_accelerator,
    wait_for_all_ranks,
)
from dialogpt.folders import sole_use
from dialogpt.mmi_rl.contexts import ContextLoader, ContextReader
from dialogpt.mmi_rl.facts import describe, run_facts
from dialogpt.mmi_rl.policy import PolicyModel
from dialogpt.mmi_rl.rewards import BackwardReward
from dialogpt.mmi_rl.rollout import RolloutParts
from dialogpt.mmi_rl.trainer import PolicyParts, PolicyTrainer
from dialogpt.records import write_json, write_text
from dialogpt.run_log import FACTS_FILE, RunLog, noted_end
from dialogpt.seeding import seed_everything
from dialogpt.train.inputs import fingerprint, read_manifests
from dialogpt.train.optim import build_optimizer
from dialogpt.train.progress import Progress
from dialogpt.train.run import build_model
from dialogpt.train.settings import CONFIG_FILE, check_same_config, flat_settings
from dialogpt.train.sharding import is_asked_for, place_model
from dialogpt.train.state import Identity, read_state, restore_checkpoint
from dialogpt.train.step import Updater
from dialogpt.train.trackers import require_trackers, start_trackers

logger = logging.getLogger(__name__)


def train(config: TrainConfig, resolved: str) -> int:
    """Train by policy gradient, or go on with, the run in config.output.

    Args:
        config: the run's; it has a section mmi_rl.
        resolved: the same as YAML, kept in the run folder.

    Returns:
        0 at the end of training; 128 + signal when stopped, with everything saved.

    Raises:
        UserError: data, tokenizer, models or run folder are not what the config needs.
    """
    assert config.mmi_rl is not None
    require_trackers(config.trackers)
    accelerator, precision = start_accelerator(config.precision)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("dialogpt").setLevel(
        logging.INFO if accelerator.is_main_process else logging.ERROR
    )
    if is_asked_for():
        raise UserError(
            "FSDP: replies are drawn from a model that a device holds whole; take "
            "configs/accelerate/many_gpus.yaml"
        )
    manifests = read_manifests(Path(config.data.shards))
    output = Path(config.output)
    check_same_config(output / CONFIG_FILE, resolved)
    run_folder = RunFolder(output, keep_last=config.checkpoint.keep_last)
    config = replace(config, batch=replace(config.batch, layout="padded"))
    with sole_use(output) if accelerator.is_main_process else nullcontext():
        start = _Start(
            manifests=manifests,
            run_folder=run_folder,
            accelerator=accelerator,
            precision=precision,
            checkpoint=next(reversed(run_folder.checkpoints()), None),
        )
        return _go_on(config, resolved, start)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """What is known before a model is loaded.

    Attributes:
        manifests: of train and, where there are dialogues, valid.
        run_folder: the run's.
        accelerator: device, ranks, autocast.
        precision: of the products.
        checkpoint: the newest, from which the run goes on.
    """

    manifests: dict[str, Manifest]
    run_folder: RunFolder
    accelerator: Accelerator
    precision: ResolvedPrecision
    checkpoint: Path | None


def _go_on(config: TrainConfig, resolved: str, start: _Start) -> int:
    """Train from the newest checkpoint, or from the beginning; as `train`, in a locked folder."""
    mmi_rl, accelerator, checkpoint = config.mmi_rl, start.accelerator, start.checkpoint
    assert mmi_rl is not None
    output = start.run_folder.path
    identity = Identity(
        num_ranks=num_ranks(),
        shards=fingerprint(start.manifests["train"]),
        micro_batch_tokens=token_budget(config.batch),
    )
    state = None if checkpoint is None else read_state(checkpoint, identity)
    progress = Progress() if state is None else Progress.from_json(state["progress"])
    if checkpoint is None:
        progress.finished = noted_end(output)
    elif accelerator.is_main_process:
        start.run_folder.clean_up_after_kill()
        if "valid" not in start.manifests:
            start.run_folder.last_is_best()
    if progress.finished:
        logger.info("%s: training is finished: %s", output, progress.finished)
        return 0
    parts = _build(config, mmi_rl, start, identity)
    facts = run_facts(config, parts, start.precision)
    if accelerator.is_main_process:
        write_text(output / CONFIG_FILE, resolved)
        write_json(output / FACTS_FILE, facts)
    describe(config, mmi_rl, facts)
    if checkpoint is not None and state is not None:
        logger.info("Going on after step %d from %s", progress.step, checkpoint)
        restore_checkpoint(
            checkpoint,
            state,
            model=parts.rollout.policy,
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
        return PolicyTrainer(config, mmi_rl, replace(parts, log=log), progress).run()
    finally:
        if log is not None:
            log.close()


def _build(
    config: TrainConfig, mmi_rl: MmiRlConfig, start: _Start, identity: Identity
) -> PolicyParts:
    accelerator, manifests = start.accelerator, start.manifests
    manifest, shards = manifests["train"], Path(config.data.shards)
    rollout = _rollout_parts(config, mmi_rl, start)
    policy = rollout.policy
    optimizer = build_optimizer(
        policy, config.optimizer, learning_rate=config.schedule.learning_rate
    )
    updater = Updater(
        policy,
        optimizer,
        accelerator=accelerator,
        max_grad_norm=config.optimizer.max_grad_norm,
        failures=start.run_folder.path,
    )
    wait_for_all_ranks()  # the newest checkpoint is the same for all: none is written before
    lengths = {
        "max_seq_len": config.data.max_seq_len,
        "max_new_tokens": mmi_rl.max_new_tokens,
    }
    loader = ContextLoader(
        ContextReader(shards / "train", manifest, **lengths),
        contexts_per_step=mmi_rl.contexts_per_step,
        rank=accelerator.process_index,
        num_ranks=num_ranks(),
        window_chunks=config.data.window_chunks,
        seed=config.seed,
    )
    valid_contexts = None
    if "valid" in manifests:
        valid_contexts = ContextReader(
            shards / "valid",
            manifests["valid"],
            **lengths,
            max_dialogues=config.validation.max_dialogues,
        )
    num_steps = sum(loader.planner.num_steps(epoch) for epoch in range(config.max_epochs))
    return PolicyParts(
        rollout=rollout,
        optimizer=optimizer,
        updater=updater,
        loader=loader,
        valid_contexts=valid_contexts,
        run_folder=start.run_folder,
        log=None,
        tokenizer_folder=shards / "tokenizer",
        card=ModelCard(
            direction="forward",
            max_seq_len=config.data.max_seq_len,
            text_rules=manifest.text_rules,
            tokenizer_kind=manifest.tokenizer_kind,
            tokenizer_fingerprint=manifest.tokenizer_fingerprint,
            eos_id=manifest.eos_id,
            step=0,
            valid_loss=None,
        ),
        identity=identity,
        total_steps=min(config.max_steps or num_steps, num_steps),
    )


def _rollout_parts(config: TrainConfig, mmi_rl: MmiRlConfig, start: _Start) -> RolloutParts:
    """The models: as the run's checkpoint has the policy, or as it begins; the others as given."""
    accelerator, manifest = start.accelerator, start.manifests["train"]
    device = accelerator.device
    first = build_model(config, manifest, None)
    first.requires_grad_(False).eval().to(device)
    seed_everything(config.seed)
    trained = build_model(config, manifest, start.checkpoint)
    policy = PolicyModel(trained.language_model, recomputes=config.batch.activation_checkpointing)
    place_model(policy, accelerator)
    backward = load_model(
        mmi_rl.backward_model,
        "backward",
        device=device,
        dtype=choose_dtype(start.precision, device),
    )
    if backward.tokenizer.fingerprint != manifest.tokenizer_fingerprint:
        raise UserError(
            f"mmi_rl.backward_model {mmi_rl.backward_model!r}: expected a model of the shards' "
            f"tokenizer {manifest.tokenizer_fingerprint}, found one of "
            f"{backward.tokenizer.fingerprint}; train it on the same shards"
        )
    scorer = BackwardScorer(
        backward.model,
        window=backward.window,
        longest_hypothesis=mmi_rl.max_new_tokens,
        eos_id=manifest.eos_id,
        options=MmiConfig(source=mmi_rl.source),
    )
    return RolloutParts(
        policy=policy,
        start=first,
        reward=BackwardReward(scorer, mmi_rl),
        accelerator=accelerator,
        eos_id=manifest.eos_id,
        vocab_size=manifest.vocab_size,
        max_tokens=token_budget(config.batch),
    )
