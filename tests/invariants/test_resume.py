"""A training process killed at any moment and started again ends where an unbroken one ends."""

import json
import signal
import subprocess
import time

import psutil
import pytest
import torch
from safetensors.torch import load_file
from support_train import (
    environment,
    free_port,
    launch_command,
    merged,
    run_to_end,
    run_training,
    start_training,
    tiny_settings,
    train_command,
    train_forked,
    write_shards,
)

from dialogpt.run_log import read_metrics

CLOCK = {"tokens_per_second", "waiting_share"}
# Steps long enough to be killed between, dropout on, checkpoints between validations and log lines.
CHANGES = {"model": {"dropout": 0.2}, "max_epochs": 4}


def deterministic(folder):
    return [
        {name: value for name, value in record.items() if name not in CLOCK}
        for record in read_metrics(folder)
    ]


def assert_same_run(broken, unbroken):
    assert deterministic(broken) == deterministic(unbroken)
    for link in ("last", "best"):
        one, other = (load_file(run / link / "model.safetensors") for run in (broken, unbroken))
        assert one.keys() == other.keys()
        for name, weight in one.items():
            assert torch.equal(other[name], weight), f"{link}: {name}"


def start_command(command, folder):
    return subprocess.Popen(
        command,
        env=environment(),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(process, output, step):
    """Return when the run has a whole checkpoint of that step, or a later one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = [p.name for p in (output / "checkpoints").glob("step-????????")]
        if found and max(found) >= f"step-{step:08d}":
            return
        time.sleep(0.002)
    pytest.fail(f"no checkpoint of step {step}; exit code {process.poll()}")


def leave_half_a_checkpoint(output):
    """What a crash leaves while a checkpoint is being written: no name yet, files cut short."""
    newest = max((output / "checkpoints").glob("step-????????"))
    half = output / "checkpoints" / "step-00000047.unfinished"
    half.mkdir()
    (half / "state.json").write_bytes((newest / "state.json").read_bytes()[:100])
    (half / "optimizer.safetensors").write_bytes(b"\0" * 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_shards(folder / "shards")
    return folder


@pytest.fixture(scope="module")
def unbroken(folder):
    settings = merged(tiny_settings(folder / "shards", folder / "unbroken"), CHANGES)
    finished = run_training(settings, folder)
    assert finished.returncode == 0, finished.stderr
    return folder / "unbroken"


@pytest.mark.parametrize(("num_workers", "first_checkpoint"), [(0, 4), (2, 16)])
def test_a_killed_run_goes_on_to_the_same_weights_and_metrics(
    folder, unbroken, num_workers, first_checkpoint
):
    output = folder / f"killed-{num_workers}"
    settings = merged(tiny_settings(folder / "shards", output), CHANGES)
    settings = merged(settings, {"data": {"num_workers": num_workers}})
    process = start_training(settings, folder)
    wait_for_checkpoint(process, output, first_checkpoint)
    process.kill()
    process.communicate()
    # The kill came in time: the run had not reached its end.
    assert process.returncode == -signal.SIGKILL
    assert not (output / "checkpoints" / "step-00000048").exists()
    leave_half_a_checkpoint(output)
    resumed = train_forked(settings, folder)
    assert resumed.returncode == 0, resumed.stderr
    assert "Going on after step" in resumed.stderr
    assert_same_run(output, unbroken)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_and_saves_and_the_same_command_goes_on(
    folder, unbroken, number, exit_code
):
    output = folder / f"stopped-{exit_code}"
    settings = merged(tiny_settings(folder / "shards", output), CHANGES)
    process = start_training(settings, folder)
    wait_for_checkpoint(process, output, 4)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == exit_code, errors
    assert "which is saved; give the same command again to go on" in errors
    state = json.loads((output / "last" / ".." / "state.json").read_text())
    assert f"Stopped by a signal after step {state['progress']['step']}," in errors
    if number == signal.SIGTERM:  # how a run goes on does not depend on the signal
        resumed = train_forked(settings, folder)
        assert resumed.returncode == 0, resumed.stderr
        assert_same_run(output, unbroken)


def command_of(way, settings, folder):
    """Two ranks that exchange gradients, or share weights."""
    if way == "ddp":
        return train_command(settings, folder, num_ranks=2)
    options = ["--num_processes", "2", "--main_process_port", free_port()]
    return launch_command(settings, folder, "fsdp.yaml", *options)


def start_ranks(way, settings, folder):
    """The same two ranks: forked, as torchrun starts them, or by the launcher that starts them."""
    if way != "ddp":
        return [start_command(command_of(way, settings, folder), folder)]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    sizes = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    return [
        start_training(settings, folder, ranks=address | sizes | {"RANK": n, "LOCAL_RANK": n})
        for n in ("0", "1")
    ]


@pytest.mark.parametrize(
    ("way", "layout"),
    [("ddp", "packed"), pytest.param("fsdp", "padded", marks=pytest.mark.slow)],
)
def test_two_ranks_with_workers_go_on_to_the_same_weights_and_metrics(folder, way, layout):
    outputs = {name: folder / f"{way}-{name}" for name in ("unbroken", "killed")}
    changes = {"batch": {"layout": layout, "accumulation_steps": 1}, "data": {"num_workers": 2}}
    settings = {
        name: merged(tiny_settings(folder / "shards", output), merged(CHANGES, changes))
        for name, output in outputs.items()
    }
    whole = run_to_end(command_of(way, settings["unbroken"], folder), folder)
    assert whole.returncode == 0, whole.stderr
    started = start_ranks(way, settings["killed"], folder)
    wait_for_checkpoint(started[0], outputs["killed"], 8)
    # Launcher, ranks, each in a session of its own, and their workers: as a power cut does.
    for process in [psutil.Process(process.pid) for process in started]:
        for one in [process, *process.children(recursive=True)]:
            one.kill()
    for process in started:
        process.communicate(timeout=60)
    assert not (outputs["killed"] / "checkpoints" / "step-00000048").exists()
    resumed = start_ranks(way, settings["killed"], folder)
    said = "\n".join(process.communicate(timeout=240)[1] for process in resumed)
    assert {process.returncode for process in resumed} == {0}, said
    assert "Going on after step" in said
    assert_same_run(outputs["killed"], outputs["unbroken"])
