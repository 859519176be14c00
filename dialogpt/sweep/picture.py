"""A sweep as a picture: validation loss over learning rate, and over the steps of each run."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from dialogpt.sweep.choice import Choice

_WORST_SHOWN = 1.0
"""Losses further above the best than so many nats are cut off: they would flatten the rest."""


def draw(choice: Choice, curves: Mapping[float, Sequence[Mapping[str, Any]]], output: Path) -> None:
    """Write the picture.

    Args:
        choice: what the sweep came to.
        curves: learning rate -> metrics of its run of the first seed.
        output: its ending decides the format.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rates = [result.learning_rate for result in choice.results]
    # Dark to light from the lowest rate to the highest; the palest end is hard to see on white.
    shades = [0.9 * i / max(1, len(rates) - 1) for i in range(len(rates))]
    colors = dict(zip(rates, colormaps["viridis"](shades), strict=True))
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_rates(left, choice, colors)
    _draw_curves(right, choice, curves, colors)
    _limit_losses(left, choice, room_above=0.35)
    _limit_losses(right, choice, room_above=1.5)  # a curve is more than its end
    figure.savefig(output, dpi=120)


def _draw_rates(panel: Any, choice: Choice, colors: dict[float, Any]) -> None:
    """A point a run, and the line through the means of the rates that never diverged."""
    stable = [r for r in choice.results if r.is_eligible]
    panel.plot([r.learning_rate for r in stable], [r.mean for r in stable], color="0.6", zorder=1)
    for result in choice.results:
        rate = result.learning_rate
        if result.is_eligible:
            panel.scatter([rate] * len(result.losses), result.losses, color=colors[rate], zorder=2)
        else:
            # On the upper edge, wherever that will be.
            panel.plot(
                rate, 0.97, "x", color="tab:red", transform=panel.get_xaxis_transform(), zorder=3
            )
    if choice.best is not None:
        best = choice.best
        panel.plot(
            best.learning_rate,
            best.mean,
            "o",
            markersize=14,
            markerfacecolor="none",
            markeredgecolor="tab:red",
            label=f"best: {best.learning_rate:.3g}",
        )
    if any(not r.is_eligible for r in choice.results):
        panel.plot([], [], "x", color="tab:red", label="diverged")
    panel.set_xscale("log")
    rates = [r.learning_rate for r in choice.results]
    panel.set_xticks(rates, [f"{rate:.3g}" for rate in rates], rotation=20)
    panel.set_xticks([], minor=True)
    panel.set_xlabel("highest learning rate")
    panel.set_ylabel("validation loss, nats a token")
    panel.set_title("best validation loss of each run")
    panel.grid(alpha=0.3)
    panel.legend()


def _draw_curves(
    panel: Any,
    choice: Choice,
    curves: Mapping[float, Sequence[Mapping[str, Any]]],
    colors: dict[float, Any],
) -> None:
    for result in choice.results:
        rate = result.learning_rate
        valid = [
            (r["step"], r["loss"])
            for r in curves[rate]
            if r["kind"] == "valid" and isfinite(r["loss"])
        ]
        panel.plot(
            [step for step, _ in valid],
            [loss for _, loss in valid],
            color=colors[rate],
            marker=".",
            linewidth=2.5 if result is choice.best else 1.2,
            label=f"{rate:.3g}" + ("" if result.is_eligible else " (diverged)"),
        )
    panel.set_xlabel("optimizer step")
    panel.set_title("validation loss over the run, first seed")
    panel.grid(alpha=0.3)
    panel.legend(title="learning rate")


def _limit_losses(panel: Any, choice: Choice, *, room_above: float) -> None:
    """Show the best losses of the runs, and above them a share of the height they take."""
    losses = [loss for result in choice.results for loss in result.losses]
    if not losses:
        return
    low = min(losses)
    high = min(max(losses), low + _WORST_SHOWN)
    span = max(high - low, 0.05)
    panel.set_ylim(low - 0.1 * span, high + room_above * span)
