"""Which batches a run makes, by what the device has: tested by switching that off."""

import logging
from dataclasses import replace

import pytest
import torch

from dialogpt import distributed
from dialogpt.command_line import UserError
from dialogpt.config.training import BatchConfig, DataConfig, ScheduleConfig, TrainConfig
from dialogpt.models.gpt2 import ModelSizes
from dialogpt.train import layout as module
from dialogpt.train.layout import can_record, with_layout

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
SIZES = ModelSizes(num_layers=2, hidden_size=768, num_heads=12, num_positions=128, vocab_size=300)


def config(layout="auto", **batch):
    return TrainConfig(
        output="run",
        data=DataConfig(shards="shards", max_seq_len=128),
        schedule=ScheduleConfig(learning_rate=1e-4),
        batch=BatchConfig(layout=layout, **{"micro_batch_tokens": 1024, **batch}),
    )


def layout_of(*, device=CUDA, precision="bf16", num_heads=12, **options):
    sizes = replace(SIZES, num_heads=num_heads)
    return with_layout(config(**options), sizes, precision=precision, device=device).batch.layout


@pytest.fixture
def kernels(monkeypatch):
    """A GPU with kernels, whatever this machine is."""
    monkeypatch.setattr(module, "has_kernels", lambda device: device.type == "cuda")


def test_auto_packs_where_the_kernels_are(kernels):
    assert layout_of() == "packed"
    assert layout_of(precision="fp16") == "padded"  # a V100
    assert layout_of(precision="fp32") == "padded"
    assert layout_of(device=CPU) == "padded"
    assert layout_of(micro_batch_tokens=100) == "padded"  # no row of 128 would fit
    assert layout_of(num_heads=8) == "padded"  # heads of 96 numbers, no power of two
    assert layout_of(micro_batch_tokens="auto") == "packed"


def test_without_kernels_auto_pads(monkeypatch):
    monkeypatch.setattr(module, "has_kernels", lambda device: False)
    assert layout_of() == "padded"


def test_who_asks_for_a_layout_gets_it(kernels, caplog):
    assert layout_of(layout="padded") == "padded"
    assert layout_of(layout="packed") == "packed"
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert layout_of(layout="packed", device=CPU, precision="fp32") == "packed"
    assert "has no kernels" in caplog.text


def test_a_limit_on_dialogues_is_warned_of_where_it_wastes(kernels, caplog):
    assert layout_of(layout="padded", max_micro_batch_size=8) == "padded"
    assert not caplog.records
    assert layout_of(max_micro_batch_size=8) == "packed"
    assert "limit micro_batch_tokens instead" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "packed: expected precision bf16 or fp32, found fp16"),
        ({"micro_batch_tokens": 100}, "micro_batch_tokens 100: expected at least .* 128"),
    ],
)
def test_what_cannot_be_packed_is_refused(kernels, options, message):
    with pytest.raises(UserError, match=message):
        layout_of(layout="packed", **options)


def test_backward_rows_share_nothing(kernels):
    assert layout_of(layout="tree") == "tree"
    with pytest.raises(UserError, match="tree: expected direction forward, found backward"):
        with_layout(
            replace(config(layout="tree"), direction="backward"),
            SIZES,
            precision="bf16",
            device=CUDA,
        )


def is_recorded(*, device=CUDA, precision="bf16", num_heads=12, layout="packed", **changes):
    batch = {"activation_checkpointing": changes.pop("activation_checkpointing", False)}
    sizes = replace(SIZES, num_heads=num_heads)
    settings = replace(config(layout, **batch), **changes)
    return can_record(settings, sizes, precision=precision, device=device)


def test_compiled_passes_of_one_host_are_recorded_where_the_kernels_are(kernels, monkeypatch):
    assert is_recorded()
    assert is_recorded(layout="tree")
    assert not is_recorded(layout="padded")
    assert not is_recorded(device=CPU, precision="fp32")
    assert not is_recorded(precision="fp32")  # attention then asks the device for numbers
    assert not is_recorded(num_heads=8)
    assert not is_recorded(compile=False)
    assert not is_recorded(activation_checkpointing=True)


@pytest.mark.parametrize(("local", "expected"), [(None, False), ("4", True), ("2", False)])
def test_ranks_of_several_hosts_are_not_recorded(kernels, monkeypatch, local, expected):
    monkeypatch.setattr(distributed, "num_ranks", lambda: 4)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if local:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    assert is_recorded() == expected


def test_ranks_that_share_the_model_are_not_recorded(kernels, monkeypatch):
    monkeypatch.setattr(module, "is_asked_for", lambda: True)
    assert not is_recorded()
