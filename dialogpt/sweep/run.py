"""SweepConfig -> runs -> table, picture and the command to train with."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dialogpt.command_line import UserError, require_folder
from dialogpt.config.training import SweepConfig, TrainConfig
from dialogpt.data.manifest import read_manifest
from dialogpt.folders import begin_folder, sole_use
from dialogpt.records import write_text
from dialogpt.sweep.choice import Choice, choose
from dialogpt.sweep.display import table
from dialogpt.sweep.launch import run_points
from dialogpt.sweep.outcomes import RESULTS_FILE, Results, metrics_of, read_outcome, remove_weights
from dialogpt.sweep.picture import draw
from dialogpt.sweep.plan import (
    RECIPE_FILE,
    Point,
    description,
    num_steps,
    points,
    run_command,
    short_recipe,
    training_command,
)
from dialogpt.train.settings import check_same_config

PICTURE_FILE = "sweep.png"


def sweep_rates(
    sweep: SweepConfig, training: TrainConfig, resolved: str, options: Sequence[Sequence[str]]
) -> int:
    """Train what is not trained yet, then say which rate is best.

    Args:
        sweep: the grid, and how to go through it.
        training: the training that the rate is for.
        resolved: the same as YAML.
        options: the same as the user gave it.

    Returns:
        0 with a rate chosen, 1 if every rate diverged, 128 + signal when stopped.

    Raises:
        UserError: data or folder are not what a sweep needs, or a run failed.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("dialogpt").setLevel(logging.INFO)
    output = Path(sweep.output or f"{training.output.rstrip('/')}-sweep")
    if output.resolve() == Path(training.output).resolve():
        raise UserError(
            f"--output {output}: expected a folder for the sweep, found the recipe's own output, "
            "where the training will go; name another one, or leave it out"
        )
    _require_validation_dialogues(Path(training.data.shards))
    recipe = short_recipe(resolved, num_steps(sweep, training))
    grid = points(sweep, training, output)
    if not (output / RESULTS_FILE).is_file():
        begin_folder(output / RESULTS_FILE, {"chosen_learning_rate": None, "runs": []})
    with sole_use(output):
        _keep_recipe(output / RECIPE_FILE, recipe)
        if sweep.dry_run:
            for point in grid:
                print(shlex.join(run_command(point, sweep.launcher, output)))
            return 0
        print(f"Sweep        {output}")
        print(description(sweep, training, recipe), flush=True)
        results = Results(output / RESULTS_FILE)
        code = _train(grid, sweep, results, output, num_steps=recipe["max_steps"])
        if code:
            return code
        choice = choose(results.of(grid))
        return _conclude(choice, grid, results, output, sweep.launcher, options)


def _require_validation_dialogues(shards: Path) -> None:
    require_folder(shards, "a folder of shards", "run `python -m data_prep shards` first")
    valid = shards / "valid"
    if not valid.is_dir() or read_manifest(valid).num_dialogues == 0:
        raise UserError(
            f"{valid}: expected validation dialogues, by whose loss a rate is chosen, found none; "
            "extract with a larger split.valid_fraction and write the shards again"
        )


def _keep_recipe(path: Path, recipe: dict[str, Any]) -> None:
    """Write what all runs train with; runs with other settings would not compare.

    Raises:
        UserError: the sweep began with other settings.
    """
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
    check_same_config(path, text)
    write_text(path, text)


def _train(
    grid: Sequence[Point], sweep: SweepConfig, results: Results, output: Path, *, num_steps: int
) -> int:
    """Make the runs that are not over yet; 0, or 128 + signal when stopped."""

    def finished(point: Point, diverged_at: int | None) -> None:
        results.add(point, read_outcome(point, diverged_at, num_steps=num_steps))

    over = [point for point in grid if results.get(point)]
    for point, outcome in zip(over, results.of(over), strict=True):
        remove_weights(point.folder, outcome)  # a kill can come between the outcome and this
    if over:
        print(f"Over         {len(over)} of {len(grid)} runs, of an earlier call", flush=True)
    return run_points(
        [point for point in grid if point not in over],
        command=lambda point: run_command(point, sweep.launcher, output),
        gpus=sweep.gpus,
        finished=finished,
    )


def _conclude(
    choice: Choice,
    grid: Sequence[Point],
    results: Results,
    output: Path,
    launcher: str,
    options: Sequence[Sequence[str]],
) -> int:
    """Print and draw what the sweep has come to; 0, or 1 without a rate."""
    best = None if choice.best is None else choice.best.learning_rate
    results.write(best)
    print(f"\n{table(choice)}\n")
    for warning in choice.warnings:
        print(f"note: {warning}")
    of_first_seed = [point for point in grid if point.seed == grid[0].seed]
    curves = {point.learning_rate: metrics_of(point.folder) for point in of_first_seed}
    try:
        draw(choice, curves, output / PICTURE_FILE)
        print(f"Picture in {output / PICTURE_FILE}, numbers in {output / RESULTS_FILE}")
    except ImportError:
        print(
            f"Numbers in {output / RESULTS_FILE}; no picture: matplotlib is not installed, "
            "`pip install 'dialogpt[plots]'`"
        )
    if best is None:
        return 1
    print(f"\nTrain with the best rate:\n\n  {training_command(options, launcher, best)}")
    return 0
