"""Metrics of a run: one JSON object a line, TensorBoard where it is installed, and trackers."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from dialogpt.records import write_json, write_text

METRICS_FILE = "metrics.jsonl"
FACTS_FILE = "run.json"
"""What the run is: model size, devices, data; of the process that trained last. And why training is
over, once no checkpoint says so."""

_END = "finished"

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """A service that draws curves, such as trackio; points that it has cannot be taken back."""

    def log(self, kind: str, step: int, values: dict[str, float | int]) -> None:
        """Add the points of a line, unless the service has it already.

        Args:
            kind: "train" or "valid".
            step: optimizer steps made.
            values: name of a curve -> value.
        """
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
        trackers: are given every line of the run in order, those of earlier processes included, and
            skip what they have. Lines of lost steps come again with the same losses.
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
        _truncate(path, last_step)
        self._trackers = trackers
        if trackers and path.is_file():
            for record in read_metrics(folder):
                self._track(**record)
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
            for name, value in _named(kind, values).items():
                self._curves.add_scalar(name, value, step)
        self._track(kind, step, **values)

    def _track(self, kind: str, step: int, **values: float | int) -> None:
        for tracker in self._trackers:
            tracker.log(kind, step, _named(kind, values))

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


def note_end(folder: Path, why: str) -> None:
    """Keep in run.json why training is over, for a run whose checkpoints are to be removed."""
    write_json(folder / FACTS_FILE, {**read_facts(folder), _END: why})


def noted_end(folder: Path) -> str:
    """What `note_end` has kept; empty without it."""
    return str(read_facts(folder).get(_END, ""))


def read_facts(folder: Path) -> dict[str, Any]:
    """What run.json says; empty for a run from before there was one."""
    path = folder / FACTS_FILE
    if not path.is_file():
        return {}
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _named(kind: str, values: dict[str, float | int]) -> dict[str, float | int]:
    """The numbers of a line under the names of their curves: train/loss, valid/loss."""
    return {f"{kind}/{name}": value for name, value in values.items()}


def _whole_lines(path: Path) -> list[str]:
    # A kill can cut the last line short; only such a line lacks its end.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def _truncate(path: Path, last_step: int) -> None:
    """Drop the lines after a step from the file."""
    if not path.is_file():
        return
    # A new run begins with an empty log: the line of step 0 is its validation before training.
    kept = [
        line for line in _whole_lines(path) if last_step and json.loads(line)["step"] <= last_step
    ]
    write_text(path, "".join(kept))


def _summary_writer(folder: Path, last_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("TensorBoard is not installed: curves are in %s only", METRICS_FILE)
        return None
    # purge_step hides the points that the lost steps had written.
    return SummaryWriter(str(folder), purge_step=last_step + 1 if last_step else 0)
