import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dialogpt.config.training import ModelConfig
from dialogpt.data.batch import collate
from dialogpt.data.features import Features
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.utilisation import (
    ModelFlops,
    Utilisation,
    build_utilisation,
    mean_length_over_tokens,
    model_flops,
    peak_rate,
)

SMALL = ModelConfig(num_layers=3, hidden_size=32, num_heads=4, max_positions=64, dropout=0.0)


def row(length, num_targets):
    ids = np.arange(length, dtype=np.int64) % 50
    labels = np.where(np.arange(length) < length - num_targets, -100, ids)
    return Features(input_ids=ids, labels=labels, num_target_words=1.0, num_target_chars=1.0)


def counted_flops(model, batch):
    """What torch counts while forward and backward run; attention as plain products."""
    model.language_model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(batch)["nll"].backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("num_targets", [63, 16])
def test_the_formula_is_what_torch_counts(num_targets):
    model = build_gpt2(SMALL, vocab_size=192, eos_id=0)
    batch = collate([row(64, num_targets)] * 4, range(4), eos_id=0)
    flops = model_flops(model, mean_length=mean_length_over_tokens(np.array([64] * 4)))
    expected = 4 * 64 * flops.per_token(num_targets / 64)
    assert counted_flops(model, batch) == pytest.approx(expected, rel=1e-9)


def test_attention_costs_what_the_dialogues_lengths_say_not_their_mean():
    """Two rows of their own, counted one by one, against the average token of both."""
    model = build_gpt2(SMALL, vocab_size=192, eos_id=0)
    lengths = np.array([60, 4], dtype=np.uint16)
    counted = sum(
        counted_flops(model, collate([row(n, n // 2)], [0], eos_id=0)) for n in lengths.tolist()
    )
    flops = model_flops(model, mean_length=mean_length_over_tokens(lengths))
    assert counted == pytest.approx(64 * flops.per_token(0.5), rel=1e-9)
    assert flops.mean_length == (3600 + 16) / 64


def test_long_lengths_do_not_overflow_their_type():
    assert mean_length_over_tokens(np.full(3, 1024, dtype=np.uint16)) == 1024.0


def test_gpt2_small_is_close_to_six_operations_a_weight():
    model = build_gpt2(ModelConfig(), vocab_size=50257, eos_id=50256)
    flops = model_flops(model, mean_length=0.0)
    assert flops.num_block_weights == 12 * 12 * 768 * 768
    assert flops.num_output_weights == 50257 * 768
    assert flops.per_token(1.0) == pytest.approx(6 * 124e6, rel=0.01)


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H200", 989.4),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA A100 80GB PCIe", 312.0),
        ("A100-SXM4-40GB", 312.0),
        ("Tesla V100-SXM2-16GB", 125.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA GeForce RTX 4090", 165.2),
    ],
)
def test_known_devices_have_their_own_rate(name, tera):
    assert peak_rate(name, "bf16") == tera * 1e12
    assert peak_rate(name, "fp16") == tera * 1e12
    assert peak_rate(name, "fp32") is None


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A10G",  # half an A10
        "NVIDIA A100-SXM4-80GB MIG 3g.40gb",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "AMD Instinct MI300X",
        "cpu",
    ],
)
def test_a_device_that_is_not_known_has_none(name):
    assert peak_rate(name, "bf16") is None


def test_speed_is_that_of_all_ranks_together(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100-SXM4-80GB")
    model = build_gpt2(SMALL, vocab_size=192, eos_id=0)
    lengths = np.array([10, 10])
    one, four = (
        build_utilisation(
            model, lengths, device=torch.device("cuda", 0), precision="bf16", num_ranks=ranks
        )
        for ranks in (1, 4)
    )
    assert one.share(1e6, target_share=0.5) == 4 * four.share(1e6, target_share=0.5)


def test_a_share_is_operations_over_what_could_be_made():
    flops = ModelFlops(
        num_block_weights=10, num_output_weights=4, attention_width=2, mean_length=5.0
    )
    # 6 (10 + 4 / 2) + 12 x 2 x 5 = 192 a token.
    share = Utilisation(flops=flops, peak_rate=19200.0).share(50.0, target_share=0.5)
    assert share == pytest.approx(0.5)


def test_a_cpu_has_no_utilisation():
    model = build_gpt2(SMALL, vocab_size=192, eos_id=0)
    device = torch.device("cpu")
    found = build_utilisation(model, np.array([3]), device=device, precision="bf16", num_ranks=1)
    assert found is None
