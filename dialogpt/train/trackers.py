"""Trackers of accelerate: services that draw the curves of many runs side by side."""

import json
import logging
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from dialogpt.command_line import UserError
from dialogpt.config import TrackerName
from dialogpt.records import write_json

TRACKERS_FILE = "trackers.json"
"""In the run folder: tracker -> the id of this run there, by which it goes on."""

PROJECT = "dialogpt"

logger = logging.getLogger(__name__)

_HOW_TO_START = {
    "trackio": "set TRACKIO_DIR to a folder that can be written to",
    "wandb": "run `wandb login`, or set WANDB_MODE=offline",
}


def require_trackers(names: Sequence[TrackerName]) -> None:
    """Find out before anything runs for long whether the trackers are installed.

    Raises:
        UserError: names those that are not, and how to install them.
    """
    installed = {str(name) for name in get_available_trackers()}
    missing = sorted(set(names) - installed)
    if missing:
        raise UserError(
            f"trackers: expected the packages of {', '.join(names)}, found no "
            f"{' and no '.join(missing)}; `pip install {' '.join(missing)}`, or leave them out"
        )


class RunningTracker:
    """A tracker that has started; the `Tracker` of `dialogpt.run_log`.

    A tracker that fails is left alone from then on: training of days must not end for want of a
    curve, which stands in metrics.jsonl too.

    Args:
        tracker: accelerate's.
        goes_on: whether it has the lines of the run's earlier processes.
    """

    def __init__(self, tracker: Any, *, goes_on: bool) -> None:
        self._tracker = tracker
        self._failed = False
        self.goes_on = goes_on

    def log(self, values: dict[str, float | int], step: int) -> None:
        """Add points: name of a curve -> value at a step."""
        self._try(lambda: self._tracker.log(values, step=step))

    def finish(self) -> None:
        """Send what is left."""
        self._try(self._tracker.finish)

    def _try(self, action: Callable[[], Any]) -> None:
        if self._failed:
            return
        try:
            action()
        except Exception as error:  # whatever a service and its network may raise
            self._failed = True
            logger.warning(
                "%s failed and gets nothing more from this process (%s: %s); the curves are in "
                "metrics.jsonl",
                self._tracker.name,
                type(error).__name__,
                error,
            )


def start_trackers(
    names: Sequence[TrackerName], run: Path, *, settings: dict[str, Any], resumed: bool
) -> list[RunningTracker]:
    """Start the trackers; for the first rank only.

    A run that goes on goes on there too, with those that it had before.

    Args:
        names: which; `require_trackers` has found them.
        run: the run folder, which names the run and keeps its ids.
        settings: name -> plain value, shown beside the curves.
        resumed: whether the run goes on from a checkpoint.

    Raises:
        UserError: a tracker does not start.
    """
    if not names:
        return []
    file = run / TRACKERS_FILE
    known = json.loads(file.read_text(encoding="utf-8")) if resumed and file.is_file() else {}
    ids = {**known, **{name: secrets.token_hex(4) for name in names if name not in known}}
    # Before they start: a kill between the two must not leave a run there that nobody finds again.
    write_json(file, ids)
    return [_start(name, run, ids[name], settings, goes_on=name in known) for name in names]


def _start(
    name: TrackerName, run: Path, run_id: str, settings: dict[str, Any], *, goes_on: bool
) -> RunningTracker:
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name](PROJECT, **_options(name, run, run_id, goes_on))
        tracker.start()
        tracker.store_init_configuration(settings)
    except Exception as error:  # whatever a service and its network may raise
        raise UserError(
            f"trackers: {name} did not start ({type(error).__name__}: {error}); "
            f"{_HOW_TO_START[name]}, or leave it out"
        ) from error
    return RunningTracker(tracker, goes_on=goes_on)


def _options(name: TrackerName, run: Path, run_id: str, goes_on: bool) -> dict[str, Any]:
    """What `init` of a tracker is given besides the project."""
    shown = "-".join(run.resolve().parts[-2:])  # runs/NAME-small/forward: NAME-small-forward
    if name == "wandb":
        return {"name": shown, "id": run_id, "resume": "allow", "dir": str(run)}
    # trackio finds a run again by its name, which another run must not have.
    return {"name": f"{shown}-{run_id}", "resume": "allow" if goes_on else "never"}
