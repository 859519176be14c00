"""Metrics of a run: one JSON object a line, TensorBoard where it is installed, and trackers."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from dialogpt.records import write_text

METRICS_FILE = "metrics.jsonl"
FACTS_FILE = "run.json"
"""What the run is: model size, devices, data; of the process that trained last."""

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """A service that draws curves, such as trackio; points that it has cannot be taken back."""

    @property
    def goes_on(self) -> bool:
        """Whether it has the lines that earlier processes of the run wrote."""
        ...

    def log(self, values: dict[str, float | int], step: int) -> None:
        """Add points: name of a curve -> value at a step."""
        ...

    def finish(self) -> None:
        """Send what is left."""
        ...


class RunLog:
    """Appends to metrics.jsonl; a run that goes on first drops what the lost steps had written.

    Args:
        folder: the run's.
        last_step: the step of the checkpoint that the run goes on from; 0 for a new run. Later
            lines are dropped, and a line that was cut short.
        tensorboard: write event files too, where the package is installed.
        trackers: get every line once. One that goes on has those of the lost steps, which come
            again with the same losses; a new one is sent the lines of before.
    """

    def __init__(
        self,
        folder: Path,
        *,
        last_step: int,
        tensorboard: bool,
        trackers: Sequence[Tracker] = (),
    ) -> None:
        path = folder / METRICS_FILE
        dropped = _truncate(path, last_step)
        self._trackers = trackers
        self._sent = {(record["kind"], record["step"]) for record in dropped}
        for tracker in trackers:
            if not tracker.goes_on and path.is_file():
                for record in read_metrics(folder):
                    tracker.log(_named(**record), record["step"])
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
        named = _named(kind, step, **values)
        if self._curves is not None:
            for name, value in named.items():
                self._curves.add_scalar(name, value, step)
        for tracker in self._trackers:
            if not tracker.goes_on or (kind, step) not in self._sent:
                tracker.log(named, step)

    def close(self) -> None:
        """Write out what is buffered."""
        self._lines.close()
        if self._curves is not None:
            self._curves.close()
        for tracker in self._trackers:
            tracker.finish()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The records of a run, in the order written; the run may be going on."""
    return [json.loads(line) for line in _whole_lines(folder / METRICS_FILE)]


def _named(kind: str, step: int, **values: float | int) -> dict[str, float | int]:
    """The numbers of a line under the names of their curves: train/loss, valid/loss."""
    return {f"{kind}/{name}": value for name, value in values.items()}


def _whole_lines(path: Path) -> list[str]:
    # A kill can cut the last line short; only such a line lacks its end.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _truncate(path: Path, last_step: int) -> list[dict[str, Any]]:
    """Drop the lines after a step from the file; what stood in them."""
    if not path.is_file():
        return []
    kept, dropped = [], []
    for line in _whole_lines(path):
        record = json.loads(line)
        # A new run begins with an empty log: the line of step 0 is its validation before training.
        if last_step and record["step"] <= last_step:
            kept.append(line)
        else:
            dropped.append(record)
    write_text(path, "".join(kept))
    return dropped


def _summary_writer(folder: Path, last_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("TensorBoard is not installed: curves are in %s only", METRICS_FILE)
        return None
    # purge_step hides the points that the lost steps had written.
    return SummaryWriter(str(folder), purge_step=last_step + 1 if last_step else 0)
