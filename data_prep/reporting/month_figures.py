"""Figures by month."""

from collections.abc import Iterable, Mapping
from typing import Any

from data_prep.reporting.drawing import Drawing, Drawn, count_ticks, note, percent_ticks
from data_prep.reporting.funnel import Step
from data_prep.reporting.reasons import label
from data_prep.reporting.svg import BAR, DROP, MUTED

_PANELS = 12  # reasons whose shares are drawn, at most
_GAP = 1.6  # from month to month, where others are missing in between


class MonthAxis:
    """Months side by side, with room and a mark where some are missing in between."""

    def __init__(self, months: Iterable[str]) -> None:
        """Place the months.

        Args:
            months: like "2015-02".
        """
        self._places: dict[str, float] = {}
        self._gaps: list[float] = []
        place = 0.0
        before: int | None = None
        for month in sorted({*months}):
            index = month_index(month)
            if before is not None and index > before + 1:
                self._gaps.append(place + _GAP / 2)
                place += _GAP
            elif before is not None:
                place += 1
            self._places[month] = place
            before = index

    def place(self, month: str) -> float:
        """Where a month stands."""
        return self._places[month]

    def paint(self, panel: Any, numbers: Mapping[str, float], *, color: str, labels: int) -> None:
        """Bars, and the names of some months.

        Args:
            panel: where to.
            numbers: month -> height of its bar.
            color: of the bars.
            labels: months to name, at most.
        """
        panel.bar([self.place(month) for month in numbers], numbers.values(), 0.8, color=color)
        names = list(self._places)[:: -(-len(self._places) // labels)]
        panel.set_xticks([self.place(name) for name in names], names)
        panel.tick_params(axis="x", length=0)
        # Few months would fill the panel with slabs.
        end = max(self._places.values())
        panel.set_xlim(-0.6, max(end + 0.6, 4))
        for gap in self._gaps:
            at_foot = ("data", "axes fraction")
            note(panel, "…", (gap, 0), xycoords=at_foot, xytext=(0, 1), ha="center", color=MUTED)


def month_index(month: str) -> int:
    """Months since the year 0."""
    year, _, number = month.partition("-")
    return 12 * int(year) + int(number)


def draw_months(drawing: Drawing, dialogues: Mapping[str, int], kept: Mapping[str, float]) -> Drawn:
    """Dialogues a month, and which share of the paths was kept.

    Args:
        drawing: where to.
        dialogues: month -> how many.
        kept: month -> share; may be empty.
    """

    def paint(figure: Any) -> None:
        panels = figure.subplots(2 if kept else 1, 1, squeeze=False)[:, 0]
        axis = MonthAxis([*dialogues, *kept])
        axis.paint(panels[0], dialogues, color=BAR, labels=6)
        panels[0].set_title("Dialogues a month")
        count_ticks(panels[0].yaxis, 4)
        if kept:
            percents = {month: 100 * share for month, share in kept.items()}
            axis.paint(panels[1], percents, color=BAR, labels=6)
            panels[1].set_title("Kept of all paths")
            percent_ticks(panels[1].yaxis, 4)

    description = f"dialogues a month, {min(dialogues)} to {max(dialogues)}"
    return drawing.draw("months", description, paint, height=3.4 if kept else 2.0)


def draw_drops_by_month(
    drawing: Drawing, shares: Mapping[tuple[str, str], Mapping[str, Step]]
) -> Drawn:
    """One small panel a reason: what it dropped, month by month, of what came to it.

    Args:
        drawing: where to.
        shares: (kind, reason) -> month -> step; at least one.
    """
    shown = list(shares.items())[:_PANELS]
    num_rows = -(-len(shown) // 2)

    def paint(figure: Any) -> None:
        panels = figure.subplots(num_rows, 2, squeeze=False).flatten()
        for panel, ((kind, reason), steps) in zip(panels, shown, strict=False):
            percents = {month: 100 * step.share for month, step in steps.items()}
            MonthAxis(steps).paint(panel, percents, color=DROP, labels=3)
            panel.set_title(f"{label(reason)} ({kind})", fontsize=8.5)
            percent_ticks(panel.yaxis, 3)
        for panel in panels[len(shown) :]:
            panel.set_axis_off()

    description = "share dropped by month, one panel a reason"
    return drawing.draw("drops_by_month", description, paint, height=1.3 * num_rows, width=5.6)
