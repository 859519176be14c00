"""TrainConfig with a section plato -> loaders, model, optimizer, resume -> loop."""

import logging
from dataclasses import replace
from pathlib import Path

import torch

from dialogpt.command_line import UserError
from dialogpt.config.plato import PlatoConfig
from dialogpt.config.training import TrainConfig, token_budget
from dialogpt.data.manifest import Manifest
from dialogpt.distributed import num_ranks
from dialogpt.models.gpt2 import num_parameters
from dialogpt.plato.load import build_plato, read_source, require_positions
from dialogpt.plato.loaders import ExampleLoader, example_loader
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.trainer import PlatoTrainer
from dialogpt.seeding import seed_everything
from dialogpt.tokenization import Tokenizer, load_tokenizer
from dialogpt.train.facts import run_facts
from dialogpt.train.inputs import fingerprint
from dialogpt.train.sharding import is_shared, place_model
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
from dialogpt.train.trainer import TrainerParts
from dialogpt.wordpiece import MASK, WordPieceTokenizer

logger = logging.getLogger(__name__)


def train(config: TrainConfig, resolved: str) -> int:
    """Train a PLATO, or go on with, the run in config.output.

    Args:
        config: the run's; it has a section plato.
        resolved: the same as YAML, kept in the run folder.

    Returns:
        0 at the end of training; 128 + signal when stopped, with everything saved.

    Raises:
        UserError: data, tokenizer, checkpoint or run folder are not what the config needs.
    """
    assert config.plato is not None
    with started(config, resolved) as start:
        return _go_on(config, config.plato, start)


def _go_on(config: TrainConfig, plato: PlatoConfig, start: Start) -> int:
    """Train from the newest checkpoint, or from the beginning; as `train`, in a locked folder."""
    identity = Identity(
        num_ranks=num_ranks(),
        shards=fingerprint(start.manifests["train"]),
        layout="packed",
        micro_batch_tokens=token_budget(config.batch),
    )
    former = read_former(start, identity)
    if former.progress.finished:
        return 0
    parts = _build(config, plato, start, identity)
    packed = replace(config, batch=replace(config.batch, layout="packed"))
    facts = run_facts(packed, parts, start.precision) | {"latents": plato.num_latents}
    write_facts(start, facts)
    _describe(config, parts, start)
    _describe_cuts(parts)
    with going_on(config, start, former, parts, facts) as parts:
        return PlatoTrainer(config, parts, former.progress).run()


def _build(
    config: TrainConfig, plato: PlatoConfig, start: Start, identity: Identity
) -> TrainerParts:
    accelerator, manifest = start.accelerator, start.manifests["train"]
    tokenizer_folder = Path(config.data.shards) / "tokenizer"
    seed_everything(config.seed)  # without the rank: all ranks begin with the same weights
    tokenizer = load_tokenizer(str(tokenizer_folder))
    model = build_model(config, plato, manifest, start.checkpoint, tokenizer)
    loaders = {
        split: example_loader(
            config,
            plato,
            found,
            split=split,
            model=model,
            bou_id=tokenizer.bou_id,
            rank=accelerator.process_index,
        )
        for split, found in start.manifests.items()
    }
    seed_everything(config.seed, rank=accelerator.process_index)
    place_model(model, accelerator)
    optimizer, updater = learner(config, start, model)
    card = replace(first_card(config, manifest), max_seq_len=plato.sequence.longest_row)
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
        tokenizer_folder=tokenizer_folder,
        card=card,
        identity=identity,
        total_steps=count_steps(config, loaders["train"].planner),
    )


def build_model(
    config: TrainConfig,
    plato: PlatoConfig,
    manifest: Manifest,
    checkpoint: Path | None,
    tokenizer: Tokenizer,
) -> PlatoModel:
    """The run's model as it was at a checkpoint, or as the config begins it.

    Raises:
        UserError: weights, tokenizer and section do not go together, or rows are longer than the
            table of positions.
    """
    begun = config.model
    if checkpoint is not None:
        begun = replace(begun, init=str(checkpoint / "model"))
    elif begun.init != "scratch":
        require_tokenizer_of(begun.init, manifest)
    source = read_source(begun, plato, vocab_size=manifest.vocab_size)
    require_positions(source, plato.sequence)
    compiled = config.compile and torch.cuda.is_available()
    model = build_plato(source, plato, dropout=begun.dropout, compiled=compiled)
    if plato.mask_from_vocabulary and not source.num_latents:  # else there is a trained one
        take_mask_of(model, tokenizer)
    return model


def take_mask_of(model: PlatoModel, tokenizer: Tokenizer) -> None:
    """Let [M] begin as the vocabulary's own mask.

    Raises:
        UserError: there is none, or the model has no [M].
    """
    pieces = tokenizer.pieces if isinstance(tokenizer, WordPieceTokenizer) else []
    if MASK not in pieces or not model.has_latent:
        raise UserError(
            f"plato.mask_from_vocabulary: expected a model with a latent and a vocabulary with "
            f"{MASK}, as BERT's, found {model.network.sizes.num_latents} latents and a tokenizer "
            f"of the kind {tokenizer.kind}; set it false"
        )
    with torch.no_grad():
        model.network.mask.copy_(model.network.tokens.weight[pieces.index(MASK)])


def _describe(config: TrainConfig, parts: TrainerParts, start: Start) -> None:
    """Say what follows from the settings before anything runs for long."""
    planner, sizes = parts.train_loader.planner, parts.model.network.sizes
    num_steps, num_examples = planner.num_steps(0), parts.train_loader.num_dialogues
    valid = parts.valid_loader.num_dialogues if parts.valid_loader else 0
    num_tokens = int(planner.lengths.sum(dtype="int64")) - num_examples
    logger.info("Run folder   %s", config.output)
    logger.info(
        "Model        PLATO, %d latents, %s blocks, %s parameters, %s on %s x %d%s",
        sizes.num_latents,
        sizes.blocks,
        f"{num_parameters(parts.model):,}",
        start.precision,
        parts.accelerator.device.type,
        parts.identity.num_ranks,
        ", each with a share (FSDP)" if is_shared(parts.model) else "",
    )
    logger.info("Responses    %s to train on, %s to validate on", f"{num_examples:,}", f"{valid:,}")
    logger.info(
        "Epoch        %s steps of about %s tokens and %s responses",
        f"{num_steps:,}",
        f"{num_tokens / num_steps:,.0f}",
        f"{num_examples / num_steps:,.0f}",
    )
    logger.info("Steps        %s in at most %d epochs", f"{parts.total_steps:,}", config.max_epochs)


def _describe_cuts(parts: TrainerParts) -> None:
    """Say what the limits of rows leave out of the training responses."""
    loader = parts.train_loader
    cuts = loader.cuts if isinstance(loader, ExampleLoader) else None
    if cuts is None:
        logger.info("Cut          not counted, as there are too many dialogues to look at them all")
        return
    total = loader.num_dialogues
    logger.info(
        "Cut          %s oldest utterances left out; %.1f%% of contexts, %.1f%% of knowledge and "
        "%.1f%% of responses not whole (plato.sequence)",
        f"{cuts.turns:,}",
        *(100 * count / total for count in (cuts.contexts, cuts.knowledge, cuts.responses)),
    )
