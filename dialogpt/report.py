"""python -m dialogpt.report RUN [RUN ...] --output FILE: loss curves of runs as one picture."""

import argparse
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError, require_folder, run_command
from dialogpt.run_log import METRICS_FILE, read_metrics


def draw_curves(folders: list[Path], output: Path) -> None:
    """Write the picture.

    Args:
        folders: each holds metrics.jsonl.
        output: its ending decides the format.

    Raises:
        UserError: a folder has no metrics, or matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("matplotlib is not installed; `pip install 'dialogpt[plots]'`") from error
    records = [_records(folder) for folder in folders]
    figure = Figure(figsize=(5.5 * len(folders), 3.6), layout="constrained")
    panels = figure.subplots(1, len(folders), squeeze=False)[0]
    for panel, folder, lines in zip(panels, folders, records, strict=True):
        _draw_run(panel, folder, lines)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=120)


def _records(folder: Path) -> list[dict[str, Any]]:
    require_folder(folder, "the folder of a training run", "name one under runs/")
    if not (folder / METRICS_FILE).is_file():
        raise UserError(f"{folder}: expected {METRICS_FILE}, found none; is it a training run?")
    records = read_metrics(folder)
    if not records:
        raise UserError(f"{folder / METRICS_FILE}: nothing is recorded yet; wait for a few steps")
    return records


def _draw_run(panel: Any, folder: Path, records: list[dict[str, Any]]) -> None:
    """Two curves over steps, and the first and last validation perplexity in words."""
    # Steps that float16 overflow undid have no loss.
    train = [(r["step"], r["loss"]) for r in records if r["kind"] == "train" and "loss" in r]
    valid = [(r["step"], r["loss"], r["perplexity"]) for r in records if r["kind"] == "valid"]
    if train:
        panel.plot(*zip(*train, strict=True), color="tab:blue", alpha=0.6, label="training")
    if valid:
        steps, losses, perplexities = zip(*valid, strict=True)
        panel.plot(steps, losses, color="tab:orange", marker="o", label="validation")
        for index in dict.fromkeys((0, len(valid) - 1)):
            at_end = index == len(valid) - 1 and index > 0
            panel.annotate(
                f"perplexity {perplexities[index]:,.1f}",
                (steps[index], losses[index]),
                xytext=(-6, 12) if at_end else (10, -4),
                textcoords="offset points",
                ha="right" if at_end else "left",
            )
    panel.set_title("/".join(folder.parts[-2:]))
    panel.set_xlabel("optimizer step")
    panel.set_ylabel("loss, nats a token")
    panel.grid(alpha=0.3)
    panel.legend()


def main(argv: list[str] | None = None) -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m dialogpt.report",
        description="Draw training and validation loss of runs, one panel a run.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--output", required=True, type=Path, help="PNG or SVG file; an existing one is replaced"
    )
    options = parser.parse_args(argv)
    run_command(lambda: draw_curves(options.runs, options.output))
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
