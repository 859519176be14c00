"""An evaluation as one picture: a panel a metric, a line a system, with its interval."""

import math
from pathlib import Path
from typing import Any

from dialogpt.evaluation.scores import Evaluation, MetricFacts

_COLUMNS = 4
_COLORS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c")


def has_matplotlib() -> bool:
    """Whether pictures can be drawn here."""
    try:
        import matplotlib  # noqa: F401  # an optional package
    except ImportError:
        return False
    return True


def draw(evaluation: Evaluation, output: Path) -> None:
    """Write the picture; its ending decides the format.

    Metrics that no system has a value of are left out.
    """
    from matplotlib.figure import Figure

    metrics = [m for m in evaluation.metrics if _has_value(evaluation, m)]
    num_rows = math.ceil(len(metrics) / _COLUMNS)
    num_columns = min(len(metrics), _COLUMNS)
    height = 0.9 + 0.28 * len(evaluation.systems)
    figure = Figure(
        figsize=(1.5 + 2.5 * num_columns, height * num_rows + 0.5), layout="constrained"
    )
    panels = list(figure.subplots(num_rows, num_columns, squeeze=False, sharey=True).flat)
    for panel, metric in zip(panels, metrics, strict=False):
        _draw_metric(panel, evaluation, metric)
    for panel in panels[len(metrics) :]:
        panel.set_visible(False)
    facts = evaluation.test_set
    title = f"Preset {evaluation.preset}: {facts.num_segments:,} segments, references a segment: "
    figure.suptitle(f"{title}{facts.references}; 95 % intervals", fontsize=9)
    figure.savefig(output, dpi=150)


def _has_value(evaluation: Evaluation, metric: MetricFacts) -> bool:
    scores = [system.scores.get(metric.name) for system in evaluation.systems]
    return any(score is not None and not math.isnan(score.value) for score in scores)


def _draw_metric(panel: Any, evaluation: Evaluation, metric: MetricFacts) -> None:
    factor = 100.0 if metric.written == "percent" else 1.0
    for row, system in enumerate(evaluation.systems):
        score = system.scores.get(metric.name)
        if score is None or math.isnan(score.value):
            continue
        color = _COLORS[row % len(_COLORS)]
        if score.has_interval:
            panel.plot([factor * score.low, factor * score.high], [row, row], color=color, lw=2)
        panel.plot([factor * score.value], [row], "o", color=color, ms=5)
    panel.set_title(f"{metric.short}{', %' if metric.written == 'percent' else ''}", fontsize=9)
    # A dollar sign would begin a formula.
    names = [system.name.replace("$", r"\$") for system in evaluation.systems]
    panel.set_yticks(range(len(names)), names, fontsize=8)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=7)
    panel.grid(axis="x", alpha=0.3)
    panel.margins(x=0.12)
    if panel.get_xlim()[0] < 0:  # no number is below 0, and all may be 0
        panel.set_xlim(0, max(panel.get_xlim()[1], 1.0 if factor > 1 else 0.1))
