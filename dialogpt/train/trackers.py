"""Trackers of accelerate: services that draw the curves of many runs side by side."""

import json
import logging
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from dialogpt.command_line import UserError
from dialogpt.config.training import TrackerName
from dialogpt.records import write_json

TRACKERS_FILE = "trackers.json"
"""In the run folder: tracker -> the id of this run there, by which it goes on, and the last line of
metrics that it has."""

PROJECT = "dialogpt"

logger = logging.getLogger(__name__)

_EXTRAS = {"trackio": "tracking", "wandb": "wandb"}  # of setup.cfg
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
        extras = ",".join(_EXTRAS[name] for name in missing)
        raise UserError(
            f"trackers: expected the packages of {', '.join(names)}, found no "
            f"{' and no '.join(missing)}; `pip install 'dialogpt[{extras}]'`, or leave them out"
        )


class _Notes:
    """What trackers know of a run, kept in its folder.

    Args:
        path: the file.
        resumed: whether what it says counts; a run that begins anew is another run there.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._path = path
        kept = json.loads(path.read_text(encoding="utf-8")) if resumed and path.is_file() else {}
        self._trackers: dict[str, dict[str, Any]] = kept

    def add(self, names: Sequence[TrackerName]) -> list[bool]:
        """Give the run an id in each tracker, and say which had one."""
        known = [name in self._trackers for name in names]
        for name in names:
            self._trackers.setdefault(name, {"id": secrets.token_hex(4), "last_line": None})
        write_json(self._path, self._trackers)
        return known

    def run_id(self, name: TrackerName) -> str:
        """The run's in a tracker that was added."""
        return str(self._trackers[name]["id"])

    def has(self, name: TrackerName, step: int, kind: str) -> bool:
        """Whether a tracker was sent this line or a later one."""
        last = self._trackers[name]["last_line"]
        # In the order of the log: of a step, "train" comes before "valid".
        return last is not None and (step, kind) <= (last[0], last[1])

    def sent(self, name: TrackerName, step: int, kind: str) -> None:
        """Note that a tracker has all lines up to this one."""
        self._trackers[name]["last_line"] = [step, kind]
        write_json(self._path, self._trackers)  # at once: a kill leaves what is true


class RunningTracker:
    """A tracker that has started; the `Tracker` of `dialogpt.run_log`.

    A tracker that fails is left alone from then on: training of days must not end for want of a
    curve, which stands in metrics.jsonl too.

    Args:
        name: which.
        tracker: accelerate's.
        notes: which lines it has; what it misses, it gets from the next process that is given it.
    """

    def __init__(self, name: TrackerName, tracker: Any, notes: _Notes) -> None:
        self._name = name
        self._tracker = tracker
        self._notes = notes
        self._failed = False

    def log(self, kind: str, step: int, values: dict[str, float | int]) -> None:
        """Add the points of a line, name of a curve -> value, unless it has them already."""
        if self._notes.has(self._name, step, kind):
            return
        self._try(lambda: self._tracker.log(values, step=step))
        if not self._failed:
            self._notes.sent(self._name, step, kind)

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
                self._name,
                type(error).__name__,
                str(error),  # itself it would keep all of training alive where records are kept
            )


def start_trackers(
    names: Sequence[TrackerName], run: Path, *, settings: dict[str, Any], resumed: bool
) -> list[RunningTracker]:
    """Start the trackers; for the first rank only.

    A run that goes on goes on there too, with those that it had before.

    Args:
        names: which; `require_trackers` has found them.
        run: the run folder, which names the run and keeps what they know of it.
        settings: name -> plain value, shown beside the curves.
        resumed: whether the run goes on from a checkpoint.

    Raises:
        UserError: a tracker does not start.
    """
    if not names:
        return []
    notes = _Notes(run / TRACKERS_FILE, resumed=resumed)
    # Before they start: a kill between the two must not leave a run there that nobody finds again.
    known = notes.add(names)
    return [
        _start(name, run, notes, settings, goes_on=goes_on)
        for name, goes_on in zip(names, known, strict=True)
    ]


def _start(
    name: TrackerName, run: Path, notes: _Notes, settings: dict[str, Any], *, goes_on: bool
) -> RunningTracker:
    options = _options(name, run, notes.run_id(name), goes_on)
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name](PROJECT, **options)
        tracker.start()
        tracker.store_init_configuration(settings)
    except Exception as error:  # whatever a service and its network may raise
        raise UserError(
            f"trackers: {name} did not start ({type(error).__name__}: {error}); "
            f"{_HOW_TO_START[name]}, or leave it out"
        ) from error
    return RunningTracker(name, tracker, notes)


def _options(name: TrackerName, run: Path, run_id: str, goes_on: bool) -> dict[str, Any]:
    """What `init` of a tracker is given besides the project."""
    shown = "-".join(run.resolve().parts[-2:])  # runs/NAME-small/forward: NAME-small-forward
    if name == "wandb":
        return {"name": shown, "id": run_id, "resume": "allow", "dir": str(run)}
    # trackio finds a run again by its name, which another run must not have.
    return {"name": f"{shown}-{run_id}", "resume": "allow" if goes_on else "never"}
