"""Two processes make the run of one that accumulates: exchanging gradients, or sharing weights.

They are started as a user starts them: two machines with `many_nodes.yaml`, of which both are this
one, and one machine with `fsdp.yaml`.
"""

import re
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
    tiny_settings,
    train_forked,
    write_shards,
)
from transformers import GPT2LMHeadModel

from dialogpt.run_log import read_metrics

CHANGES = {
    "model": {"dropout": 0.0},
    "schedule": {"learning_rate": 0.003},
    "validation": {"every_steps": 50},
    "checkpoint": {"every_steps": 50},
    # The one validation dialogue leaves a rank with an empty batch, which must not hang.
    "log_every_steps": 1,
    "max_epochs": 1,
}
SEVERAL = ["two_machines", "fsdp"]


def start_two_machines(settings, folder):
    address = ["--main_process_ip", "127.0.0.1", "--main_process_port", free_port()]
    machines = []
    for number in ("0", "1"):
        options = ["--num_processes", "2", "--machine_rank", number, *address]
        command = launch_command(settings, folder, "many_nodes.yaml", *options)
        machines.append(
            subprocess.Popen(
                command,
                env=environment(),
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return machines


def on_two_machines(settings, folder):
    """Exit code and what both said."""
    machines = start_two_machines(settings, folder)
    said = [machine.communicate(timeout=240)[1] for machine in machines]
    return max(machine.returncode for machine in machines), "\n".join(said)


def with_fsdp(settings, folder):
    options = ["--num_processes", "2", "--main_process_port", free_port()]
    finished = run_to_end(launch_command(settings, folder, "fsdp.yaml", *options), folder)
    return finished.returncode, finished.stderr


def alone(settings, folder):
    finished = train_forked(settings, folder)
    return finished.returncode, finished.stderr


@pytest.fixture(scope="module", params=[pytest.param("padded", marks=pytest.mark.slow), "packed"])
def runs(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    shards = write_shards(folder / "shards", num_train=121, num_valid=1)
    ways = {"one": (alone, 1), "two_machines": (on_two_machines, 2), "fsdp": (with_fsdp, 2)}
    for name, (train, num_ranks) in ways.items():
        settings = merged(tiny_settings(shards, folder / name), CHANGES)
        batch = {"accumulation_steps": 4 // num_ranks, "layout": request.param}
        code, said = train(merged(settings, {"batch": batch}), folder)
        assert code == 0, said
        assert f"fp32 on cpu x {num_ranks}" in said
        assert ("each with a share (FSDP)" in said) == (name == "fsdp")
    return {name: folder / name for name in ways}


@pytest.mark.parametrize("name", SEVERAL)
def test_losses_of_every_step_and_of_validation_agree(runs, name):
    one, two = (read_metrics(runs[name]) for name in ("one", name))
    assert len(one) == len(two) > 5
    for ours, theirs in zip(one, two, strict=True):
        assert (ours["kind"], ours["step"]) == (theirs["kind"], theirs["step"])
        assert ours["tokens"] == theirs["tokens"]
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)
        if ours["kind"] == "train":
            # AdamW hardly sees the scale of a gradient, but clipping does.
            assert theirs["grad_norm"] == pytest.approx(ours["grad_norm"], rel=1e-3)


@pytest.mark.parametrize("name", SEVERAL)
def test_weights_agree(runs, name):
    one, two = (load_file(runs[name] / "last" / "model.safetensors") for name in ("one", name))
    assert one.keys() == two.keys()
    for key, weight in one.items():
        torch.testing.assert_close(two[key], weight, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_state_of_the_optimizer_agrees_by_parameter_name(runs, name):
    one, two = (
        load_file(runs[name] / "last" / ".." / "optimizer.safetensors") for name in ("one", name)
    )
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-2, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_model_folders_are_whole(runs, name):
    for link in ("best", "last"):
        model, report = GPT2LMHeadModel.from_pretrained(runs[name] / link, output_loading_info=True)
        assert not report["missing_keys"]
        assert model.lm_head.weight is model.transformer.wte.weight


@pytest.mark.parametrize("name", SEVERAL)
def test_every_rank_keeps_its_own_generators(runs, name):
    (checkpoint,) = (runs[name] / "checkpoints").iterdir()
    states = [load_file(checkpoint / f"random-rank-{rank:05d}.safetensors") for rank in (0, 1)]
    assert not torch.equal(states[0]["torch_cpu"], states[1]["torch_cpu"])


@pytest.mark.slow
def test_a_machine_that_dies_ends_the_other_with_a_message(tmp_path):
    shards = write_shards(tmp_path / "shards")
    settings = merged(tiny_settings(shards, tmp_path / "run"), {"max_epochs": 1000})
    first, second = start_two_machines(settings, tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "last").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    launcher = psutil.Process(second.pid)
    for one in [launcher, *launcher.children(recursive=True)]:
        one.kill()
    second.communicate()
    _, said = first.communicate(timeout=120)
    assert first.returncode == 1
    # Whichever exchange it was in: that of counts, or that of gradients.
    assert re.search(r"rank 0: expected all 2 processes|rank0\].*Connection", said), said
