"""The policy gradient: a step draws replies, scores them and learns from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.config.training import TrainConfig
from dialogpt.mmi_rl.contexts import ContextLoader, ContextReader, SourceContext
from dialogpt.mmi_rl.rollout import Rollout, RolloutParts, draw_rollout, rollout_metrics
from dialogpt.train.loop import Loop, Measured, Parts
from dialogpt.train.progress import Progress
from dialogpt.train.report import Metrics
from dialogpt.train.step import StepResult
from dialogpt.train.stop_signal import StopSignal
from dialogpt.train.validate import validate

_VALIDATION_DRAWS = 2**62
"""Number of the first draw of a validation: every validation draws by the same random numbers, and
training by others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyParts(Parts):
    """What `run` has put together for the loop; the rest of it is in `Parts`.

    Attributes:
        rollout: models that draw and score; its policy is the model.
        train_loader: contexts to train on.
        valid_contexts: contexts to measure on; None without validation dialogues.
    """

    rollout: RolloutParts
    train_loader: ContextLoader
    valid_contexts: ContextReader | None


class PolicyTrainer(Loop[PolicyParts]):
    """The loop over contexts.

    Args:
        config: the run's.
        mmi_rl: its section of this name.
        parts: what it works with.
        progress: where the run is; changed in place.
    """

    def __init__(
        self, config: TrainConfig, mmi_rl: MmiRlConfig, parts: PolicyParts, progress: Progress
    ) -> None:
        super().__init__(config, parts, progress)
        self._mmi_rl = mmi_rl
        self._rollout: Rollout | None = None  # of the last step
        self._step_seconds = 0.0

    def _steps(self, stop: StopSignal) -> Iterator[StepResult]:
        """Draw with the policy, then change it; step after step."""
        progress, updater = self._progress, self._parts.updater
        for contexts in self._inputs():
            started = perf_counter()
            self._rollout = self._draw(contexts)
            number = progress.step + 1
            step = updater.begin(
                self._rollout.batches,  # type: ignore[arg-type]  # what it reads of a batch is there
                number,
                learning_rate=self._learning_rate(number),
                stop_requested=stop.received > 0,
            )
            result = step.result()
            progress.take(result, steps_in_epoch=self._steps_in_epoch())
            self._step_seconds = perf_counter() - started
            yield result

    def _draw(self, contexts: list[SourceContext]) -> Rollout:
        # No two draws of a run have the same number, and a run that goes on draws as it would have.
        accelerator, size = self._parts.accelerator, self._mmi_rl.contexts_per_step
        rank, num_ranks = accelerator.process_index, accelerator.num_processes
        first = (self._progress.step * num_ranks + rank) * size
        return draw_rollout(
            self._parts.rollout,
            contexts,
            range(first, first + len(contexts)),
            config=self._mmi_rl,
            seed=self._config.seed,
        )

    def _interval(self, result: StepResult) -> tuple[Metrics, dict[str, str]]:
        """Of the last step alone; its replies were drawn before it."""
        assert self._rollout is not None
        progress = self._progress
        values = rollout_metrics([self._rollout])
        values = {
            "loss": -values["objective"],
            **values,
            "learning_rate": self._learning_rate(progress.step),
            "epoch": progress.epoch + progress.step_in_epoch / self._steps_in_epoch(),
            "tokens": result.num_tokens,
            "tokens_per_second": result.num_tokens / self._step_seconds,
            "padding_share": 1.0 - result.num_used_tokens / max(1, result.num_padded_tokens),
            "skipped_steps": progress.num_skipped_steps,
        }
        return values, _short_form(values)

    def _measure(self) -> Measured:
        """Draw for held-out contexts, and read people's replies."""
        parts, reader = self._parts, self._parts.valid_contexts
        assert reader is not None
        accelerator, size = parts.accelerator, self._mmi_rl.contexts_per_step
        own = range(accelerator.process_index, len(reader.dataset), accelerator.num_processes)
        pieces = [own[start : start + size] for start in range(0, len(own), size)]
        answered = ([reader.answered(indices)] for indices in pieces or [own])
        human = validate(parts.model, answered, accelerator=accelerator).metrics()
        rollouts = []
        for indices in pieces:
            contexts = reader.read(indices)
            rollouts.append(
                draw_rollout(
                    parts.rollout,
                    contexts,
                    [_VALIDATION_DRAWS + context.dialogue_index for context in contexts],
                    config=self._mmi_rl,
                    seed=self._config.seed,
                )
            )
        values = rollout_metrics(rollouts)
        loss = -values["objective"]
        values = {
            "loss": loss,
            **values,
            "human_loss": human["loss"],
            **{name: human[name] for name in ("perplexity", "word_perplexity")},
        }
        shown = "  ".join(f"{name} {value}" for name, value in _short_form(values).items())
        return Measured(loss=loss, metrics=values, shown=f" {shown}")


def _short_form(values: Metrics) -> dict[str, str]:
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
    return shown
