"""The figures of the funnel and of the subreddits."""

from collections.abc import Sequence
from typing import Any

from data_prep.reporting.drawing import Drawing, Drawn, count_ticks, note, percent_ticks
from data_prep.reporting.formats import percent
from data_prep.reporting.funnel import Flow
from data_prep.reporting.reasons import label
from data_prep.reporting.svg import BAR, DROP, INK, SOFT

_FEW = 40  # subreddits, each of which gets a dot of its own


def draw_funnel(drawing: Drawing, flows: Sequence[Flow]) -> Drawn:
    """What is left after each reason, one panel a flow."""
    kept = [f"of {flow.num_in:,} {flow.kind} {flow.num_out:,} stay" for flow in flows]
    num_rows = [len(flow.dropping) + 2 for flow in flows]

    def paint(figure: Any) -> None:
        panels = figure.subplots(len(flows), 1, squeeze=False, height_ratios=num_rows)
        for panel, flow in zip(panels[:, 0], flows, strict=True):
            _paint_flow(panel, flow)

    height = 0.24 * sum(num_rows) + 0.5 * len(flows)
    return drawing.draw("funnel", "; ".join(kept), paint, height=height)


def _paint_flow(panel: Any, flow: Flow) -> None:
    steps = flow.dropping
    names = ["in", *(f"− {label(step.reason)}" for step in steps), "kept"]
    kept = [flow.num_in, *(step.num_out for step in steps), flow.num_out]
    dropped = [0, *(step.num_dropped for step in steps), 0]
    texts = [
        f"{flow.num_in:,}",
        *(f"{step.num_dropped:,}  ({percent(step.share)})" for step in steps),
        f"{flow.num_out:,}  ({percent(flow.share_kept)})",
    ]
    places = range(len(names))
    panel.barh(places, kept, color=[BAR, *[SOFT] * len(steps), BAR], height=0.74)
    panel.barh(places, dropped, left=kept, color=DROP, height=0.74)
    for place, text in enumerate(texts):
        end = (kept[place] + dropped[place], place)
        note(panel, text, end, xytext=(4, 0), va="center", fontsize=8, color=INK)
    panel.set_yticks(places, names, color=INK)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlim(0, 1.36 * flow.num_in)
    panel.set_xticks([])
    panel.grid(visible=False)
    panel.spines["bottom"].set_visible(False)
    panel.set_title(flow.kind.capitalize())


def draw_concentration(drawing: Drawing, cumulative: Sequence[float]) -> Drawn:
    """How much of the dialogues the largest subreddits hold together.

    Args:
        drawing: where to.
        cumulative: share of the largest, of the two largest, and so on.
    """

    def paint(figure: Any) -> None:
        panel = figure.subplots()
        ranks = range(1, len(cumulative) + 1)
        percents = [100 * share for share in cumulative]
        panel.plot(ranks, percents, color=BAR, linewidth=2)
        if len(cumulative) <= _FEW:
            panel.plot(ranks, percents, "o", color=BAR, markersize=4)
            count_ticks(panel.xaxis, 8)
        else:
            panel.set_xscale("log")
            _powers_of_ten(panel.xaxis)
        panel.set_ylim(0, 104)
        panel.set_title("Dialogues in the largest subreddits")
        panel.set_xlabel("so many of the largest subreddits together")
        percent_ticks(panel.yaxis, 5)

    description = f"share of dialogues in the largest of {len(cumulative):,} subreddits"
    return drawing.draw("subreddits", description, paint, height=2.3)


def _powers_of_ten(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10))
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    axis.set_minor_formatter(NullFormatter())
