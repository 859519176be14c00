"""The sweep command from the user's side: real runs, stopped, killed, diverged and gone on with."""

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
import yaml
from support_train import (
    ROOT,
    environment,
    run_to_end,
    tiny_settings,
    write_shards,
)

from dialogpt.command_line import parse_config
from dialogpt.config.training import TrainConfig
from dialogpt.report.runs import read_run
from dialogpt.run_log import read_metrics
from dialogpt.sweep.__main__ import main
from dialogpt.sweep.launch import run_points
from dialogpt.sweep.plan import Point
from dialogpt.train.__main__ import main as train_command_main

PNG = b"\x89PNG\r\n\x1a\n"
ACCELERATE = shlex.join(
    [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(ROOT / "configs" / "accelerate" / "one_cpu.yaml"), "-m"),
    ]
)
CLOCK = {"tokens_per_second", "waiting_share", "mfu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    write_shards(folder / "shards")
    settings = tiny_settings(folder / "shards", folder / "training")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder


def arguments(folder, name, *options):
    return ["--config", str(folder / "recipe.yaml"), "--output", str(folder / name), *options]


def start(folder, name, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "dialogpt.sweep", *arguments(folder, name, *options)],
        env=environment(),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sweep(folder, name, *options):
    """(exit code, standard output, standard error) of the command, when it has ended."""
    process = start(folder, name, *options)
    output, errors = process.communicate(timeout=280)
    return process.returncode, output, errors


def sweep_here(folder, name, *options):
    """The exit code; saves the start of a process where nothing is trained."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments(folder, name, *options))
    return stopped.value.code


def results(folder, name):
    return json.loads((folder / name / "results.json").read_text())


# Five times the steps that the recipe's max_epochs allows. Sweeps share the run of rate 0.01, which
# one of them trains unbroken and another one is stopped in.
STEPS = ["--max_steps", "120", "--validation.every_steps", "1000", "--checkpoint.every_steps", "10"]
NARROW = ["--learning_rates", "0.01", "0.03", *STEPS]
GRID = ["--learning_rates", "0.01", "0.03", "1e30", *STEPS]
BROKEN = ["--learning_rates", "0.01", "1e30", *STEPS]


@pytest.fixture(scope="module")
def queued(folder):
    """(The words that train the first run of a sweep, the metrics that a job with them wrote)."""
    code, output, errors = sweep(folder, "swept", *NARROW, "--dry_run")
    assert code == 0, errors
    commands = [shlex.split(line) for line in output.splitlines()]
    assert len(commands) == 2
    done = run_to_end(commands[0], folder)
    assert done.returncode == 0, done.stderr
    return commands[0], (folder / "swept" / "lr-0.01-seed-0" / "metrics.jsonl").read_bytes()


@pytest.fixture(scope="module")
def narrow(folder, queued):
    """What a sweep of two rates, one of them trained by a job, has left: log -> its text."""
    code, output, errors = sweep(folder, "swept", *NARROW)
    assert code == 0, output + errors
    return {path: path.read_text() for path in (folder / "swept").rglob("log.txt")}


@pytest.fixture(scope="module")
def swept(folder, narrow):
    """(Standard output, standard error) of a call that trains a third rate, by another launcher."""
    code, output, errors = sweep(folder, "swept", *GRID, "--launcher", ACCELERATE)
    assert code == 0, output + errors
    return output, errors


def test_the_table_has_every_rate_and_the_best_one_marked(folder, swept):
    output, _ = swept
    losses = {run["learning_rate"]: run["best_loss"] for run in results(folder, "swept")["runs"]}
    best = min((0.01, 0.03), key=losses.get)
    rows = [line.split() for line in output.split("state\n")[1].splitlines()[:3]]
    marked = [row[1] for row in rows if row[0] == ">"]
    assert [row[row[0] == ">"] for row in rows] == ["0.01", "0.03", "1e+30"]
    assert marked == [str(best)]
    assert results(folder, "swept")["chosen_learning_rate"] == best


def test_a_rate_that_diverges_is_a_row_and_no_end(folder, swept):
    output, errors = swept
    run = results(folder, "swept")["runs"][-1]
    assert run["diverged_at"] is not None
    assert f"diverged at step {run['diverged_at']}\n" in output
    failed = folder / "swept" / "lr-1e+30-seed-0" / f"failed-step-{run['diverged_at']:08d}"
    assert failed.is_dir()
    assert "[1/1] rate 1e+30 seed 0  diverged" in errors


def test_the_numbers_are_those_of_the_runs(folder, swept):
    for run in results(folder, "swept")["runs"][:2]:
        records = read_metrics(folder / "swept" / f"lr-{run['learning_rate']}-seed-0")
        valid = {r["step"]: r["loss"] for r in records if r["kind"] == "valid"}
        assert list(valid) == list(range(0, 121, 12))  # ten times
        assert run["start_loss"] == valid.pop(0)
        assert run["best_loss"] == min(valid.values()) == valid[run["best_step"]]
        assert run["train_loss"] == [r["loss"] for r in records if r["kind"] == "train"][-1]


def test_the_runs_differ_in_nothing_but_the_rate(folder, swept):
    runs = [folder / "swept" / f"lr-{rate}-seed-0" for rate in ("0.01", "0.03")]
    one, other = (yaml.safe_load((run / "config.yaml").read_text()) for run in runs)
    assert one["schedule"].pop("learning_rate") == 0.01
    assert other["schedule"].pop("learning_rate") == 0.03
    assert one.pop("output") != other.pop("output")
    assert one == other
    starts = [read_metrics(run)[0]["loss"] for run in runs]
    assert starts[0] == starts[1]


def test_a_run_that_is_over_keeps_its_numbers_and_no_weights(folder, swept):
    for run in (folder / "swept").glob("lr-*"):
        assert {"config.yaml", "metrics.jsonl", "log.txt"} <= {path.name for path in run.iterdir()}
        assert not {"checkpoints", "models", "best", "last"} & {p.name for p in run.iterdir()}
        assert not list(run.rglob("model.safetensors"))
        diverged = next(run.glob("failed-step-*"), None)
        how = f"diverged at step {int(diverged.name[-8:])}" if diverged else "made its last step"
        assert read_run(run).finished == f"it {how}, and the sweep has removed its weights"


def test_the_picture_is_drawn_and_without_matplotlib_the_table_remains(
    folder, swept, capsys, monkeypatch
):
    picture = folder / "swept" / "sweep.png"
    assert picture.read_bytes().startswith(PNG)
    picture.unlink()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert sweep_here(folder, "swept", *GRID) == 0
    output = capsys.readouterr().out
    assert "pip install 'dialogpt[plots]'" in output
    assert "diverged at step" in output
    assert not picture.exists()


def test_the_line_to_copy_is_the_recipe_with_the_chosen_rate(folder, swept):
    line = swept[0].strip().splitlines()[-1]
    words = shlex.split(line)
    config, _ = parse_config(TrainConfig, words[words.index("dialogpt.train") + 1 :], prog="train")
    recipe, _ = parse_config(TrainConfig, ["--config", str(folder / "recipe.yaml")], prog="train")
    assert config.schedule.learning_rate == results(folder, "swept")["chosen_learning_rate"]
    assert config.output == recipe.output
    assert config.max_steps == recipe.max_steps
    assert config.schedule.warmup_steps == recipe.schedule.warmup_steps


def test_a_wider_grid_trains_the_new_rate_alone_and_through_the_launcher(swept, narrow):
    output, errors = swept
    assert "Over         2 of 3 runs" in output
    assert "[1/1] rate 1e+30 seed 0  starts" in errors
    assert len(narrow) == 2
    assert {path: path.read_text() for path in narrow} == narrow
    line = output.strip().splitlines()[-1].strip()
    assert line.startswith(ACCELERATE + " dialogpt.train --config ")


def newest_step(run):
    steps = [int(p.name[5:]) for p in run.glob("checkpoints/step-????????")]
    return max(steps, default=0)


def wait_for_checkpoint(process, run, *, after):
    """Return when the run has a whole checkpoint of a later step."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if newest_step(run) > after:
            return
        time.sleep(0.002)
    pytest.fail(f"no checkpoint after step {after}; exit code {process.poll()}")


def losses(run):
    return [
        {name: value for name, value in record.items() if name not in CLOCK}
        for record in read_metrics(run)
    ]


@pytest.fixture(scope="module")
def unbroken(folder, queued):
    """The metrics of the run of rate 0.01, in which nothing was stopped."""
    return losses(folder / "swept" / "lr-0.01-seed-0")


def test_a_job_queue_runs_the_printed_commands_and_the_sweep_collects(
    folder, queued, narrow, caplog, monkeypatch
):
    command, numbers = queued
    metrics = folder / "swept" / "lr-0.01-seed-0" / "metrics.jsonl"
    assert metrics.read_bytes() == numbers
    # The same job again, by when the weights are removed, does not begin anew over the metrics.
    assert command[:3] == [sys.executable, "-m", "dialogpt.train"]
    monkeypatch.setattr(sys, "argv", command[2:])
    with caplog.at_level(logging.INFO), pytest.raises(SystemExit) as ended:
        train_command_main()
    assert ended.value.code == 0
    assert "training is finished: it made its last step, and the sweep has removed" in caplog.text
    assert metrics.read_bytes() == numbers


@pytest.mark.slow
def test_a_sweep_that_is_stopped_and_killed_goes_on_to_the_numbers_of_an_unbroken_run(
    folder, unbroken
):
    pid = folder / "pid"
    remember = 'echo $$ > "$0"; exec "$@"'
    remembering = shlex.join(["sh", "-c", remember, str(pid), sys.executable, "-m"])
    run = folder / "broken" / "lr-0.01-seed-0"
    # Two signals, each in a sweep that goes on where the one before it was.
    for number, exit_code, launcher in (
        (signal.SIGTERM, 143, ["--launcher", ACCELERATE]),
        (signal.SIGINT, 130, []),
    ):
        before = newest_step(run)
        process = start(folder, "broken", *BROKEN, *launcher)
        wait_for_checkpoint(process, run, after=before)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == exit_code, errors
        assert "give the same command again to go on" in errors
        assert f"[1/2] rate 0.01 seed 0  {'goes on' if before else 'starts'}" in errors
        # The training process has ended as well, with its last step saved.
        said = (run / "log.txt").read_text()
        assert f"Stopped by a signal after step {newest_step(run)}, which is saved" in said
        assert not (folder / "broken" / "lr-1e+30-seed-0").exists()
        assert results(folder, "broken")["runs"] == []
    # A kill, which reaches the sweep alone.
    before = newest_step(run)
    process = start(folder, "broken", *BROKEN, "--launcher", remembering)
    wait_for_checkpoint(process, run, after=before)
    os.kill(int(pid.read_text()), signal.SIGSTOP)  # so that it is not over before it is looked at
    process.kill()
    process.communicate()
    # The run has outlived the sweep: what would train beside it is refused.
    code, _, errors = sweep(folder, "broken", *BROKEN)
    assert code == 1
    assert f"{run}: another run is at work in this folder" in errors
    os.kill(int(pid.read_text()), signal.SIGKILL)
    code, output, errors = sweep(folder, "broken", *BROKEN)
    assert code == 0, output + errors
    assert (run / "log.txt").read_text().count("Going on after step") == 3
    assert losses(run) == unbroken
    # Killed between an outcome and the removal of weights: made good by the next call.
    (run / "checkpoints").mkdir()
    assert sweep_here(folder, "broken", *BROKEN) == 0
    assert not (run / "checkpoints").exists()


def test_a_run_that_fails_ends_the_sweep_with_what_it_said(folder):
    said = shlex.join(["sh", "-c", "echo error: the disk is full; exit 3"])
    code, _, errors = sweep(folder, "failed", "--launcher", said)
    assert code == 1
    assert "found exit code 3 after these words" in errors
    assert "  | error: the disk is full\n" in errors
    assert "Traceback" not in errors
    assert results(folder, "failed")["runs"] == []


def test_a_run_that_finishes_before_its_last_step_ends_the_sweep(folder):
    """As a launcher does whose exit code is 0 whatever happened."""
    code, _, errors = sweep(folder, "early", "--max_steps", "6", "--launcher", "true")
    assert code == 1
    assert "expected a run that ends after step 6, found that its metrics end at step 0" in errors
    assert results(folder, "early")["runs"] == []


def test_a_run_that_the_same_signal_ended_is_no_failure(tmp_path):
    """As when a job's time is over, and every process of it is told."""
    point = Point(learning_rate=0.1, seed=0, folder=tmp_path / "run")
    over = []
    code = run_points(
        [point],
        command=lambda point: ["sh", "-c", "kill -TERM $PPID; exit 143"],
        gpus=[],
        finished=lambda point, diverged_at: over.append(point),
    )
    assert code == 143
    assert over == []


def test_runs_share_the_gpus_that_are_named(tmp_path):
    runs = [Point(learning_rate=0.1, seed=seed, folder=tmp_path / str(seed)) for seed in range(4)]
    # Each waits for a second one to be at work, so that one after another would fail.
    program = (
        'echo "$CUDA_VISIBLE_DEVICES" > "$0/gpus"; cd "$0/.."; n=0; '
        "while [ $(ls -d */gpus | wc -l) -lt 2 ]; do "
        "n=$((n+1)); [ $n -gt 600 ] && exit 9; sleep 0.1; done"
    )
    over = []
    code = run_points(
        runs,
        command=lambda point: ["sh", "-c", program, str(point.folder)],
        gpus=["0", "2,3"],
        finished=lambda point, diverged_at: over.append(point.seed),
    )
    assert code == 0
    assert sorted(over) == [0, 1, 2, 3]
    given = [(point.folder / "gpus").read_text().strip() for point in runs]
    assert set(given[:2]) == set(given) == {"0", "2,3"}


def test_a_launcher_that_is_not_there_is_named(folder, capsys):
    assert sweep_here(folder, "launcher", "--launcher", "acelerate launch -m") == 1
    assert "found none called 'acelerate'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--schedule.warmup_step", "--learning_rate"])
def test_an_unknown_option_ends_with_exit_code_2_before_anything_is_written(folder, option, capsys):
    assert sweep_here(folder, "unknown", option, "3") == 2
    assert option.removeprefix("--") in capsys.readouterr().err
    assert not (folder / "unknown").exists()


def test_an_unknown_key_in_the_recipe_ends_with_exit_code_2(folder, capsys):
    path = folder / "misspelt.yaml"
    path.write_text("schedule: {learning_rate: 1e-5, warmup_step: 10}\n")
    assert sweep_here(folder, "unknown", "--config", str(path)) == 2
    assert "warmup_step" in capsys.readouterr().err


def test_shards_without_validation_dialogues_are_refused(folder, capsys):
    shards = write_shards(folder / "train_only", num_valid=0)
    assert sweep_here(folder, "no_valid", "--data.shards", str(shards)) == 1
    assert "expected validation dialogues" in capsys.readouterr().err
    assert not (folder / "no_valid").exists()


def test_other_settings_than_those_of_the_runs_so_far_are_refused(folder, capsys):
    assert sweep_here(folder, "settings", "--max_steps", "6", "--dry_run") == 0
    assert sweep_here(folder, "settings", "--max_steps", "7", "--dry_run") == 1
    assert "max_steps: 6 there, 7 here" in capsys.readouterr().err
    # The recipe's own rate is none of theirs.
    rate = ["--schedule.learning_rate", "0.5"]
    assert sweep_here(folder, "settings", "--max_steps", "6", "--dry_run", *rate) == 0


def test_the_recipes_own_folder_and_a_folder_of_other_files_are_refused(folder, capsys):
    assert sweep_here(folder, "training", "--dry_run") == 1
    assert "found the recipe's own output" in capsys.readouterr().err
    (folder / "taken").mkdir()
    (folder / "taken" / "config.yaml").write_text("")
    assert sweep_here(folder, "taken", "--dry_run") == 1
    assert "found other files" in capsys.readouterr().err


def test_without_a_folder_the_sweep_lies_beside_the_training(folder, capsys):
    with pytest.raises(SystemExit):
        main(["--config", str(folder / "recipe.yaml"), "--dry_run"])
    assert (folder / "training-sweep" / "train.yaml").is_file()
    assert f"--output {folder}/training-sweep/lr-0.0025-seed-0" in capsys.readouterr().out


def test_a_recipe_without_an_output_trains_beside_the_runs(folder, monkeypatch):
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    del recipe["output"]
    path = folder / "no_output.yaml"
    path.write_text(yaml.safe_dump(recipe))
    given = []
    monkeypatch.setattr("dialogpt.sweep.run.sweep_rates", lambda *a: given.append(a) or 0)
    with pytest.raises(SystemExit) as stopped:
        main(["--config", str(path), "--output", str(folder / "own")])
    assert stopped.value.code == 0
    ((_, training, _, options),) = given
    assert training.output == f"{folder}/own/best"
    # So the line to copy names it too.
    words = [word for option in options for word in option]
    assert parse_config(TrainConfig, words, prog="train")[0] == training
