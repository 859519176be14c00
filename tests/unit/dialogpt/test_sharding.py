"""What of accelerate's configuration for FSDP is followed, and what is refused."""

import pytest
import torch
import yaml
from accelerate import Accelerator
from support_train import ROOT
from torch import nn

from dialogpt.command_line import UserError
from dialogpt.train import sharding

FILE = ROOT / "configs" / "accelerate" / "fsdp.yaml"


@pytest.fixture
def launched(monkeypatch):
    """As `accelerate launch` hands the file on, to a process that has joined the others."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    for name, value in yaml.safe_load(FILE.read_text())["fsdp_config"].items():
        monkeypatch.setenv(name.upper(), str(value).lower())
    return monkeypatch


def test_the_file_says_nothing_that_is_refused(launched):
    assert sharding.is_asked_for()
    assert sharding._options(Accelerator(cpu=True)).reshard_after_forward is True


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fsdp_version", "1", "expected 2, found 1"),
        ("fsdp_offload_params", "true", "expected false, found true"),
        ("fsdp_activation_checkpointing", "true", "expected false, found true"),
        ("fsdp_cpu_ram_efficient_loading", "true", "expected false, found true"),
    ],
)
def test_what_is_not_done_here_is_refused_by_its_name(launched, name, value, message):
    launched.setenv(name.upper(), value)
    if name == "fsdp_version":  # whose values for this differ
        launched.delenv("FSDP_RESHARD_AFTER_FORWARD")
    with pytest.raises(UserError, match=f"accelerate's {name}: {message}"):
        sharding.place_model(nn.Linear(2, 2), Accelerator(cpu=True))


def test_float16_is_refused(launched):
    accelerator = Accelerator(cpu=True)
    launched.setattr(accelerator, "scaler", object())
    with pytest.raises(UserError, match="FSDP: expected precision bf16 or fp32, found fp16"):
        sharding.place_model(nn.Linear(2, 2), accelerator)


def test_without_it_a_model_stays_whole():
    model = nn.Linear(2, 2)
    sharding.place_model(model, Accelerator(cpu=True))
    assert not sharding.is_shared(model)
    assert sharding.savable(model) is model
    weight = torch.ones(3)
    assert sharding.whole(weight) is weight
    assert sharding.share_like(weight, weight) is weight
