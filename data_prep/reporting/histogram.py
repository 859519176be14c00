"""A distribution as a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_prep.reporting.distribution import Bar, Distribution
from data_prep.reporting.drawing import Drawing, Drawn, count_ticks, note, percent_ticks
from data_prep.reporting.svg import BAR, MARK, MUTED, PAPER, SOFT

_BARS = 40
_LEAST_SPAN = 10
_ON_PAPER = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}


@dataclass(frozen=True, slots=True)
class Limit:
    """A number to mark in a histogram, and what it is."""

    number: int
    name: str


def draw_histogram(
    drawing: Drawing,
    name: str,
    distribution: Distribution,
    *,
    title: str,
    unit: str,
    limits: Sequence[Limit] = (),
    outer: float = 0.005,
) -> Drawn:
    """The share of each number, or of numbers that are close.

    Args:
        drawing: where to.
        name: of the file.
        distribution: at least one number.
        title: what is counted.
        unit: along the axis.
        limits: numbers to mark; those beyond the figure are left out.
        outer: share of the numbers on either side that may lie beyond the figure.
    """

    def paint(figure: Any) -> None:
        panel = figure.subplots()
        _paint_bars(panel, distribution.bars(_BARS, outer=outer), distribution.total)
        _paint_limits(panel, limits)
        panel.set_title(title)
        panel.set_xlabel(unit)
        count_ticks(panel.xaxis, 7)
        percent_ticks(panel.yaxis, 4)

    description = (
        f"{title}: half of {distribution.total:,} are {distribution.quantile(0.5):,} or less"
    )
    return drawing.draw(name, description, paint, height=2.3)


def _paint_bars(panel: Any, bars: Sequence[Bar], total: int) -> None:
    """Bars; one that is open to a side is as wide as the others and says where it begins."""
    closed = [(bar.first or 0, bar.last or 0) for bar in bars if not bar.is_open]
    width = closed[0][1] - closed[0][0] + 1
    percents = [100 * bar.count / total for bar in bars]
    for place, (bar, percent) in enumerate(zip(bars, percents, strict=True)):
        first = bar.first if bar.first is not None else (bar.last or 0) - width + 1
        middle = first + (width - 1) / 2
        panel.bar(middle, percent, 0.88 * width, color=SOFT if bar.is_open else BAR)
        if bar.is_open:
            text = f"≥ {first:,}" if bar.last is None else f"≤ {bar.last:,}".replace("-", "−")
            side = "right" if bar.last is None else "left"
            end = middle + (width / 2 if bar.last is None else -width / 2)
            top = max(percents[max(0, place - 1) : place + 2])  # of its neighbour as well
            note(panel, text, (end, top), xytext=(0, 3), ha=side, color=MUTED, bbox=_ON_PAPER)
    low, high = closed[0][0] - width, closed[-1][1] + width
    if high - low < _LEAST_SPAN:  # or few bars would become slabs
        panel.set_xlim(low - 0.5, low + _LEAST_SPAN)
    else:
        panel.margins(x=0.02)


def _paint_limits(panel: Any, limits: Sequence[Limit]) -> None:
    """Broken lines with their names, the first one at the top."""
    low, high = panel.get_xlim()
    panel.set_xlim(low, high)
    shown = [limit for limit in limits if low <= limit.number <= high]
    for row, limit in enumerate(shown):
        place = limit.number + 0.5
        panel.axvline(place, color=MARK, linewidth=1.2, linestyle="--")
        is_right = place < (low + high) / 2
        note(
            panel,
            limit.name,
            (place, 1 - 0.1 * row),
            xycoords=("data", "axes fraction"),
            xytext=(3 if is_right else -3, -2),
            ha="left" if is_right else "right",
            va="top",
            color=MARK,
            bbox=_ON_PAPER,
        )
