"""What a sweep trains: the grid, the short run that all points share, and each run's command."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dialogpt.config.training import SweepConfig, TrainConfig

RECIPE_FILE = "train.yaml"
GRID_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Around a recipe's own rate. Near the best rate the loss is so flat that less than a factor of two
drowns in the noise between seeds; four either way is as far as a recipe made for a model of this
size is likely to be off, and the edge of the grid is warned of."""
DEFAULT_STEPS = 2000
NUM_VALIDATIONS = 10
WARMUP_SHARE = 5
"""Warm-up takes at most a fifth of a short run."""
_RATE_OPTION = "__schedule.learning_rate"  # with hyphens as underscores


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One run of the sweep.

    Attributes:
        learning_rate: highest rate of its schedule.
        seed: of initialisation, dropout and data order.
        folder: of the run.
    """

    learning_rate: float
    seed: int
    folder: Path


def grid(sweep: SweepConfig, training: TrainConfig) -> tuple[float, ...]:
    """The rates to try, lowest first."""
    own = training.schedule.learning_rate
    return tuple(sorted(sweep.learning_rates or (own * factor for factor in GRID_FACTORS)))


def points(sweep: SweepConfig, training: TrainConfig, output: Path) -> list[Point]:
    """The runs: seed by seed, so that a sweep that is stopped has one of each rate first."""
    return [
        Point(learning_rate=rate, seed=seed, folder=output / f"lr-{rate!r}-seed-{seed}")
        for seed in sweep.seeds or (training.seed,)
        for rate in grid(sweep, training)
    ]


def num_steps(sweep: SweepConfig, training: TrainConfig) -> int:
    """Optimizer steps of each run."""
    return sweep.max_steps or min(training.max_steps or DEFAULT_STEPS, DEFAULT_STEPS)


def short_recipe(resolved: str, steps: int) -> dict[str, Any]:
    """The training settings that all runs share.

    A recipe's warm-up is made for the whole training. In a run that is shorter the rate would never
    get to what the point is named after (2,000 steps of Noam with warm-up 16,000 end at an eighth
    of it), so warm-up takes a fifth of the run at most. Early stopping is off, and
    so is `max_epochs`: points compare after the same number of steps, for which warm-up and
    validations are planned, however often that passes over the data. One checkpoint is kept, for
    going on.

    Args:
        resolved: the training's settings, as YAML.
        steps: of each run.

    Returns:
        The settings without those that each run has of its own: rate, seed and output.
    """
    recipe: dict[str, Any] = yaml.safe_load(resolved)
    del recipe["output"], recipe["seed"], recipe["schedule"]["learning_rate"]
    recipe["max_steps"] = steps
    recipe["max_epochs"] = max(recipe["max_epochs"], steps)  # an epoch has a step at least
    warmup = recipe["schedule"]["warmup_steps"]
    recipe["schedule"]["warmup_steps"] = min(warmup, max(1, steps // WARMUP_SHARE))
    every = recipe["validation"]["every_steps"]
    recipe["validation"]["every_steps"] = min(every, max(1, steps // NUM_VALIDATIONS))
    recipe["validation"]["patience"] = 0
    recipe["checkpoint"]["keep_last"] = 1
    return recipe


def launch_words(launcher: str) -> list[str]:
    """The words before the module's name."""
    return shlex.split(launcher) or [sys.executable, "-m"]


def run_command(point: Point, launcher: str, output: Path) -> list[str]:
    """The words of the command that trains a point."""
    return [
        *launch_words(launcher),
        "dialogpt.train",
        *("--config", str(output / RECIPE_FILE)),
        *("--schedule.learning_rate", repr(point.learning_rate)),
        *("--seed", str(point.seed)),
        *("--output", str(point.folder)),
    ]


def training_command(options: Sequence[Sequence[str]], launcher: str, learning_rate: float) -> str:
    """The line that trains the user's recipe at a rate, for a shell.

    Args:
        options: of the training, as the user gave them.
        launcher: the sweep's.
        learning_rate: the chosen one.
    """
    words = launch_words(launcher)
    here = Path.cwd()
    if Path(words[0]).is_relative_to(here):
        words[0] = str(Path(words[0]).relative_to(here))
    rate = ["--schedule.learning_rate", repr(learning_rate)]
    kept = [o for o in options if o[0].partition("=")[0].replace("-", "_") != _RATE_OPTION]
    return shlex.join([*words, "dialogpt.train", *(word for o in kept for word in o), *rate])


def description(sweep: SweepConfig, training: TrainConfig, recipe: dict[str, Any]) -> str:
    """What is going to be trained and where that differs from the recipe, for the console."""
    rates, seeds = grid(sweep, training), sweep.seeds or (training.seed,)
    steps, warmup = recipe["max_steps"], recipe["schedule"]["warmup_steps"]
    source = ""
    if not sweep.learning_rates:
        source = f" (the recipe's {training.schedule.learning_rate!r} times 1/4 to 4)"
    schedule = f"{training.schedule.name}, warm-up {warmup:,} steps"
    if warmup != training.schedule.warmup_steps:
        schedule += (
            f" instead of {training.schedule.warmup_steps:,}, or a run this short would hardly see "
            "its rate"
        )
    lines = [
        f"Rates        {' '.join(map(repr, rates))}{source}",
        f"Runs         {len(rates) * len(seeds)} of {steps:,} steps, "
        f"seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}; max_epochs does not end "
        "them",
        f"Schedule     {schedule}",
        f"Validation   every {recipe['validation']['every_steps']:,} steps; no early stopping, so "
        "that all runs are equally long",
    ]
    return "\n".join(lines)
