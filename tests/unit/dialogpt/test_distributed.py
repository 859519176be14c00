import pytest
import torch

from dialogpt.command_line import UserError
from dialogpt.distributed import (
    choose_precision,
    num_ranks,
    start_accelerator,
    sum_over_ranks,
    wait_for_all_ranks,
)

V100, A100 = (7, 0), (8, 0)


@pytest.mark.parametrize(
    ("wanted", "device", "capability", "expected"),
    [
        ("auto", "cuda", A100, "bf16"),
        ("auto", "cuda", (9, 0), "bf16"),
        ("auto", "cuda", V100, "fp16"),
        ("auto", "cuda", (7, 5), "fp16"),
        ("auto", "cpu", None, "fp32"),
        ("auto", "mps", None, "fp32"),
        ("fp16", "cuda", A100, "fp16"),
        ("fp32", "cuda", A100, "fp32"),
        ("bf16", "cpu", None, "bf16"),
    ],
)
def test_precision_follows_the_hardware(wanted, device, capability, expected):
    assert choose_precision(wanted, device, capability=capability) == expected


@pytest.mark.parametrize(
    ("wanted", "device", "capability"),
    [("bf16", "cuda", V100), ("bf16", "mps", None), ("fp16", "cpu", None)],
)
def test_a_precision_that_the_device_lacks_is_an_error(wanted, device, capability):
    with pytest.raises(UserError, match=f"precision {wanted}: expected"):
        choose_precision(wanted, device, capability=capability)


def test_the_launchers_accumulation_does_not_scale_the_loss(monkeypatch):
    """accelerate's `backward` divides by it; the updater has divided by the targets already."""
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerator, _ = start_accelerator("fp32")
    weight = torch.ones(1, requires_grad=True, device=accelerator.device)
    accelerator.backward(3 * weight.sum())
    assert weight.grad is not None
    assert weight.grad.item() == 3.0


@pytest.mark.parametrize(
    ("operation", "meet", "said", "shown"),
    [
        ("all_reduce", lambda: sum_over_ranks([1.0]), "Connection closed\nby", "Connection closed"),
        ("barrier", wait_for_all_ranks, "", "RuntimeError"),
    ],
)
def test_a_rank_that_is_gone_is_an_error_that_says_what_to_do(
    operation, meet, said, shown, monkeypatch
):
    def fails(*_, **__):
        raise RuntimeError(said)

    monkeypatch.setattr("dialogpt.distributed.num_ranks", lambda: 2)
    monkeypatch.setattr("dialogpt.distributed._hosts", lambda: None)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, operation, fails)
    with pytest.raises(UserError, match=rf"rank 1: expected all 2 .* \({shown}\)"):
        meet()


def test_a_single_process_is_its_own_sum():
    assert num_ranks() == 1
    assert sum_over_ranks([1.5, 2.0]) == [1.5, 2.0]
    wait_for_all_ranks()
