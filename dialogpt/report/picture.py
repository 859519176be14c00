"""Loss curves of runs as one picture, a panel a run."""

from pathlib import Path
from typing import Any

from dialogpt.report.curves import loss_curve, train_loss_points
from dialogpt.report.figures import plain_label, require_matplotlib
from dialogpt.report.runs import Run, read_run


def draw_curves(folders: list[Path], output: Path) -> None:
    """Write the picture.

    Args:
        folders: each holds metrics.jsonl.
        output: its ending decides the format.

    Raises:
        UserError: a folder has no metrics, or matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    runs = [read_run(folder) for folder in folders]
    figure = Figure(figsize=(5.5 * len(folders), 3.6), layout="constrained")
    panels = figure.subplots(1, len(folders), squeeze=False)[0]
    for panel, run in zip(panels, runs, strict=True):
        _draw_run(panel, run)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=120)


def _draw_run(panel: Any, run: Run) -> None:
    """Two curves over steps, and the first and last validation perplexity in words."""
    valid = [(r["step"], r["loss"], r["perplexity"]) for r in run.valid]
    curve = loss_curve([run])
    steps, losses = train_loss_points(run, curve)
    if steps:
        panel.plot(steps, losses, color="tab:blue", alpha=0.6, label="training")
    if valid:
        steps = [step for step, _, _ in valid]
        losses = [loss for _, loss, _ in valid]
        panel.plot(steps, losses, color="tab:orange", marker="o", label="validation")
        for index in dict.fromkeys((0, len(valid) - 1)):
            at_end = index == len(valid) - 1 and index > 0
            panel.annotate(
                f"perplexity {valid[index][2]:,.1f}",
                (steps[index], losses[index]),
                xytext=(-6, 12) if at_end else (10, -4),
                textcoords="offset points",
                ha="right" if at_end else "left",
            )
    panel.set_title(plain_label(run.name))
    panel.set_xlabel("optimizer step")
    panel.set_ylabel(f"loss, {curve.label}")
    panel.grid(alpha=0.3)
    panel.legend()
