"""What became of each run: read from its metrics and log, kept in the sweep's results.json."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.records import write_json
from dialogpt.run_log import METRICS_FILE, note_end, read_metrics
from dialogpt.sweep.plan import Point

RESULTS_FILE = "results.json"
LOG_FILE = "log.txt"

# As the training step and the loop say it, whichever rank says it first.
_DIVERGED = re.compile(r"\bstep (\d+)(?:, rank \d+)?: expected finite (?:numbers|gradients), found")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A run that is over.

    Attributes:
        learning_rate, seed: which one.
        diverged_at: the step whose numbers were not finite; None where training came to its end.
        start_loss: validation loss before the first step, nats a token.
        best_loss, best_step: lowest validation loss after that, and its step; None without one.
        train_loss: of the last steps, nats a token.
        tokens_per_second: over the run, without padding; validation apart.
    """

    learning_rate: float
    seed: int
    diverged_at: int | None
    start_loss: float | None
    best_loss: float | None
    best_step: int | None
    train_loss: float | None
    tokens_per_second: float | None


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; none where it has not begun to write them."""
    return read_metrics(folder) if (folder / METRICS_FILE).is_file() else []


def diverged_step(log: str) -> int | None:
    """The step at which a run diverged, by what it said; None if it did not say so."""
    found = _DIVERGED.search(log)
    return int(found[1]) if found else None


def read_outcome(point: Point, diverged_at: int | None, *, num_steps: int) -> Outcome:
    """What a run that is over has left in its metrics.

    Args:
        point: which run.
        diverged_at: the step at which it said that it diverged; None if it said that it finished.
        num_steps: that a finished run has made.

    Raises:
        UserError: it finished after other steps, so it does not compare.
    """
    records = metrics_of(point.folder)
    last_step = records[-1]["step"] if records else 0
    if diverged_at is None and last_step != num_steps:
        raise UserError(
            f"{point.folder}: expected a run that ends after step {num_steps:,}, found that its "
            f"metrics end at step {last_step:,}; remove this folder and give the same command "
            "again, which trains it anew"
        )
    valid = [(r["step"], r["loss"]) for r in records if r["kind"] == "valid"]
    # Steps that float16 overflow undid have no loss.
    train = [r for r in records if r["kind"] == "train" and "loss" in r]
    # The last step of a run can spoil the weights, and only the validation after it shows that.
    broken = [step for step, loss in valid if not isfinite(loss)]
    if diverged_at is None and broken:
        diverged_at = broken[0]
    # Not step 0: how good the model was before says nothing about the rate.
    after = [(loss, step) for step, loss in valid if step > 0 and isfinite(loss)]
    best_loss, best_step = min(after, default=(None, None))
    seconds = sum(r["tokens"] / r["tokens_per_second"] for r in train)
    return Outcome(
        learning_rate=point.learning_rate,
        seed=point.seed,
        diverged_at=diverged_at,
        start_loss=next((loss for step, loss in valid if step == 0), None),
        best_loss=best_loss,
        best_step=best_step,
        train_loss=train[-1]["loss"] if train else None,
        tokens_per_second=sum(r["tokens"] for r in train) / seconds if seconds else None,
    )


class Results:
    """The outcomes of a sweep so far, on disk after every run.

    Those of rates and seeds that the command no longer names stay in the file.

    Args:
        path: results.json, which is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        values = json.loads(path.read_text(encoding="utf-8"))
        self._outcomes = {
            (run["learning_rate"], run["seed"]): Outcome(**run) for run in values["runs"]
        }

    def get(self, point: Point) -> Outcome | None:
        """The outcome of a run that is over, else None."""
        return self._outcomes.get((point.learning_rate, point.seed))

    def of(self, points: Sequence[Point]) -> list[Outcome]:
        """The outcomes of runs that are all over."""
        return [self._outcomes[point.learning_rate, point.seed] for point in points]

    def add(self, point: Point, outcome: Outcome) -> None:
        """Keep the outcome of a run; then its weights are of no more use and are removed."""
        self._outcomes[point.learning_rate, point.seed] = outcome
        self.write(None)
        remove_weights(point.folder, outcome)

    def write(self, chosen: float | None) -> None:
        """Write the file, with the chosen rate if there is one yet."""
        runs = [asdict(self._outcomes[key]) for key in sorted(self._outcomes)]
        write_json(self._path, {"chosen_learning_rate": chosen, "runs": runs})


def remove_weights(folder: Path, outcome: Outcome) -> None:
    """Leave of a run its settings, metrics and log: a sweep of large models would fill a disk.

    Why it is over stands in its run.json from then on: without a checkpoint nothing else says so,
    and its command would begin anew over the metrics.
    """
    if not folder.is_dir():  # removed by hand; its numbers are in results.json
        return
    diverged_at = outcome.diverged_at
    end = "it made its last step" if diverged_at is None else f"it diverged at step {diverged_at}"
    note_end(folder, f"{end}, and the sweep has removed its weights")
    for name in ("best", "last"):
        (folder / name).unlink(missing_ok=True)
    for name in ("checkpoints", "models"):
        shutil.rmtree(folder / name, ignore_errors=True)
