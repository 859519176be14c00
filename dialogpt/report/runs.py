"""A run folder -> what the page says about it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from dialogpt.checkpoint import STATE_FILE, RunFolder
from dialogpt.command_line import UserError, require_folder
from dialogpt.run_log import METRICS_FILE, noted_end, read_facts, read_metrics
from dialogpt.train.settings import CONFIG_FILE, read_settings

Record = dict[str, Any]
"""A line of metrics.jsonl."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a run has left so far.

    Attributes:
        name: the last two parts of its path.
        folder: its path as given.
        train, valid: lines of metrics, in order.
        settings: dotted name -> value; empty where config.yaml is gone.
        facts: of run.json; empty for runs from before there was one.
        finished: why training is over; empty while it is not.
        failures: names of the folders of steps that were not finite.
        last_written: when the last line of metrics was written.
    """

    name: str
    folder: Path
    train: list[Record]
    valid: list[Record]
    settings: dict[str, Any]
    facts: dict[str, Any]
    finished: str
    failures: list[str]
    last_written: datetime

    @property
    def last_step(self) -> int:
        """The step of the last line."""
        return max(int(record["step"]) for record in [*self.train, *self.valid])

    @property
    def total_steps(self) -> int | None:
        """The step at which training ends at the latest, where that is known."""
        return self.facts.get("total_steps")

    @property
    def best(self) -> Record | None:
        """The validation whose model is best/: by the rule of training, min_delta included."""
        best: Record | None = None
        min_delta = self.settings.get("validation.min_delta", 0.0)
        for record in self.valid:
            if best is None or record["loss"] < best["loss"] - min_delta:
                best = record
        return best

    def total(self, name: str) -> int:
        """The sum of a count over all lines of training."""
        return sum(record.get(name, 0) for record in self.train)

    @property
    def skipped_steps(self) -> int:
        """Steps that float16 overflow undid."""
        return max((record.get("skipped_steps", 0) for record in self.train), default=0)

    def mean_over_time(self, name: str) -> float | None:
        """A share such as waiting_share over all of training; None where no line has it.

        A line counts as long as its steps took.
        """
        lines = [(r[name], _seconds(r)) for r in self.train if name in r]
        seconds = sum(weight for _, weight in lines)
        return sum(value * weight for value, weight in lines) / seconds if seconds else None

    @property
    def tokens_per_second(self) -> float | None:
        """Over all lines of training, without padding; None before the first."""
        seconds = sum(map(_seconds, self.train))
        return self.total("tokens") / seconds if seconds else None

    def train_losses(self) -> Iterator[tuple[Record, float]]:
        """Each validation but the first, and the training loss since the one before it."""
        for former, valid in pairwise(self.valid):
            between = [r for r in self.train if former["step"] < r["step"] <= valid["step"]]
            loss = mean_loss(between)
            if loss is not None:
                yield valid, loss


def _seconds(record: Record) -> float:
    speed = record.get("tokens_per_second", 0.0)
    return float(record.get("tokens", 0) / speed) if speed else 0.0


def mean_loss(records: Sequence[Record], key: str = "loss") -> float | None:
    """A loss over some lines of training, by target tokens; None where nothing was counted."""
    # Steps that float16 overflow undid have no loss.
    counted = [(r[key], r.get("target_tokens", 1)) for r in records if key in r]
    num_tokens = sum(count for _, count in counted)
    return sum(loss * count for loss, count in counted) / num_tokens if num_tokens else None


def read_run(folder: Path) -> Run:
    """What a run has left so far; it may be going on.

    Raises:
        UserError: the folder is no run's, or nothing is recorded yet.
    """
    require_folder(folder, "the folder of a training run", "name one under runs/")
    metrics = folder / METRICS_FILE
    if not metrics.is_file():
        raise UserError(f"{folder}: expected {METRICS_FILE}, found none; is it a training run?")
    records = read_metrics(folder)
    if not records:
        raise UserError(f"{metrics}: nothing is recorded yet; wait for a few steps")
    config = folder / CONFIG_FILE
    return Run(
        name="/".join(folder.resolve().parts[-2:]),
        folder=folder,
        train=[record for record in records if record["kind"] == "train"],
        valid=[record for record in records if record["kind"] == "valid"],
        settings=read_settings(config) if config.is_file() else {},
        facts=read_facts(folder),
        finished=_finished(folder),
        failures=sorted(path.name for path in folder.glob("failed-step-*")),
        last_written=datetime.fromtimestamp(metrics.stat().st_mtime, UTC),
    )


def _finished(folder: Path) -> str:
    """Why training is over, as the newest checkpoint says, or a note where all are removed."""
    checkpoints = RunFolder(folder, keep_last=1).checkpoints()
    if not checkpoints:
        return noted_end(folder)
    state = json.loads((checkpoints[-1] / STATE_FILE).read_text(encoding="utf-8"))
    return str(state["progress"]["finished"])
