"""What every way of training does: validate -> step -> log -> validate -> save."""

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from accelerate import Accelerator
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dialogpt.checkpoint import ModelCard, RunFolder, SavableModel, write_model_folder
from dialogpt.config.training import TrainConfig
from dialogpt.data.sampler import BatchPlanner
from dialogpt.distributed import wait_for_all_ranks
from dialogpt.run_log import RunLog
from dialogpt.train.progress import Progress, Totals
from dialogpt.train.report import Metrics, TimeLeft
from dialogpt.train.schedule import learning_rate
from dialogpt.train.sharding import savable
from dialogpt.train.state import Identity, save_checkpoint
from dialogpt.train.step import StepResult, Updater
from dialogpt.train.stop_signal import StopSignal

logger = logging.getLogger(__name__)


class EpochLoader(Protocol):
    """What an optimizer step is made from, in an order that is a function of the epoch."""

    @property
    def planner(self) -> BatchPlanner:
        """Knows how many steps an epoch has."""

    def epoch(self, epoch: int, first_step: int) -> Iterator[Any]:
        """What each step of an epoch is made from, from `first_step` (from 0) on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a loop works with.

    Attributes:
        model: the model itself, not its wrapper.
        optimizer, updater: over its parameters.
        accelerator: device, ranks, precision.
        train_loader: gives a step what it is made from.
        can_validate: whether there are dialogues to validate on.
        run_folder: where models and checkpoints go.
        log: metrics; None on all ranks but the first.
        tokenizer_folder: goes into every model folder.
        card: of the model; step and valid_loss are filled in when it is written.
        identity: what the order of the data depends on.
        total_steps: the last step.
    """

    model: Any
    optimizer: Any
    updater: Updater
    accelerator: Accelerator
    train_loader: EpochLoader
    can_validate: bool
    run_folder: RunFolder
    log: RunLog | None
    tokenizer_folder: Path
    card: ModelCard
    identity: Identity
    total_steps: int


AnyParts = TypeVar("AnyParts", bound=Parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a validation found.

    Attributes:
        loss: the less, the better the model.
        metrics: for the log.
        shown: for people.
    """

    loss: float
    metrics: Metrics
    shown: str


class Loop(ABC, Generic[AnyParts]):
    """Runs from wherever `progress` is.

    Args:
        config: the run's.
        parts: what it works with.
        progress: where the run is; changed in place.
    """

    def __init__(self, config: TrainConfig, parts: AnyParts, progress: Progress) -> None:
        self._config = config
        self._parts = parts
        self._progress = progress
        self._time_left = TimeLeft(parts.total_steps)
        # In a log file a bar is noise; there, each line of metrics is a log line.
        self._shows_bar = parts.log is not None and sys.stderr.isatty()

    @abstractmethod
    def _steps(self, stop: StopSignal) -> Iterator[StepResult]:
        """Each step that was made and counted."""

    @abstractmethod
    def _interval(self, result: StepResult) -> tuple[Metrics, dict[str, str]]:
        """All ranks: metrics since the last line, and what to show of them.

        Args:
            result: of the last step.
        """

    @abstractmethod
    def _measure(self) -> Measured:
        """All ranks: how good the model is now. Called only where there is something to read."""

    def _compare(self, former: tuple[float | None, float | None]) -> None:
        """Say what a validation shows beside the one before; nothing here.

        Args:
            former: training and validation loss of that one; None where there was none.
        """

    def run(self) -> int:
        """Train to the end, or until told to stop; 0, or the exit code of the signal."""
        config, parts, progress = self._config, self._parts, self._progress
        bar = tqdm(
            total=parts.total_steps,
            initial=progress.step,
            unit="step",
            disable=not self._shows_bar,
            dynamic_ncols=True,
        )
        with StopSignal() as stop, bar, logging_redirect_tqdm():
            if progress.step == 0:  # so that the fall is seen from where it began
                self._validate()
            for result in self._steps(stop):
                bar.update()
                is_last = progress.step >= parts.total_steps
                if progress.step % config.log_every_steps == 0 or is_last:
                    self._log(result, bar)
                if progress.step % config.validation.every_steps == 0 or is_last:
                    self._validate()
                if is_last and not progress.finished:
                    progress.finished = f"step {progress.step} was the last"
                due = progress.step % config.checkpoint.every_steps == 0
                if due or progress.finished or result.stop_requested:
                    self._save()
                if progress.finished:
                    logger.info("Finished: %s", progress.finished)
                    return 0
                if result.stop_requested:
                    logger.warning(
                        "Stopped by a signal after step %d, which is saved; give the same command "
                        "again to go on",
                        progress.step,
                    )
                    return stop.exit_code
        raise AssertionError("the data ended before the last step")

    def _inputs(self) -> Iterator[Any]:
        """What each step is made from, epoch after epoch, without end."""
        progress = self._progress
        while True:
            # An epoch ends when `Progress.take` has counted its last step.
            before = progress.step
            yield from self._parts.train_loader.epoch(progress.epoch, progress.step_in_epoch)
            assert progress.step > before, "the position is behind the end of the epoch"

    def _steps_in_epoch(self) -> int:
        return self._parts.train_loader.planner.num_steps(self._progress.epoch)

    def _learning_rate(self, number: int) -> float:
        schedule = self._config.schedule
        return learning_rate(
            number,
            schedule.name,
            peak=schedule.learning_rate,
            warmup_steps=schedule.warmup_steps,
            total_steps=self._parts.total_steps,
        )

    def _log(self, result: StepResult, bar: Any) -> None:
        """First rank: a line of metrics on the steps since the last one; all: start anew."""
        parts, progress = self._parts, self._progress
        values, shown = self._interval(result)
        progress.since_log = Totals()
        if parts.log is None:
            return
        if not result.was_skipped:
            values["grad_norm"] = result.grad_norm
        parts.log.write("train", progress.step, values)
        bar.set_postfix(shown)
        if not self._shows_bar:  # the bar has a clock of its own
            shown["left"] = self._time_left.after(progress.step)
            text = "  ".join(f"{name} {value}" for name, value in shown.items())
            logger.info("step %d/%d  %s", progress.step, parts.total_steps, text)

    def _validate(self) -> None:
        """All ranks: measure, remember, warn; the first one saves a new best model."""
        parts, progress = self._parts, self._progress
        if not parts.can_validate:
            return
        measured = self._measure()
        former = (progress.train_loss, progress.valid_loss)
        is_best = progress.take_validation(measured.loss, self._config.validation)
        if parts.log is not None:
            parts.log.write("valid", progress.step, measured.metrics)
        best = "  (best)" if is_best else ""
        logger.info("step %d  validation %s%s", progress.step, measured.shown, best)
        self._compare(former)
        if is_best:
            weights = savable(parts.model)
            if parts.accelerator.is_main_process:
                parts.run_folder.publish_best(
                    progress.step, lambda folder: self._write_model(folder, weights)
                )
        wait_for_all_ranks()

    def _card(self) -> ModelCard:
        progress, card = self._progress, self._parts.card
        return card.at(step=progress.step, valid_loss=progress.valid_loss)

    def _write_model(self, folder: Path, weights: SavableModel) -> None:
        write_model_folder(
            folder,
            weights,
            tokenizer_folder=self._parts.tokenizer_folder,
            card=self._card(),
        )

    def _save(self) -> None:
        parts = self._parts
        save_checkpoint(
            parts.run_folder,
            parts.model,
            optimizer=parts.optimizer,
            accelerator=parts.accelerator,
            progress=self._progress,
            identity=parts.identity,
            tokenizer_folder=parts.tokenizer_folder,
            card=self._card(),
        )
        if not parts.can_validate and parts.accelerator.is_main_process:
            parts.run_folder.last_is_best()
