"""Where a run is: what changes from step to step besides weights, optimizer and generators."""

from dataclasses import asdict, dataclass, field
from typing import Any

from dialogpt.config.training import ValidationConfig
from dialogpt.train.step import StepResult


@dataclass(kw_only=True, slots=True)
class Totals:
    """Sums over some steps. They divide only when shown, so that no mean of means is taken.

    Attributes:
        loss_sums, loss_counts: by name.
        num_tokens, num_padded_tokens: without and with padding.
        num_used_tokens: computed and no padding; what dialogues share counts once.
        num_target_tokens: scored, in steps that counted.
        latent_sums: of posteriors, before the last checkpoint; see `dialogpt.plato.latent`.
    """

    loss_sums: dict[str, float] = field(default_factory=dict)
    loss_counts: dict[str, int] = field(default_factory=dict)
    num_tokens: int = 0
    num_padded_tokens: int = 0
    num_used_tokens: int = 0
    num_target_tokens: int = 0
    latent_sums: list[float] = field(default_factory=list)

    def add(self, result: StepResult) -> None:
        """Take in a step; the losses of a skipped one are not numbers and stay out."""
        self.num_tokens += result.num_tokens
        self.num_padded_tokens += result.num_padded_tokens
        self.num_used_tokens += result.num_used_tokens
        if result.was_skipped:
            return
        self.num_target_tokens += result.num_target_tokens
        for name, value in result.loss_sums.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0.0) + value
            self.loss_counts[name] = self.loss_counts.get(name, 0) + result.loss_counts[name]

    def losses(self) -> dict[str, float]:
        """Name -> sum / count, in nats; without the names that nothing was counted for."""
        counted = {name: count for name, count in self.loss_counts.items() if count}
        return {name: self.loss_sums[name] / count for name, count in counted.items()}

    @property
    def padding_share(self) -> float:
        """Share of computed tokens that are padding."""
        return 1.0 - self.num_used_tokens / max(1, self.num_padded_tokens)

    @property
    def paths_per_token(self) -> float:
        """Tokens of dialogues that a computed one stands for, on average.

        Without shared turns a little over 1: the last token of a packed dialogue is not computed.
        """
        return self.num_tokens / max(1, self.num_used_tokens)


@dataclass(kw_only=True, slots=True)
class Progress:
    """A run's position and its memory of earlier losses; equal on every rank; stored as JSON.

    Attributes:
        step: optimizer steps made.
        epoch, step_in_epoch: the next step to make, both from 0.
        num_skipped_steps: steps that float16 overflow undid.
        num_skipped_in_a_row: of them, since the last step that counted.
        num_skipped_dialogues: single turns left out.
        best_loss, best_step: lowest validation loss and its step; None before the first.
        num_without_progress: validations since.
        valid_loss: of the last validation.
        train_loss: between the last two validations.
        since_log, since_validation: sums since the last line and the last validation.
        finished: why training is over; empty while it is not.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    num_skipped_steps: int = 0
    num_skipped_in_a_row: int = 0
    num_skipped_dialogues: int = 0
    best_loss: float | None = None
    best_step: int = 0
    num_without_progress: int = 0
    valid_loss: float | None = None
    train_loss: float | None = None
    since_log: Totals = field(default_factory=Totals)
    since_validation: Totals = field(default_factory=Totals)
    finished: str = ""

    def take(self, result: StepResult, *, steps_in_epoch: int) -> None:
        """Count a step that was made."""
        self.step += 1
        self.step_in_epoch += 1
        if self.step_in_epoch == steps_in_epoch:
            self.epoch, self.step_in_epoch = self.epoch + 1, 0
        self.num_skipped_steps += result.was_skipped
        self.num_skipped_in_a_row = self.num_skipped_in_a_row + 1 if result.was_skipped else 0
        self.num_skipped_dialogues += result.num_skipped_dialogues
        self.since_log.add(result)
        self.since_validation.add(result)

    def take_validation(self, loss: float, config: ValidationConfig) -> bool:
        """Compare a validation loss with the best; whether it is a new best.

        Args:
            loss: nats per token.
            config: what counts as progress, and when to stop.
        """
        is_best = self.best_loss is None or loss < self.best_loss - config.min_delta
        if is_best:
            self.best_loss, self.best_step, self.num_without_progress = loss, self.step, 0
        else:
            self.num_without_progress += 1
        self.valid_loss = loss
        train_losses = self.since_validation.losses()
        if train_losses:
            self.train_loss = sum(train_losses.values())
        self.since_validation = Totals()
        if config.patience and self.num_without_progress >= config.patience:
            self.finished = (
                f"validation loss made no progress in {config.patience} validations "
                f"(best {self.best_loss:.4f} at step {self.best_step})"
            )
        return is_best

    def to_json(self) -> dict[str, Any]:
        """Plain values; floats survive JSON to the last bit."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Progress":
        """What `to_json` gave."""
        totals = {name: _totals(values[name]) for name in ("since_log", "since_validation")}
        return cls(**{**values, **totals})


def _totals(values: dict[str, Any]) -> Totals:
    # Checkpoints from before turns could be shared do not tell the two apart.
    return Totals(**{"num_used_tokens": values["num_tokens"], **values})
