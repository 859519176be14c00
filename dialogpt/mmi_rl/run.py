"""TrainConfig with a section mmi_rl -> models, contexts, resume -> loop."""

from dataclasses import replace
from pathlib import Path

from dialogpt.command_line import UserError
from dialogpt.config.decoding import MmiConfig
from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.config.training import TrainConfig, token_budget
from dialogpt.decode.load import choose_dtype, load_model
from dialogpt.decode.scorers import BackwardScorer
from dialogpt.distributed import num_ranks
from dialogpt.mmi_rl.contexts import ContextLoader, ContextReader
from dialogpt.mmi_rl.facts import describe, run_facts
from dialogpt.mmi_rl.policy import PolicyModel
from dialogpt.mmi_rl.rewards import BackwardReward
from dialogpt.mmi_rl.rollout import RolloutParts
from dialogpt.mmi_rl.trainer import PolicyParts, PolicyTrainer
from dialogpt.seeding import seed_everything
from dialogpt.train.inputs import fingerprint
from dialogpt.train.run import build_model
from dialogpt.train.sharding import is_asked_for, place_model
from dialogpt.train.start import (
    Start,
    first_card,
    going_on,
    learner,
    read_former,
    started,
    write_facts,
)
from dialogpt.train.state import Identity


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
    mmi_rl = config.mmi_rl
    assert mmi_rl is not None
    config = replace(config, batch=replace(config.batch, layout="padded"))
    with started(config, resolved) as start:
        if is_asked_for():
            raise UserError(
                "FSDP: replies are drawn from a model that a device holds whole; take "
                "configs/accelerate/many_gpus.yaml"
            )
        return _go_on(config, mmi_rl, start)


def _go_on(config: TrainConfig, mmi_rl: MmiRlConfig, start: Start) -> int:
    """Train from the newest checkpoint, or from the beginning; as `train`, in a locked folder."""
    identity = Identity(
        num_ranks=num_ranks(),
        shards=fingerprint(start.manifests["train"]),
        micro_batch_tokens=token_budget(config.batch),
    )
    former = read_former(start, identity)
    if former.progress.finished:
        return 0
    parts = _build(config, mmi_rl, start, identity)
    facts = run_facts(config, parts, start.precision)
    write_facts(start, facts)
    describe(config, mmi_rl, facts)
    with going_on(config, start, former, parts, facts) as parts:
        return PolicyTrainer(config, mmi_rl, parts, former.progress).run()


def _build(
    config: TrainConfig, mmi_rl: MmiRlConfig, start: Start, identity: Identity
) -> PolicyParts:
    accelerator, manifests = start.accelerator, start.manifests
    manifest, shards = manifests["train"], Path(config.data.shards)
    rollout = _rollout_parts(config, mmi_rl, start)
    optimizer, updater = learner(config, start, rollout.policy)
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
        model=rollout.policy,
        rollout=rollout,
        optimizer=optimizer,
        updater=updater,
        accelerator=accelerator,
        train_loader=loader,
        valid_contexts=valid_contexts,
        can_validate=valid_contexts is not None,
        run_folder=start.run_folder,
        log=None,
        tokenizer_folder=shards / "tokenizer",
        card=first_card(config, manifest),
        identity=identity,
        total_steps=min(config.max_steps or num_steps, num_steps),
    )


def _rollout_parts(config: TrainConfig, mmi_rl: MmiRlConfig, start: Start) -> RolloutParts:
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
