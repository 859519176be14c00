"""The loop: validate -> step -> log -> validate -> save."""

import logging
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dialogpt.checkpoint import ModelCard, RunFolder, SavableModel, write_model_folder
from dialogpt.config.training import TrainConfig
from dialogpt.data.batch import AnyBatch
from dialogpt.data.loader import StepLoader
from dialogpt.distributed import wait_for_all_ranks
from dialogpt.run_log import RunLog
from dialogpt.train.progress import Progress, Totals
from dialogpt.train.report import (
    TimeLeft,
    interval_metrics,
    short_form,
    utilisation_share,
    warn_if_overfitting,
)
from dialogpt.train.schedule import learning_rate
from dialogpt.train.sharding import savable
from dialogpt.train.state import Identity, save_checkpoint
from dialogpt.train.step import BegunStep, StepResult, TrainingDivergedError, Updater
from dialogpt.train.stop_signal import StopSignal
from dialogpt.train.utilisation import Utilisation
from dialogpt.train.validate import validate

logger = logging.getLogger(__name__)

_MAX_SKIPPED_IN_A_ROW = 50
"""Each overflow halves the loss scale; from 65,536 it is 0 in float32 long before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What `run` has put together for the loop.

    Attributes:
        model: the model itself, not its wrapper.
        optimizer, updater: over its parameters.
        accelerator: device, ranks, precision.
        train_loader, valid_loader: valid_loader is None without validation dialogues.
        run_folder: where models and checkpoints go.
        log: metrics; None on all ranks but the first.
        tokenizer_folder: goes into every model folder.
        card: of the model; step and valid_loss are filled in when it is written.
        identity: what the order of the data depends on.
        total_steps: the last step.
        utilisation: turns speed into a share of what the devices can; None where that is unknown.
    """

    model: Any
    optimizer: Any
    updater: Updater
    accelerator: Accelerator
    train_loader: StepLoader
    valid_loader: StepLoader | None
    run_folder: RunFolder
    log: RunLog | None
    tokenizer_folder: Path
    card: ModelCard
    identity: Identity
    total_steps: int
    utilisation: Utilisation | None = None


class Trainer:
    """Runs the loop from wherever `progress` is.

    Args:
        config: the run's.
        parts: what it works with.
        progress: where the run is; changed in place.
    """

    def __init__(self, config: TrainConfig, parts: Parts, progress: Progress) -> None:
        self._config = config
        self._parts = parts
        self._progress = progress
        self._step_seconds = self._waiting_seconds = 0.0
        self._num_timed_tokens = 0  # since_log may count steps of a former process
        self._time_left = TimeLeft(parts.total_steps)
        # In a log file a bar is noise; there, each line of metrics is a log line.
        self._shows_bar = parts.log is not None and sys.stderr.isatty()

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
            for result, rate in self._steps(stop):
                bar.update()
                is_last = progress.step >= parts.total_steps
                if progress.step % config.log_every_steps == 0 or is_last:
                    self._log(result, rate, bar)
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

    def _steps(self, stop: StopSignal) -> Iterator[tuple[StepResult, float]]:
        """Each step that was made, and its learning rate.

        The next one has begun by then, so that the device always has work, unless something depends
        on the step: a line of metrics, a validation, a checkpoint, the end of an epoch.
        """
        begun: deque[tuple[BegunStep, float]] = deque()
        started = perf_counter()
        asked = perf_counter()
        for micro_batches in self._micro_batches():
            self._waiting_seconds += perf_counter() - asked
            number = self._progress.step + len(begun) + 1
            rate = self._learning_rate(number)
            step = self._parts.updater.begin(
                micro_batches, number, learning_rate=rate, stop_requested=stop.received > 0
            )
            begun.append((step, rate))
            num_left = 0 if step.stop_requested or self._is_milestone(len(begun)) else 1
            while len(begun) > num_left:
                step, rate = begun.popleft()
                result = self._take(step)
                self._step_seconds += perf_counter() - started
                self._num_timed_tokens += result.num_tokens
                yield result, rate
                started = perf_counter()
            asked = perf_counter()

    def _micro_batches(self) -> Iterator[list[AnyBatch]]:
        progress = self._progress
        while True:
            # An epoch ends when `Progress.take` has counted its last step.
            before = progress.step
            yield from self._parts.train_loader.epoch(progress.epoch, progress.step_in_epoch)
            assert progress.step > before, "the position is behind the end of the epoch"

    def _learning_rate(self, number: int) -> float:
        schedule = self._config.schedule
        return learning_rate(
            number,
            schedule.name,
            peak=schedule.learning_rate,
            warmup_steps=schedule.warmup_steps,
            total_steps=self._parts.total_steps,
        )

    def _is_milestone(self, num_begun: int) -> bool:
        """Whether something is due after the last of so many steps that follow those counted."""
        config, number = self._config, self._progress.step + num_begun
        periods = (
            config.log_every_steps,
            config.validation.every_steps,
            config.checkpoint.every_steps,
        )
        ends_epoch = self._progress.step_in_epoch + num_begun == self._steps_in_epoch()
        is_last = number == self._parts.total_steps
        return ends_epoch or is_last or any(number % period == 0 for period in periods)

    def _take(self, step: BegunStep) -> StepResult:
        """Wait for a step and count it."""
        progress = self._progress
        result = step.result()
        progress.take(result, steps_in_epoch=self._steps_in_epoch())
        if progress.num_skipped_in_a_row > _MAX_SKIPPED_IN_A_ROW:
            raise TrainingDivergedError(
                f"step {progress.step}: expected finite gradients, found none in the last "
                f"{progress.num_skipped_in_a_row} steps at any float16 loss scale; take precision "
                "bf16 or fp32, or lower schedule.learning_rate"
            )
        return result

    def _log(self, result: StepResult, rate: float, bar: Any) -> None:
        """First rank: a line of metrics on the steps since the last one; all: start anew."""
        progress, totals = self._progress, self._progress.since_log
        seconds, waiting = self._step_seconds, self._waiting_seconds
        num_timed_tokens = self._num_timed_tokens
        self._step_seconds = self._waiting_seconds = 0.0
        self._num_timed_tokens = 0
        progress.since_log = Totals()
        if self._parts.log is None:
            return
        values = interval_metrics(progress, totals, learning_rate=rate)
        values["epoch"] = progress.epoch + progress.step_in_epoch / self._steps_in_epoch()
        values["tokens_per_second"] = num_timed_tokens / seconds
        values["waiting_share"] = waiting / seconds
        if self._config.batch.layout == "tree":
            values["paths_per_token"] = totals.paths_per_token
        if self._parts.utilisation is not None:
            values["mfu"] = utilisation_share(
                self._parts.utilisation,
                totals,
                tokens_per_second=values["tokens_per_second"] / values.get("paths_per_token", 1.0),
            )
        if not result.was_skipped:
            values["grad_norm"] = result.grad_norm
        self._parts.log.write("train", progress.step, values)
        shown = short_form(values)
        bar.set_postfix(shown)
        if not self._shows_bar:  # the bar has a clock of its own
            shown["left"] = self._time_left.after(progress.step)
            text = "  ".join(f"{name} {value}" for name, value in shown.items())
            logger.info("step %d/%d  %s", progress.step, self._parts.total_steps, text)

    def _steps_in_epoch(self) -> int:
        return self._parts.train_loader.planner.num_steps(self._progress.epoch)

    def _validate(self) -> None:
        """All ranks: measure, remember, warn; the first one saves a new best model."""
        config, parts, progress = self._config, self._parts, self._progress
        if parts.valid_loader is None:
            return
        steps = tqdm(
            parts.valid_loader.epoch(0),
            desc="validation",
            total=parts.valid_loader.planner.num_steps(0),
            leave=False,
            disable=not self._shows_bar,
        )
        result = validate(parts.model, steps, accelerator=parts.accelerator)
        before = (progress.train_loss, progress.valid_loss)
        is_best = progress.take_validation(result.loss, config.validation)
        metrics = result.metrics()
        if parts.log is not None:
            parts.log.write("valid", progress.step, metrics)
        logger.info(
            "step %d  validation loss %.4f  perplexity %.2f a token, %.1f a word%s",
            progress.step,
            result.loss,
            metrics["perplexity"],
            metrics["word_perplexity"],
            "  (best)" if is_best else "",
        )
        warn_if_overfitting(progress, before)
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
        if parts.valid_loader is None and parts.accelerator.is_main_process:
            parts.run_folder.last_is_best()
