"""Two processes train a PLATO as one that accumulates does, its negatives included."""

import pytest
import torch
from safetensors.torch import load_file
from support_train import (
    byte_tokenizer,
    made_up_dialogues,
    merged,
    run_training,
    tiny_settings,
    write_split,
)

from dialogpt.run_log import read_metrics

CHANGES = {
    "model": {"max_positions": 64, "dropout": 0.0},
    "batch": {"micro_batch_tokens": 160},
    "schedule": {"learning_rate": 0.003, "name": "constant", "warmup_steps": 2},
    "validation": {"every_steps": 50},
    "checkpoint": {"every_steps": 50},
    "log_every_steps": 1,
    "max_epochs": 1,
    "max_steps": 6,
    # One latent leaves nothing to chance: samples differ between ranks.
    "plato": {"num_latents": 1, "examples": "all", "validate_all_latents": True},
}
CLOCK = {"tokens_per_second", "waiting_share"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    tokenizer = byte_tokenizer()
    # The few validation dialogues leave a rank with an empty batch, which must not hang.
    for split, count in (("train", 80), ("valid", 2)):
        write_split(
            folder / "shards" / split, made_up_dialogues(count, seed=3), tokenizer=tokenizer
        )
    tokenizer.save(folder / "shards" / "tokenizer")
    for name, num_ranks, accumulation in (("one", 1, 2), ("two", 2, 1)):
        changes = merged(CHANGES, {"batch": {"accumulation_steps": accumulation}})
        settings = merged(tiny_settings(folder / "shards", folder / name), changes)
        done = run_training(settings, folder, num_ranks=num_ranks)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_two_ranks_make_the_run_of_one_that_accumulates(runs):
    one, two = (
        [{k: v for k, v in record.items() if k not in CLOCK} for record in read_metrics(runs / n)]
        for n in ("one", "two")
    )
    assert len(one) == len(two) > 6
    for ours, wanted in zip(two, one, strict=True):
        assert ours.keys() == wanted.keys()
        assert ours.pop("kind") == wanted.pop("kind")
        for name, value in wanted.items():
            assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    weights = [load_file(runs / n / "last" / "model.safetensors") for n in ("one", "two")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-5)
