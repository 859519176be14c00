import logging
import shutil

import pytest
import torch
from support_train import merged, tiny_settings, train_here, write_shards

from dialogpt.command_line import UserError
from dialogpt.config.training import BatchConfig, DataConfig, ScheduleConfig, TrainConfig
from dialogpt.models.gpt2 import ModelSizes, build_gpt2, gpt2_sizes, num_parameters
from dialogpt.train import memory
from dialogpt.train.memory import estimate, with_budget

GIB = 2**30
WIDTHS = {"117M": (12, 768), "345M": (24, 1024), "762M": (36, 1280)}
# Highest allocation in GiB of steps on an H200, by `benchmarks/training.py`.
TAKEN = [
    ("117M", "packed", 65536, False, 20.9),
    ("345M", "packed", 16384, False, 17.9),
    ("345M", "packed", 65536, False, 54.1),
    ("762M", "packed", 32768, False, 56.5),
    ("117M", "packed", 16384, True, 3.6),
    ("345M", "packed", 32768, True, 9.3),
    ("117M", "padded", 32768, False, 13.3),
    ("345M", "padded", 16384, False, 19.6),
    ("345M", "padded", 32768, True, 9.3),
]


def sizes_of(name):
    layers, width = WIDTHS[name]
    return ModelSizes(
        num_layers=layers,
        hidden_size=width,
        num_heads=width // 64,
        num_positions=1024,
        vocab_size=50257,
    )


@pytest.mark.parametrize(("name", "layout", "tokens", "recomputes", "gib"), TAKEN)
def test_the_estimate_is_what_gpus_took(name, layout, tokens, recomputes, gib):
    found = estimate(sizes_of(name), tokens, layout=layout, recomputes=recomputes)
    assert found.total / GIB == pytest.approx(gib, rel=0.05)


def test_trees_take_what_packed_batches_do():
    sizes = sizes_of("117M")
    assert estimate(sizes, 8192, layout="tree") == estimate(sizes, 8192, layout="packed")


def test_few_tokens_take_what_weights_and_gradients_do():
    sizes = sizes_of("762M")
    assert estimate(sizes, 64, layout="packed").total > 15.9 * sizes.num_parameters


def test_shared_weights_take_less():
    sizes = sizes_of("762M")
    alone = estimate(sizes, 8192, layout="packed")
    shared = estimate(sizes, 8192, layout="packed", num_shares=4)
    assert shared.weights == pytest.approx(alone.weights / 4, rel=0.01)
    assert (shared.activations, shared.loss) == (alone.activations, alone.loss)


def test_what_is_recorded_leaves_no_room_for_the_logits_of_validation():
    plain, recorded = (
        estimate(sizes_of("345M"), 8192, layout="packed", records=records)
        for records in (False, True)
    )
    assert recorded.total - plain.total == 8192 * 50257 * 2


def test_recorded_ranks_have_a_copy_of_their_gradients():
    sizes = sizes_of("117M")
    alone, recorded = (
        estimate(sizes, 8192, layout="packed", records=True, exchanges=exchanges)
        for exchanges in (False, True)
    )
    assert recorded.total - alone.total == 4 * sizes.num_parameters
    plain = estimate(sizes, 8192, layout="packed", exchanges=True)
    assert plain == estimate(sizes, 8192, layout="packed")


def test_auto_counts_with_recordings_where_there_are_some(monkeypatch):
    monkeypatch.setattr(memory, "most_tokens", lambda: 20000)

    def tokens(gib, can_record):
        return budget(monkeypatch, gib, can_record=can_record)

    assert tokens(20, True) < tokens(20, False) < 20000
    assert tokens(40, True) == tokens(40, False) > 20000


def test_parameters_are_counted_as_the_model_has_them():
    config = config_of("auto").model
    sizes = gpt2_sizes(config, vocab_size=300)
    assert sizes.num_parameters == num_parameters(build_gpt2(config, vocab_size=300, eos_id=0))


def test_sizes_of_a_checkpoint_are_its_own(tmp_path):
    config = config_of("auto").model
    build_gpt2(config, vocab_size=300, eos_id=0).save(tmp_path)
    changed = type(config)(init=str(tmp_path), num_layers=7)
    assert gpt2_sizes(changed, vocab_size=1) == gpt2_sizes(config, vocab_size=300)


def config_of(tokens, **batch):
    return TrainConfig(
        output="runs/x",
        data=DataConfig(shards="data/x", max_seq_len=256),
        schedule=ScheduleConfig(learning_rate=1e-4),
        batch=BatchConfig(layout="packed", micro_batch_tokens=tokens, **batch),
    )


def budget(monkeypatch, gib, size="345M", former=None, precision="bf16", can_record=False, **batch):
    monkeypatch.setattr(memory, "_memory", lambda device: (int(gib * GIB), 80 * GIB))
    config = with_budget(
        config_of("auto", **batch),
        sizes_of(size),
        device=torch.device("cuda"),
        precision=precision,
        can_record=can_record,
        former=former,
    )
    return config.batch.micro_batch_tokens


def test_auto_takes_the_most_that_fit(monkeypatch):
    tokens = budget(monkeypatch, 40)
    assert tokens % 1024 == 0
    fits, too_many = (
        estimate(sizes_of("345M"), n, layout="packed").total for n in (tokens, tokens + 1024)
    )
    assert fits <= 0.94 * 40 * GIB < too_many
    assert budget(monkeypatch, 40, activation_checkpointing=True) == 65536 > tokens
    assert budget(monkeypatch, 1000) == 65536


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_nothing_is_guessed_of_what_was_not_measured(monkeypatch, precision):
    assert budget(monkeypatch, 1000, precision=precision) == memory.DEFAULT_TOKENS


def test_a_run_that_goes_on_keeps_its_number(monkeypatch):
    assert budget(monkeypatch, 40, former=3072) == 3072


def test_too_little_memory_is_an_error_that_says_what_helps(monkeypatch):
    with pytest.raises(UserError, match=r"for 1024 tokens, found 4.0 GiB free; switch batch.act"):
        budget(monkeypatch, 4)


def test_a_number_that_may_not_fit_is_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(memory, "_memory", lambda device: (20 * GIB, 24 * GIB))
    with caplog.at_level(logging.INFO):
        with_budget(
            config_of(32768), sizes_of("345M"), device=torch.device("cuda"), precision="bf16"
        )
    assert "Memory       about 29.8 GiB of 24.0" in caplog.text
    assert "has 20.0 GiB free and the run wants about 29.8" in caplog.text


def test_auto_on_a_cpu_is_kept_over_a_restart(tmp_path, monkeypatch, caplog):
    shards = write_shards(tmp_path / "shards")
    changes = {"batch": {"micro_batch_tokens": "auto"}, "max_steps": 2}
    changes["checkpoint"] = {"every_steps": 1}
    settings = merged(tiny_settings(shards, tmp_path / "run"), changes)
    monkeypatch.setattr(memory, "DEFAULT_TOKENS", 200)
    with caplog.at_level(logging.INFO):
        assert train_here(settings, tmp_path) == 0
    assert "200 tokens at once" in caplog.text
    # As if it had been killed before the end, to go on where auto means something else.
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000002")
    monkeypatch.setattr(memory, "DEFAULT_TOKENS", 999)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert train_here(settings, tmp_path) == 0
    assert "Going on after step 1" in caplog.text
    assert "200 tokens at once" in caplog.text
