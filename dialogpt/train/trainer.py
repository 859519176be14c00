"""Training on what people wrote: the steps of the loop, and what is said of them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tqdm import tqdm

from dialogpt.config.training import TrainConfig
from dialogpt.data.loader import BatchLoader
from dialogpt.train.loop import Loop, Measured, Parts
from dialogpt.train.progress import Progress
from dialogpt.train.report import (
    Metrics,
    interval_metrics,
    short_form,
    utilisation_share,
    warn_if_overfitting,
)
from dialogpt.train.step import BegunStep, StepResult, TrainingDivergedError
from dialogpt.train.stop_signal import StopSignal
from dialogpt.train.utilisation import Utilisation
from dialogpt.train.validate import validate

_MAX_SKIPPED_IN_A_ROW = 50
"""Each overflow halves the loss scale; from 65,536 it is 0 in float32 long before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerParts(Parts):
    """What `run` has put together for the loop; the rest of it is in `Parts`.

    Attributes:
        train_loader, valid_loader: valid_loader is None without validation dialogues.
        utilisation: turns speed into a share of what the devices can; None where that is unknown.
    """

    train_loader: BatchLoader[Any]
    valid_loader: BatchLoader[Any] | None
    utilisation: Utilisation | None = None


class Trainer(Loop[TrainerParts]):
    """The loop over batches of dialogues. Arguments as `Loop`."""

    def __init__(self, config: TrainConfig, parts: TrainerParts, progress: Progress) -> None:
        super().__init__(config, parts, progress)
        self._step_seconds = self._waiting_seconds = 0.0
        self._num_timed_tokens = 0  # since_log may count steps of a former process

    def _steps(self, stop: StopSignal) -> Iterator[StepResult]:
        """Each step that was made.

        The next one has begun by then, so that the device always has work, unless something depends
        on the step: a line of metrics, a validation, a checkpoint, the end of an epoch.
        """
        begun: deque[BegunStep] = deque()
        started = perf_counter()
        asked = perf_counter()
        for micro_batches in self._inputs():
            self._waiting_seconds += perf_counter() - asked
            number = self._progress.step + len(begun) + 1
            step = self._parts.updater.begin(
                micro_batches,
                number,
                learning_rate=self._learning_rate(number),
                stop_requested=stop.received > 0,
            )
            begun.append(step)
            num_left = 0 if step.stop_requested or self._is_milestone(len(begun)) else 1
            while len(begun) > num_left:
                result = self._take(begun.popleft())
                self._step_seconds += perf_counter() - started
                self._num_timed_tokens += result.num_tokens
                yield result
                started = perf_counter()
            asked = perf_counter()

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

    def _interval(self, result: StepResult) -> tuple[Metrics, dict[str, str]]:
        progress, totals = self._progress, self._progress.since_log
        seconds, waiting = self._step_seconds, self._waiting_seconds
        num_timed_tokens = self._num_timed_tokens
        self._step_seconds = self._waiting_seconds = 0.0
        self._num_timed_tokens = 0
        values = interval_metrics(
            progress, totals, learning_rate=self._learning_rate(progress.step)
        )
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
        return values, short_form(values)

    def _measure(self) -> Measured:
        parts = self._parts
        assert parts.valid_loader is not None
        steps = tqdm(
            parts.valid_loader.epoch(0),
            desc="validation",
            total=parts.valid_loader.planner.num_steps(0),
            leave=False,
            disable=not self._shows_bar,
        )
        result = validate(parts.model, steps, accelerator=parts.accelerator)
        metrics = result.metrics()
        shown = (
            f"loss {result.loss:.4f}  perplexity {metrics['perplexity']:.2f} a token, "
            f"{metrics['word_perplexity']:.1f} a word"
        )
        return Measured(loss=result.loss, metrics=metrics, shown=shown)

    def _compare(self, former: tuple[float | None, float | None]) -> None:
        warn_if_overfitting(self._progress, former)
