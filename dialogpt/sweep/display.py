"""The table of a sweep, for the console."""

from collections.abc import Callable, Sequence
from statistics import mean

from dialogpt.sweep.choice import Choice, RateResult
from dialogpt.sweep.outcomes import Outcome

_HEADER = ("learning rate", "valid loss", "at step", "train loss", "tokens/s", "state")


def table(choice: Choice) -> str:
    """A line a rate, the chosen one marked; losses in nats a token, means over seeds."""
    rows = [_HEADER, *(_row(result) for result in choice.results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = []
    for row, result in zip(rows, (None, *choice.results), strict=True):
        mark = ">" if result is not None and result is choice.best else " "
        numbers = [value.rjust(width) for value, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([f"{mark} {numbers[0]}", *numbers[1:], row[-1]]))
    return "\n".join(lines)


def _row(result: RateResult) -> tuple[str, ...]:
    loss = "-" if result.mean is None else f"{result.mean:.4f}"
    if result.variance is not None:
        loss += f" ± {result.variance**0.5:.4f}"
    return (
        f"{result.learning_rate:g}",
        loss,
        _mean(result, lambda o: o.best_step, "{:,.0f}"),
        _mean(result, lambda o: o.train_loss, "{:.4f}"),
        _mean(result, lambda o: o.tokens_per_second, "{:,.0f}"),
        _state(result),
    )


def _mean(result: RateResult, value: Callable[[Outcome], float | None], form: str) -> str:
    found = [number for outcome in result.outcomes if (number := value(outcome)) is not None]
    return form.format(mean(found)) if found else "-"


def _state(result: RateResult) -> str:
    diverged = result.diverged
    if not diverged:
        return "finished"
    steps = _listed([f"{outcome.diverged_at:,}" for outcome in diverged])
    count = f"{len(diverged)} of {len(result.outcomes)} " if len(result.outcomes) > 1 else ""
    return f"{count}diverged at step {steps}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))
