"""Ranks are copies of one another, recorded or not, unless a step is made apart."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support_apart import NUM_TOGETHER
from support_forks import start_forked
from support_train import environment, free_port

TESTS = Path(__file__).parent.parent
TOGETHER = [str(number) for number in range(NUM_TOGETHER)]


def weights_of_two_ranks(folder, way):
    """By rank and step."""
    folder.mkdir()
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    processes = [
        start_forked(
            "support_apart",
            [str(folder), way],
            folder=TESTS,
            environment={**environment(), **address, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said
    return {path.name: load_file(path) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    return {way: weights_of_two_ranks(folder / way, way) for way in ("plain", "recorded")}


@pytest.mark.parametrize("way", ["plain", "recorded"])
def test_ranks_are_copies_unless_they_keep_their_gradients(way, weights):
    found = weights[way]
    # Both come to the same gradient, so together they are the same to the last bit.
    for step in TOGETHER:
        assert differ(found[f"0-{step}"], found[f"1-{step}"]) == set()
    assert "language_model.transformer.h.0.mlp.c_fc.weight" in differ(
        found["0-apart"], found["1-apart"]
    )


def test_recorded_ranks_learn_what_others_do(weights):
    for step in TOGETHER:
        expected, found = (weights[way][f"0-{step}"] for way in ("plain", "recorded"))
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5, msg=name)


def differ(some, others):
    assert some.keys() == others.keys()
    return {name for name, value in some.items() if not value.equal(others[name])}
