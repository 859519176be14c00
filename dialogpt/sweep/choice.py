"""Which learning rate is best, and how sure that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

from dialogpt.sweep.outcomes import Outcome

NOISE_NATS = 0.05
"""Closer than this, two rates that were trained once each are not told apart. A rule of thumb: over
three seeds of the demo's recipe, 150 steps each, losses had standard deviations of 0.02 and 0.09;
larger models and longer runs vary less. With several seeds the noise is measured instead."""
STANDARD_ERRORS = 2.0
"""With several seeds: closer than so many standard errors of the difference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateResult:
    """All runs of a rate.

    Attributes:
        learning_rate: the rate.
        outcomes: one a seed.
    """

    learning_rate: float
    outcomes: tuple[Outcome, ...]

    @property
    def diverged(self) -> tuple[Outcome, ...]:
        """The runs that did not get to their end."""
        return tuple(o for o in self.outcomes if o.diverged_at is not None)

    @property
    def losses(self) -> tuple[float, ...]:
        """Best validation loss of each run that has one, nats a token."""
        return tuple(o.best_loss for o in self.outcomes if o.best_loss is not None)

    @property
    def is_eligible(self) -> bool:
        """Whether every run came to its end: a rate that diverges under one seed is no choice."""
        return not self.diverged and len(self.losses) == len(self.outcomes)

    @property
    def mean(self) -> float | None:
        """Mean of the losses; None where no run has one."""
        return sum(self.losses) / len(self.losses) if self.losses else None

    @property
    def variance(self) -> float | None:
        """Of the losses, from one seed to another (n - 1); None with fewer than two."""
        if self.mean is None or len(self.losses) < 2:
            return None
        mean = self.mean
        return sum((loss - mean) ** 2 for loss in self.losses) / (len(self.losses) - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What a sweep comes to.

    Attributes:
        results: by rate, lowest first.
        best: of the lowest mean loss; None where no rate is eligible.
        warnings: what to know before going by it.
    """

    results: tuple[RateResult, ...]
    best: RateResult | None
    warnings: tuple[str, ...]


def choose(outcomes: Iterable[Outcome]) -> Choice:
    """The rate of the lowest validation loss, mean over seeds, among those that never diverged."""
    by_rate = sorted(outcomes, key=lambda o: (o.learning_rate, o.seed))
    results = tuple(
        RateResult(learning_rate=rate, outcomes=tuple(group))
        for rate, group in groupby(by_rate, key=lambda o: o.learning_rate)
    )
    eligible = [result for result in results if result.is_eligible]
    if not eligible:
        lowest = results[0].learning_rate
        grid = [lowest / 64, lowest / 16, lowest / 4]
        warning = f"every rate diverged: try lower ones, such as {_options(grid)}"
        return Choice(results=results, best=None, warnings=(warning,))
    best = min(eligible, key=lambda r: (_mean(r), r.learning_rate))
    warnings = [_edge(results, best), _close(eligible, best), _worse(best)]
    return Choice(results=results, best=best, warnings=tuple(w for w in warnings if w))


def _edge(results: tuple[RateResult, ...], best: RateResult) -> str:
    """A warning where the best rate has no neighbour on one side, diverged or not."""
    rates = [r.learning_rate for r in results]
    rate = best.learning_rate
    if rate == rates[-1]:
        side, beyond = "highest", [rate * 2, rate * 4]
    elif rate == rates[0]:
        side, beyond = "lowest", [rate / 4, rate / 2]
    else:
        return ""
    return (
        f"the best rate is the {side} of the grid, so a better one may lie beyond: go on with "
        f"{_options(sorted([*rates, *beyond]))} (runs that are over are not made again)"
    )


def _close(eligible: list[RateResult], best: RateResult) -> str:
    """A warning that names the rates which may be as good."""
    others = [r for r in eligible if r is not best and _is_close(best, r)]
    if not others:
        return ""
    names = " and ".join(f"{r.learning_rate:g}" for r in others)
    if best.variance is None:
        how = (
            f"less than {NOISE_NATS} nats a token apart, which another seed can turn round: take "
            "either, or measure it with --seeds"
        )
    else:
        how = (
            f"within {STANDARD_ERRORS:g} standard errors over {len(best.losses)} seeds: more seeds "
            "or longer runs would tell, or take either"
        )
    return f"{best.learning_rate:g} is not told apart from {names}: {how}"


def _is_close(best: RateResult, other: RateResult) -> bool:
    difference = _mean(other) - _mean(best)
    if best.variance is None or other.variance is None:
        return difference < NOISE_NATS
    squared = best.variance / len(best.losses) + other.variance / len(other.losses)
    return difference < STANDARD_ERRORS * sqrt(squared)


def _mean(eligible: RateResult) -> float:
    assert eligible.mean is not None
    return eligible.mean


def _worse(best: RateResult) -> str:
    """A warning where training made the model worse at every rate."""
    start = best.outcomes[0].start_loss
    if start is None or _mean(best) < start:
        return ""
    return (
        f"no rate gets below the validation loss of {start:.4f} before training: try lower rates, "
        "and look at the data"
    )


def _options(rates: list[float]) -> str:
    # All digits: a rate that is rounded would be another one, and be trained again.
    return "--learning_rates " + " ".join(map(repr, rates))
