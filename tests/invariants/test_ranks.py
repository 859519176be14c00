"""Two processes that exchange gradients make the run of one process that accumulates."""

import pytest
import torch
from safetensors.torch import load_file
from support_train import merged, run_training, tiny_settings, write_shards

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


@pytest.fixture(scope="module", params=["padded", "packed"])
def runs(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    shards = write_shards(folder / "shards", num_train=61, num_valid=1)
    outputs = {}
    for name, num_ranks, accumulation_steps in (("one", 1, 2), ("two", 2, 1)):
        settings = merged(tiny_settings(shards, folder / name), CHANGES)
        settings = merged(settings, {"batch": {"accumulation_steps": accumulation_steps}})
        settings = merged(settings, {"batch": {"layout": request.param}})
        finished = run_training(settings, folder, num_ranks=num_ranks)
        assert finished.returncode == 0, finished.stderr
        assert f"fp32 on cpu x {num_ranks}" in finished.stderr
        outputs[name] = folder / name
    return outputs


def test_losses_of_every_step_and_of_validation_agree(runs):
    one, two = (read_metrics(runs[name]) for name in ("one", "two"))
    assert len(one) == len(two) > 5
    for ours, theirs in zip(one, two, strict=True):
        assert (ours["kind"], ours["step"]) == (theirs["kind"], theirs["step"])
        assert ours["tokens"] == theirs["tokens"]
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)
        if ours["kind"] == "train":
            # AdamW hardly sees the scale of a gradient, but clipping does.
            assert theirs["grad_norm"] == pytest.approx(ours["grad_norm"], rel=1e-3)


def test_weights_agree(runs):
    one, two = (load_file(runs[name] / "last" / "model.safetensors") for name in ("one", "two"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-3, atol=1e-4, msg=name)


def test_every_rank_keeps_its_own_generators(runs):
    (checkpoint,) = (runs["two"] / "checkpoints").iterdir()
    states = [load_file(checkpoint / f"random-rank-{rank:05d}.safetensors") for rank in (0, 1)]
    assert not torch.equal(states[0]["torch_cpu"], states[1]["torch_cpu"])
