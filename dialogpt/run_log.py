"""Metrics of a run: one JSON object a line, and TensorBoard where it is installed."""

import json
import logging
from pathlib import Path
from typing import Any, TextIO

from dialogpt.records import write_text

METRICS_FILE = "metrics.jsonl"

logger = logging.getLogger(__name__)


class RunLog:
    """Appends to metrics.jsonl; a run that goes on first drops what the lost steps had written.

    Args:
        folder: the run's.
        last_step: the step of the checkpoint that the run goes on from; 0 for a new run. Later
            lines are dropped, and a line that was cut short.
        tensorboard: write event files too, where the package is installed.
    """

    def __init__(self, folder: Path, *, last_step: int, tensorboard: bool) -> None:
        path = folder / METRICS_FILE
        _truncate(path, last_step)
        self._lines: TextIO = path.open("a", encoding="utf-8")
        self._curves = _summary_writer(folder / "tensorboard", last_step) if tensorboard else None

    def write(self, kind: str, step: int, values: dict[str, float | int]) -> None:
        """Record the numbers of a step.

        Args:
            kind: what they are of: "train" or "valid".
            step: optimizer steps made.
            values: name -> number.
        """
        # Flushed: a run that is killed keeps what it has written.
        self._lines.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self._lines.flush()
        if self._curves is not None:
            for name, value in values.items():
                self._curves.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write out what is buffered."""
        self._lines.close()
        if self._curves is not None:
            self._curves.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The records of a run, in the order written; the run may be going on."""
    return [json.loads(line) for line in _whole_lines(folder / METRICS_FILE)]


def _whole_lines(path: Path) -> list[str]:
    # A kill can cut the last line short; only such a line lacks its end.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _truncate(path: Path, last_step: int) -> None:
    if not path.is_file():
        return
    kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= last_step]
    # A new run begins with an empty log: the line of step 0 is its validation before training.
    write_text(path, "".join(kept) if last_step else "")


def _summary_writer(folder: Path, last_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("TensorBoard is not installed: curves are in %s only", METRICS_FILE)
        return None
    # purge_step hides the points that the lost steps had written.
    return SummaryWriter(str(folder), purge_step=last_step + 1 if last_step else 0)
