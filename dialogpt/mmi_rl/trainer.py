"""The loop: draw -> score -> learn -> log -> validate -> save."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from dialogpt.checkpoint import ModelCard, RunFolder, SavableModel, write_model_folder
from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.config.training import TrainConfig
from dialogpt.distributed import wait_for_all_ranks
from dialogpt.mmi_rl.contexts import ContextLoader, ContextReader, SourceContext
from dialogpt.mmi_rl.rollout import Rollout, RolloutParts, draw_rollout, rollout_metrics
from dialogpt.run_log import RunLog
from dialogpt.train.progress import Progress
from dialogpt.train.report import TimeLeft
from dialogpt.train.schedule import learning_rate
from dialogpt.train.state import Identity, save_checkpoint
from dialogpt.train.step import StepResult, Updater
from dialogpt.train.stop_signal import StopSignal
from dialogpt.train.validate import validate

logger = logging.getLogger(__name__)

_VALIDATION_DRAWS = 2**62
"""Number of the first draw of a validation: every validation draws by the same random numbers, and
training by others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyParts:
    """What `run` has put together for the loop.

    Attributes:
        rollout: models that draw and score.
        optimizer, updater: over the policy's parameters.
        loader: contexts to train on.
        valid_contexts: contexts to measure on; None without validation dialogues.
        run_folder: where models and checkpoints go.
        log: metrics; None on all ranks but the first.
        tokenizer_folder: goes into every model folder.
        card: of the model; step and valid_loss are filled in when it is written.
        identity: what the order of the data depends on.
        total_steps: the last step.
    """

    rollout: RolloutParts
    optimizer: Any
    updater: Updater
    loader: ContextLoader
    valid_contexts: ContextReader | None
    run_folder: RunFolder
    log: RunLog | None
    tokenizer_folder: Path
    card: ModelCard
    identity: Identity
    total_steps: int


class PolicyTrainer:
    """Runs the loop from wherever `progress` is.

    Args:
        config: the run's.
        mmi_rl: its section of this name.
        parts: what it works with.
        progress: where the run is; changed in place.
    """

    def __init__(
        self, config: TrainConfig, mmi_rl: MmiRlConfig, parts: PolicyParts, progress: Progress
    ) -> None:
        self._config = config
        self._mmi_rl = mmi_rl
        self._parts = parts
        self._progress = progress
        self._time_left = TimeLeft(parts.total_steps)
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
            if progress.step == 0:
                self._validate()
            for contexts in self._contexts():
                started = perf_counter()
                rollout, result, rate = self._step(contexts, stop)
                bar.update()
                is_last = progress.step >= parts.total_steps
                if progress.step % config.log_every_steps == 0 or is_last:
                    self._log(rollout, result, rate, perf_counter() - started)
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

    def _contexts(self) -> Iterator[list[SourceContext]]:
        progress = self._progress
        while True:
            before = progress.step
            yield from self._parts.loader.epoch(progress.epoch, progress.step_in_epoch)
            assert progress.step > before, "the position is behind the end of the epoch"

    def _step(
        self, contexts: list[SourceContext], stop: StopSignal
    ) -> tuple[Rollout, StepResult, float]:
        """Draw with the policy, then change it; the rate too."""
        config, parts, progress = self._config, self._parts, self._progress
        number = progress.step + 1
        rate = learning_rate(
            number,
            config.schedule.name,
            peak=config.schedule.learning_rate,
            warmup_steps=config.schedule.warmup_steps,
            total_steps=parts.total_steps,
        )
        # No two draws of a run have the same number, and a run that goes on draws as it would have.
        accelerator, size = parts.rollout.accelerator, self._mmi_rl.contexts_per_step
        first = (progress.step * accelerator.num_processes + accelerator.process_index) * size
        rollout = draw_rollout(
            parts.rollout,
            contexts,
            range(first, first + len(contexts)),
            config=self._mmi_rl,
            seed=config.seed,
        )
        step = parts.updater.begin(
            rollout.batches,  # type: ignore[arg-type]  # has what the updater reads of a batch
            number,
            learning_rate=rate,
            stop_requested=stop.received > 0,
        )
        result = step.result()
        steps_in_epoch = parts.loader.planner.num_steps(progress.epoch)
        progress.take(result, steps_in_epoch=steps_in_epoch)
        return rollout, result, rate

    def _log(self, rollout: Rollout, result: StepResult, rate: float, seconds: float) -> None:
        """First rank: a line of metrics on the last step; its replies were drawn before it."""
        progress = self._progress
        values = rollout_metrics([rollout])
        if self._parts.log is None:
            return
        steps_in_epoch = self._parts.loader.planner.num_steps(progress.epoch)
        values = {
            "loss": -values["objective"],
            **values,
            "learning_rate": rate,
            "epoch": progress.epoch + progress.step_in_epoch / steps_in_epoch,
            "tokens": result.num_tokens,
            "tokens_per_second": result.num_tokens / seconds,
            "padding_share": 1.0 - result.num_used_tokens / max(1, result.num_padded_tokens),
            "skipped_steps": progress.num_skipped_steps,
        }
        if not result.was_skipped:
            values["grad_norm"] = result.grad_norm
        self._parts.log.write("train", progress.step, values)
        if not self._shows_bar:
            logger.info(
                "step %d/%d  %s  left %s",
                progress.step,
                self._parts.total_steps,
                _short(values),
                self._time_left.after(progress.step),
            )

    def _validate(self) -> None:
        """All ranks: draw for held-out contexts, and read people's replies; keep the best model."""
        config, parts, progress = self._config, self._parts, self._progress
        reader = parts.valid_contexts
        if reader is None:
            return
        accelerator, size = parts.rollout.accelerator, self._mmi_rl.contexts_per_step
        own = range(accelerator.process_index, len(reader.dataset), accelerator.num_processes)
        pieces = [own[start : start + size] for start in range(0, len(own), size)]
        answered = ([reader.answered(indices)] for indices in pieces or [own])
        human = validate(parts.rollout.policy, answered, accelerator=accelerator).metrics()
        rollouts = []
        for indices in pieces:
            contexts = reader.read(indices)
            rollouts.append(
                draw_rollout(
                    parts.rollout,
                    contexts,
                    [_VALIDATION_DRAWS + context.dialogue_index for context in contexts],
                    config=self._mmi_rl,
                    seed=config.seed,
                )
            )
        values = rollout_metrics(rollouts)
        loss = -values["objective"]
        is_best = progress.take_validation(loss, config.validation)
        if parts.log is not None:
            values = {
                "loss": loss,
                **values,
                "human_loss": human["loss"],
                **{name: human[name] for name in ("perplexity", "word_perplexity")},
            }
            parts.log.write("valid", progress.step, values)
            best = "  (best)" if is_best else ""
            logger.info("step %d  validation  %s%s", progress.step, _short(values), best)
        if is_best and accelerator.is_main_process:
            parts.run_folder.publish_best(
                progress.step, lambda folder: self._write_model(folder, parts.rollout.policy)
            )
        wait_for_all_ranks()

    def _card(self) -> ModelCard:
        progress = self._progress
        return self._parts.card.at(step=progress.step, valid_loss=progress.valid_loss)

    def _write_model(self, folder: Path, model: SavableModel) -> None:
        write_model_folder(
            folder, model, tokenizer_folder=self._parts.tokenizer_folder, card=self._card()
        )

    def _save(self) -> None:
        parts = self._parts
        save_checkpoint(
            parts.run_folder,
            parts.rollout.policy,
            optimizer=parts.optimizer,
            accelerator=parts.rollout.accelerator,
            progress=self._progress,
            identity=parts.identity,
            tokenizer_folder=parts.tokenizer_folder,
            card=self._card(),
        )
        if parts.valid_contexts is None and parts.rollout.accelerator.is_main_process:
            parts.run_folder.last_is_best()


def _short(values: dict[str, float | int]) -> str:
    """What stands in a line of the terminal."""
    shown = {
        "reward": f"{values['reward']:.3f}",
        "copied": f"{values['copy_rate']:.1%}",
        "dist-2": f"{values['dist_2']:.3f}",
        "kl": f"{values['kl']:.2f}",
        "length": f"{values['reply_tokens']:.1f}",
    }
    if "perplexity" in values:
        shown["human ppl"] = f"{values['perplexity']:.1f}"
    return "  ".join(f"{name} {value}" for name, value in shown.items())
