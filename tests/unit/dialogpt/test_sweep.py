"""The grid, the short run, the choice and the table of a sweep, without training."""

import json
import logging
import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest
import yaml
from support_train import ROOT

from dialogpt.command_line import UserError, parse_config, split_options
from dialogpt.config.training import SweepConfig, TrainConfig
from dialogpt.sweep.choice import choose
from dialogpt.sweep.display import table
from dialogpt.sweep.launch import _Run, _show_validations
from dialogpt.sweep.outcomes import (
    Outcome,
    Results,
    diverged_step,
    metrics_of,
    read_outcome,
    remove_weights,
)
from dialogpt.sweep.plan import (
    Point,
    description,
    grid,
    num_steps,
    points,
    run_command,
    short_recipe,
    training_command,
)
from dialogpt.train.progress import Progress, Totals
from dialogpt.train.schedule import learning_rate
from dialogpt.train.step import TrainingDivergedError
from dialogpt.train.trainer import Trainer


def recipe(name="small", *options):
    path = ROOT / "configs" / "train" / f"{name}.yaml"
    return parse_config(TrainConfig, ["--config", str(path), *options], prog="train")


def outcome(rate, loss, *, seed=0, diverged_at=None, start=9.0):
    return Outcome(
        learning_rate=rate,
        seed=seed,
        diverged_at=diverged_at,
        start_loss=start,
        best_loss=loss,
        best_step=None if loss is None else 100,
        train_loss=loss,
        tokens_per_second=None if loss is None else 12_345.6,
    )


def test_without_rates_the_grid_is_two_doublings_either_way_of_the_recipes_own():
    training, _ = recipe()
    rates = grid(SweepConfig(), training)
    assert rates[2] == training.schedule.learning_rate
    assert [later / rate for rate, later in pairwise(rates)] == [2.0] * 4


def test_the_runs_are_all_rates_under_all_seeds_each_in_a_folder_of_its_own(tmp_path):
    training, _ = recipe()
    sweep = SweepConfig(learning_rates=(3e-5, 1e-5), seeds=(1, 2))
    runs = points(sweep, training, tmp_path)
    assert {(p.learning_rate, p.seed) for p in runs} == {
        *((1e-5, 1), (1e-5, 2)),
        *((3e-5, 1), (3e-5, 2)),
    }
    assert len({p.folder for p in runs}) == 4
    # The recipe's seed has the same folder, named or not: its run need not be made again.
    (alone, _), named = (
        points(SweepConfig(learning_rates=(3e-5, 1e-5), seeds=seeds), training, tmp_path)
        for seeds in ((), (training.seed, 7))
    )
    assert alone in named


def test_a_short_run_reaches_the_rate_that_it_is_named_after():
    for name in ("small", "demo"):
        training, resolved = recipe(name)
        for steps in (3, 40, 2000):
            short = short_recipe(resolved, steps)
            rates = [
                learning_rate(
                    step,
                    training.schedule.name,
                    peak=1.0,
                    warmup_steps=short["schedule"]["warmup_steps"],
                    total_steps=steps,
                )
                for step in range(1, steps + 1)
            ]
            assert max(rates) == 1.0
            assert rates.index(1.0) + 1 <= max(1, steps // 5)


def test_a_warm_up_that_fits_stays_and_one_that_does_not_is_announced():
    training, resolved = recipe("demo")
    sweep = SweepConfig(max_steps=1000)
    short = short_recipe(resolved, 1000)
    assert short["schedule"]["warmup_steps"] == training.schedule.warmup_steps == 80
    assert "instead of" not in description(sweep, training, short)
    said = description(SweepConfig(max_steps=100), training, short_recipe(resolved, 100))
    assert "warm-up 20 steps instead of 80" in said


def test_a_short_run_is_a_whole_recipe_without_early_stopping_and_with_ten_validations():
    training, resolved = recipe("small", "--model.init", "gpt2")
    short = short_recipe(resolved, 2000)
    assert training.validation.patience == 10
    assert (short["validation"]["every_steps"], short["validation"]["patience"]) == (200, 0)
    assert short["checkpoint"]["keep_last"] == 1
    # Whatever else the recipe says is untouched.
    kept = yaml.safe_load(resolved)
    same = ("data", "model", "batch", "optimizer", "direction", "precision")
    assert {key: short[key] for key in same} == {key: kept[key] for key in same}


def test_a_short_run_is_ended_by_its_steps_however_few_an_epoch_has():
    training, resolved = recipe("demo")
    assert training.max_epochs == 1
    short = short_recipe(resolved, 2000)
    assert short["max_epochs"] >= short["max_steps"] == 2000
    assert "max_epochs does not end them" in description(SweepConfig(), training, short)
    # A recipe that allows more epochs than that keeps them.
    _, resolved = recipe("demo", "--max_epochs", "5000")
    assert short_recipe(resolved, 2000)["max_epochs"] == 5000


def test_the_length_of_a_run_is_the_sweeps_then_the_recipes_where_that_is_short():
    small, _ = recipe("small")
    demo, _ = recipe("demo")
    assert [num_steps(SweepConfig(), training) for training in (small, demo)] == [2000, 1000]
    assert num_steps(SweepConfig(max_steps=3000), demo) == 3000


def test_the_command_of_a_run_is_a_training_command_with_its_rate_seed_and_folder(tmp_path):
    _, resolved = recipe()
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(short_recipe(resolved, 50)))
    point = Point(learning_rate=2.8527e-05, seed=3, folder=tmp_path / "run")
    words = run_command(point, "accelerate launch --config_file 'a b.yaml' -m", tmp_path)
    launcher = ["accelerate", "launch", "--config_file", "a b.yaml", "-m"]
    assert words[:6] == [*launcher, "dialogpt.train"]
    config, _ = parse_config(TrainConfig, words[6:], prog="train")
    assert (config.schedule.learning_rate, config.seed) == (2.8527e-05, 3)
    assert (config.output, config.max_steps) == (str(tmp_path / "run"), 50)
    assert run_command(point, "", tmp_path)[:2] == [sys.executable, "-m"]


def test_the_options_of_the_sweep_are_told_from_those_of_the_training():
    words = "--config f.yaml --learning-rates 1e-5 3e-5 --data.shards s --dry-run --seeds=1 -h"
    own, others = split_options(words.split(), SweepConfig)
    assert own == [["--learning-rates", "1e-5", "3e-5"], ["--dry-run"], ["--seeds=1"], ["-h"]]
    assert others == [["--config", "f.yaml"], ["--data.shards", "s"]]


@pytest.mark.parametrize(
    "words",
    [
        ["--learning_rates", "1e-5", "3e-5", "--gpus", "0", "2,3"],
        ["--learning_rates", "[1e-5, 3e-5]", "--gpus", '["0", "2,3"]'],
    ],
)
def test_several_values_follow_an_option_with_or_without_brackets(words):
    config, _ = parse_config(SweepConfig, words, prog="sweep")
    assert (config.learning_rates, config.gpus) == ((1e-5, 3e-5), ("0", "2,3"))


@pytest.mark.parametrize(
    "words",
    [
        ["--learning_rates", "1e-5"],
        ["--learning_rates", "1e-5", "1e-5"],
        ["--learning_rates", "0", "1e-5"],
        ["--learning_rates", "1e-5", "high"],
        ["--seeds", "1", "1"],
        ["--max_steps", "-1"],
    ],
)
def test_a_grid_that_is_none_ends_with_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_config(SweepConfig, words, prog="sweep")
    assert stopped.value.code == 2
    assert words[0].removeprefix("--") in capsys.readouterr().err


def test_the_line_to_copy_is_the_users_own_training_with_the_chosen_rate():
    given = ["--config", "a b.yaml", "--schedule.learning-rate=1e-4", "--data.shards", "s"]
    _, options = split_options(["--max_steps", "9", *given, "--seeds", "1", "2"], SweepConfig)
    line = training_command(options, "accelerate launch -m", 3e-5)
    assert line == (
        "accelerate launch -m dialogpt.train --config 'a b.yaml' --data.shards s "
        "--schedule.learning_rate 3e-05"
    )


def test_the_rate_of_the_lowest_validation_loss_is_chosen_and_marked():
    choice = choose([outcome(2e-3, 4.5), outcome(1e-3, 5.0), outcome(4e-3, 4.8)])
    assert choice.best.learning_rate == 2e-3
    assert choice.warnings == ()
    lines = table(choice).splitlines()
    assert [line.startswith(">") for line in lines] == [False, False, True, False]
    assert lines[2].split() == [">", "0.002", "4.5000", "100", "4.5000", "12,346", "finished"]
    assert {line.index("finished") for line in lines[1:]} == {lines[0].index("state")}


def test_of_rates_with_the_same_loss_the_lower_one_is_chosen_and_both_are_named():
    choice = choose([outcome(4e-3, 4.5), outcome(1e-3, 5.0), outcome(2e-3, 4.5), outcome(8e-3, 5)])
    assert choice.best.learning_rate == 2e-3
    (warning,) = choice.warnings
    assert "0.002 is not told apart from 0.004" in warning


def test_a_rate_that_diverged_is_in_the_table_and_never_chosen():
    choice = choose([outcome(1e-3, 5.0), outcome(2e-3, 4.9), outcome(8e-3, 4.0, diverged_at=1234)])
    assert choice.best.learning_rate == 2e-3
    assert "diverged at step 1,234" in table(choice)
    # Its neighbour is tried: 2e-3 is no edge.
    assert choice.warnings == ()


def test_a_rate_that_diverged_under_one_seed_is_not_chosen():
    choice = choose(
        [
            *(outcome(1e-3, 5.0 + seed / 100, seed=seed) for seed in (0, 1)),
            *(outcome(2e-3, 4.0, seed=0), outcome(2e-3, None, seed=1, diverged_at=3)),
        ]
    )
    assert choice.best.learning_rate == 1e-3
    assert "1 of 2 diverged at step 3" in table(choice)


def test_all_diverged_is_no_choice_and_names_lower_rates():
    choice = choose([outcome(rate, None, diverged_at=2) for rate in (0.64, 1.28)])
    assert choice.best is None
    assert choice.warnings == (
        "every rate diverged: try lower ones, such as --learning_rates 0.01 0.04 0.16",
    )
    assert ">" not in table(choice)


@pytest.mark.parametrize(
    ("losses", "beyond"),
    [((5.0, 4.5, 4.0), "0.001 0.002 0.004 0.008 0.016"), ((4.0, 4.5, 5.0), "0.00025 0.0005 0.001")],
)
def test_a_best_rate_at_the_edge_of_the_grid_says_where_to_go_on(losses, beyond):
    rates = (1e-3, 2e-3, 4e-3)
    choice = choose([outcome(rate, loss) for rate, loss in zip(rates, losses, strict=True)])
    (warning,) = choice.warnings
    assert f"--learning_rates {beyond}" in warning


def test_the_rates_to_go_on_with_are_exactly_those_of_the_runs_that_are_over():
    rates = [1.0 / 3, 2.0 / 3]
    (warning,) = choose([outcome(rates[0], 5.0), outcome(rates[1], 4.0)]).warnings
    words = warning.split(" (")[0].partition("--")[2].split()
    config, _ = parse_config(SweepConfig, [f"--{words[0]}", *words[1:]], prog="sweep")
    assert set(rates) < set(config.learning_rates)


def test_one_run_a_rate_is_not_told_apart_below_a_twentieth_of_a_nat():
    runs = [outcome(1e-3, 4.549), outcome(2e-3, 4.5), outcome(4e-3, 4.551)]
    (warning,) = choose(runs).warnings
    assert "0.002 is not told apart from 0.001: less than 0.05 nats a token" in warning


def test_several_seeds_are_judged_by_their_own_spread():
    def warnings(spread):
        runs = [
            outcome(rate, loss + sign * spread, seed=seed)
            for rate, loss in ((1e-3, 4.6), (2e-3, 4.5), (4e-3, 4.9))
            for seed, sign in ((0, -1), (1, 1))
        ]
        return choose(runs).warnings

    # Two seeds at +- s: variance 2 s^2, standard error of a difference of means s sqrt(2).
    assert warnings(0.1 / (2 * 2**0.5) * 0.99) == ()
    (warning,) = warnings(0.1 / (2 * 2**0.5) * 1.01)
    assert "0.002 is not told apart from 0.001: within 2 standard errors over 2 seeds" in warning


def test_no_rate_better_than_no_training_is_said():
    runs = [outcome(rate, loss, start=4.0) for rate, loss in ((1, 4.9), (2, 4.5), (3, 5.0))]
    (warning,) = choose(runs).warnings
    assert "no rate gets below the validation loss of 4.0000 before training" in warning


def write_metrics(folder, *records):
    folder.mkdir()
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / "metrics.jsonl").write_text("".join(lines))
    return Point(learning_rate=0.1, seed=0, folder=folder)


def test_the_best_loss_is_of_a_validation_after_training_began(tmp_path):
    point = write_metrics(
        tmp_path / "run",
        {"kind": "valid", "step": 0, "loss": 3.0},
        {"kind": "train", "step": 5, "loss": 6.0, "tokens": 100, "tokens_per_second": 50.0},
        {"kind": "valid", "step": 5, "loss": 4.0},
        {"kind": "train", "step": 9, "loss": 5.0, "tokens": 300, "tokens_per_second": 100.0},
        {"kind": "train", "step": 10, "tokens": 1, "tokens_per_second": 1.0},  # float16 overflow
        {"kind": "valid", "step": 10, "loss": 4.5},
    )
    found = read_outcome(point, None, num_steps=10)
    assert (found.start_loss, found.best_loss, found.best_step) == (3.0, 4.0, 5)
    assert (found.train_loss, found.tokens_per_second) == (5.0, 400 / 5)
    assert found.diverged_at is None


def test_a_validation_loss_that_is_no_number_is_a_run_that_diverged(tmp_path):
    point = write_metrics(
        tmp_path / "run",
        {"kind": "valid", "step": 5, "loss": 4.0},
        {"kind": "valid", "step": 10, "loss": float("nan")},
    )
    assert read_outcome(point, None, num_steps=10).diverged_at == 10


def test_a_finished_run_that_made_other_steps_does_not_compare(tmp_path):
    point = write_metrics(tmp_path / "run", {"kind": "valid", "step": 9, "loss": 4.0})
    with pytest.raises(UserError, match=r"ends after step 10, found .* end at step 9; remove this"):
        read_outcome(point, None, num_steps=10)
    # One that diverged ends where it does.
    assert read_outcome(point, 10, num_steps=20).best_loss == 4.0


def test_a_run_that_wrote_nothing_has_an_outcome(tmp_path):
    point = Point(learning_rate=0.1, seed=0, folder=tmp_path)
    assert read_outcome(point, 1, num_steps=10).best_loss is None


def test_float16_without_a_finite_step_is_read_as_divergence(monkeypatch):
    parts = SimpleNamespace(
        log=None,
        total_steps=100,
        train_loader=SimpleNamespace(planner=SimpleNamespace(num_steps=lambda epoch: 1000)),
    )
    progress = Progress(step=60, num_skipped_in_a_row=50)
    result = SimpleNamespace(was_skipped=True, num_skipped_dialogues=0)
    monkeypatch.setattr(Totals, "add", lambda totals, result: None)
    trainer = Trainer(None, parts, progress)
    with pytest.raises(TrainingDivergedError) as error:
        trainer._take(SimpleNamespace(result=lambda: result))
    assert diverged_step(f"some words\nerror: {error.value}\n") == 61


def test_outcomes_of_other_rates_stay_in_the_file(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"chosen_learning_rate": null, "runs": []}')
    for rate in (0.1, 0.2):
        point = Point(learning_rate=rate, seed=0, folder=tmp_path / str(rate))
        (point.folder / "checkpoints").mkdir(parents=True)
        Results(path).add(point, outcome(rate, 4.0))
        assert not (point.folder / "checkpoints").exists()
    results = Results(path)
    results.write(0.2)
    assert results.get(point) == outcome(0.2, 4.0)
    kept = json.loads(path.read_text())
    assert [run["learning_rate"] for run in kept["runs"]] == [0.1, 0.2]
    assert kept["chosen_learning_rate"] == 0.2


def test_a_run_whose_folder_was_removed_by_hand_stays_removed(tmp_path):
    remove_weights(tmp_path / "run", outcome(0.1, 4.0))
    assert not (tmp_path / "run").exists()


def test_metrics_are_read_again_only_when_there_are_more(tmp_path, monkeypatch, caplog):
    point = write_metrics(tmp_path / "run", {"kind": "valid", "step": 0, "loss": 9.0})
    run = _Run(point=point, name="run", process=None, gpus="", log_start=0, shown_step=-1)
    read = []
    monkeypatch.setattr(
        "dialogpt.sweep.launch.metrics_of", lambda folder: read.append(1) or metrics_of(folder)
    )
    with caplog.at_level(logging.INFO, logger="dialogpt"):
        for _ in range(3):
            _show_validations(run)
        assert len(read) == 1
        with (point.folder / "metrics.jsonl").open("a") as lines:
            lines.write('{"kind": "valid", "step": 5, "loss": 8.0}\n')
        _show_validations(run)
    assert len(read) == 2
    shown = [record.getMessage() for record in caplog.records]
    assert shown == [
        "run  step 0  validation loss 9.0000",
        "run  step 5  validation loss 8.0000",
    ]
