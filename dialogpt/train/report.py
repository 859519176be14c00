"""What a run says of itself while it trains."""

import logging
import math
from time import perf_counter

from tqdm import tqdm

from dialogpt.train.progress import Progress, Totals
from dialogpt.train.utilisation import Utilisation
from dialogpt.train.validate import perplexity

logger = logging.getLogger(__name__)

Metrics = dict[str, float | int]


def interval_metrics(progress: Progress, totals: Totals, *, learning_rate: float) -> Metrics:
    """The numbers of some steps that are the same however fast they were made.

    Without a loss where nothing was counted, as when float16 overflowed in all of the steps.

    Args:
        progress: where the run is.
        totals: sums over the steps.
        learning_rate: of the last of them.
    """
    losses = totals.losses()
    return {
        **({"loss": sum(losses.values())} if losses else {}),
        **losses,
        "learning_rate": learning_rate,
        "tokens": totals.num_tokens,
        "target_tokens": totals.num_target_tokens,
        "padding_share": totals.padding_share,
        "skipped_steps": progress.num_skipped_steps,
        "skipped_dialogues": progress.num_skipped_dialogues,
    }


def utilisation_share(
    utilisation: Utilisation, totals: Totals, *, tokens_per_second: float
) -> float:
    """Model FLOPs utilisation over some steps.

    Args:
        utilisation: of the run's model and devices.
        totals: sums over the steps.
        tokens_per_second: over all ranks; what dialogues share counts once.
    """
    target_share = totals.num_target_tokens / max(1, totals.num_tokens)
    return utilisation.share(tokens_per_second, target_share=target_share)


class TimeLeft:
    """Says when training will be over, for lines without a bar.

    By the clock since the first line, so validations and checkpoints count, and compiling, which
    comes before it, does not.

    Args:
        total_steps: the last step.
    """

    def __init__(self, total_steps: int) -> None:
        self._total_steps = total_steps
        self._first: tuple[int, float] | None = None  # step, seconds

    def after(self, step: int) -> str:
        """Hours, minutes and seconds left after a step; "?" at the first line."""
        now = perf_counter()
        if self._first is None:
            self._first = step, now
        first_step, began = self._first
        if step == first_step:
            return "?"
        seconds = (now - began) / (step - first_step) * (self._total_steps - step)
        return tqdm.format_interval(seconds)


def short_form(metrics: Metrics) -> dict[str, str]:
    """What stands at the end of the progress bar; tokens a second are without padding."""
    loss = metrics.get("loss", math.nan)
    mfu = {"mfu": f"{metrics['mfu']:.0%}"} if "mfu" in metrics else {}
    return {
        "loss": f"{loss:.3f}",
        "ppl": f"{perplexity(loss):.1f}",
        "tok/s": f"{metrics['tokens_per_second']:,.0f}",
        "pad": f"{metrics['padding_share']:.0%}",
        "wait": f"{metrics['waiting_share']:.0%}",
        **mfu,
        "lr": f"{metrics['learning_rate']:.1e}",
    }


def warn_if_overfitting(progress: Progress, former: tuple[float | None, float | None]) -> bool:
    """Whether the model learns its training data and gets worse on other data; if so, say it.

    Args:
        progress: holds the losses of now.
        former: training and validation loss at the validation before; None where there was none.
    """
    train, valid = progress.train_loss, progress.valid_loss
    former_train, former_valid = former
    if train is None or valid is None or former_train is None or former_valid is None:
        return False
    if train >= former_train or valid <= former_valid:
        return False
    logger.warning(
        "Training loss falls (%.4f -> %.4f) while validation loss rises (%.4f -> %.4f): the model "
        "overfits. The best one is that of step %d; more data, more model.dropout or "
        "validation.patience would help",
        former_train,
        train,
        former_valid,
        valid,
        progress.best_step,
    )
    return True
