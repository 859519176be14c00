"""How a run begins or goes on, whatever is trained in it."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from dialogpt.checkpoint import (
    ModelCard,
    RunFolder,
    read_model_card,
    resolve_model_folder,
)
from dialogpt.command_line import UserError
from dialogpt.config.training import TrainConfig
from dialogpt.data.loader import end_all_workers
from dialogpt.data.manifest import Manifest
from dialogpt.data.sampler import BatchPlanner
from dialogpt.distributed import ResolvedPrecision, start_accelerator, wait_for_all_ranks
from dialogpt.folders import LOCK_FILE, sole_use
from dialogpt.records import write_json, write_text
from dialogpt.run_log import FACTS_FILE, RunLog, noted_end
from dialogpt.train.inputs import read_manifests
from dialogpt.train.loop import AnyParts
from dialogpt.train.optim import build_optimizer
from dialogpt.train.progress import Progress
from dialogpt.train.recorded import record_graph
from dialogpt.train.settings import CONFIG_FILE, check_same_config, flat_settings
from dialogpt.train.state import Identity, read_state, restore_checkpoint
from dialogpt.train.step import Updater
from dialogpt.train.trackers import require_trackers, start_trackers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What is known before a model is loaded.

    Attributes:
        resolved: the run's config as YAML.
        manifests: of train and, where there are dialogues, valid.
        run_folder: the run's.
        accelerator: device, ranks, autocast.
        precision: of the products.
        checkpoint: the newest, from which the run goes on.
    """

    resolved: str
    manifests: dict[str, Manifest]
    run_folder: RunFolder
    accelerator: Accelerator
    precision: ResolvedPrecision
    checkpoint: Path | None


@contextmanager
def started(config: TrainConfig, resolved: str) -> Iterator[Start]:
    """Look at what there is, with the run folder locked against others.

    Args:
        config: the run's.
        resolved: the same as YAML.

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
    manifests = read_manifests(Path(config.data.shards))
    output = Path(config.output)
    check_same_config(output / CONFIG_FILE, resolved)
    run_folder = RunFolder(output, keep_last=config.checkpoint.keep_last)
    with (
        _gone_if_empty(output) if accelerator.is_main_process else nullcontext(),
        sole_use(output) if accelerator.is_main_process else nullcontext(),
    ):
        start = Start(
            resolved=resolved,
            manifests=manifests,
            run_folder=run_folder,
            accelerator=accelerator,
            precision=precision,
            checkpoint=next(reversed(run_folder.checkpoints()), None),
        )
        try:
            yield start
        finally:
            end_all_workers()


@contextmanager
def _gone_if_empty(output: Path) -> Iterator[None]:
    """Leave no folder behind where a run fails before it has written anything."""
    was_there = output.exists()
    try:
        yield
    except UserError:
        if not was_there and {path.name for path in output.iterdir()} <= {LOCK_FILE}:
            shutil.rmtree(output)
        raise


@dataclass(frozen=True, kw_only=True, slots=True)
class Former:
    """How far a run has come.

    Attributes:
        state: of the checkpoint; None without one.
        progress: of the checkpoint, or of a run at its beginning.
    """

    state: dict[str, Any] | None
    progress: Progress


def read_former(start: Start, identity: Identity) -> Former:
    """How far the run has come; its folder is put in order.

    Raises:
        UserError: the checkpoint is of a run with another identity.
    """
    run_folder, checkpoint = start.run_folder, start.checkpoint
    state = None if checkpoint is None else read_state(checkpoint, identity)
    progress = Progress() if state is None else Progress.from_json(state["progress"])
    if checkpoint is None:
        progress.finished = noted_end(run_folder.path)
    elif start.accelerator.is_main_process:
        run_folder.clean_up_after_kill()
        if "valid" not in start.manifests:
            run_folder.last_is_best()
    if progress.finished:
        logger.info("%s: training is finished: %s", run_folder.path, progress.finished)
    return Former(state=state, progress=progress)


def learner(
    config: TrainConfig, start: Start, model: Any, *, records: bool = False
) -> tuple[Any, Updater]:
    """Optimizer and updater over a model that is in its place. All ranks take part.

    Args:
        config: the run's.
        start: what there was.
        model: in its place.
        records: play passes of packed batches as CUDA graphs.
    """
    optimizer = build_optimizer(
        model, config.optimizer, learning_rate=config.schedule.learning_rate
    )
    updater = Updater(
        model,
        optimizer,
        accelerator=start.accelerator,
        max_grad_norm=config.optimizer.max_grad_norm,
        failures=start.run_folder.path,
        record=record_graph if records else None,
    )
    wait_for_all_ranks()  # the newest checkpoint is the same for all: none is written before
    return optimizer, updater


def write_facts(start: Start, facts: dict[str, Any]) -> None:
    """First rank: what the run is, into its folder."""
    if start.accelerator.is_main_process:
        write_text(start.run_folder.path / CONFIG_FILE, start.resolved)
        write_json(start.run_folder.path / FACTS_FILE, facts)


def first_card(config: TrainConfig, manifest: Manifest) -> ModelCard:
    """Of a model that learns from shards, before its first step."""
    return ModelCard(
        direction=config.direction,
        max_seq_len=config.data.max_seq_len,
        text_rules=manifest.text_rules,
        tokenizer_kind=manifest.tokenizer_kind,
        tokenizer_fingerprint=manifest.tokenizer_fingerprint,
        eos_id=manifest.eos_id,
        step=0,
        valid_loss=None,
    )


def require_tokenizer_of(init: str, manifest: Manifest) -> None:
    """Raise UserError if a model of this project was trained with other tokens than the shards'."""
    card = read_model_card(Path(resolve_model_folder(init)))
    if card is not None and card.tokenizer_fingerprint != manifest.tokenizer_fingerprint:
        raise UserError(
            f"model.init {init!r}: expected a model of the shards' tokenizer "
            f"{manifest.tokenizer_fingerprint}, found one of {card.tokenizer_fingerprint}; write "
            "the shards with the model's tokenizer, or take another model"
        )


def count_steps(config: TrainConfig, planner: BatchPlanner) -> int:
    """The last step of a run: what its epochs have, or what its config allows."""
    limit = config.max_steps or None
    total = 0
    for epoch in range(config.max_epochs):
        if limit is None or total < limit:
            total += planner.num_steps(epoch)
    return total if limit is None else min(limit, total)


@contextmanager
def going_on(
    config: TrainConfig, start: Start, former: Former, parts: AnyParts, facts: dict[str, Any]
) -> Iterator[AnyParts]:
    """The parts as the newest checkpoint has them, with an open log.

    Args:
        config: the run's.
        start: what there was.
        former: how far it has come.
        parts: as built.
        facts: told to trackers.
    """
    step = former.progress.step
    if start.checkpoint is not None and former.state is not None:
        logger.info("Going on after step %d from %s", step, start.checkpoint)
        restore_checkpoint(
            start.checkpoint,
            former.state,
            model=parts.model,
            optimizer=parts.optimizer,
            accelerator=parts.accelerator,
        )
    log = None
    if parts.accelerator.is_main_process:
        output = start.run_folder.path
        log = RunLog(
            output,
            last_step=step,
            tensorboard=config.tensorboard,
            trackers=start_trackers(
                config.trackers,
                output,
                settings={**flat_settings(start.resolved), **facts},
                resumed=step > 0,
            ),
        )
    try:
        yield replace(parts, log=log)
    finally:
        if log is not None:
            log.close()
