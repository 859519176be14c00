import math

import pytest
import torch

from dialogpt.models.losses import scored_positions, token_nll
from dialogpt.records import IGNORE_INDEX


def test_nll_is_the_hand_computed_sum():
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    assert token_nll(logits, torch.tensor([1, 1])).item() == pytest.approx(
        math.log(2) + math.log(4)
    )


def test_no_targets_give_a_zero_that_gradients_flow_through():
    logits = torch.zeros(0, 5, requires_grad=True)
    nll = token_nll(logits, torch.zeros(0, dtype=torch.int64))
    nll.backward()
    assert nll.item() == 0.0
    assert logits.grad.shape == (0, 5)


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = torch.arange(64)
    nll = token_nll(logits, targets)
    assert nll.dtype == torch.float32
    exact = torch.nn.functional.cross_entropy(logits.double(), targets, reduction="sum")
    assert nll.item() == pytest.approx(exact.item(), rel=1e-5)


def test_a_position_predicts_the_next_token():
    hidden = torch.arange(8.0).view(1, 4, 2)
    labels = torch.tensor([[9, IGNORE_INDEX, 5, 6]])
    states, targets = scored_positions(hidden, labels)
    assert targets.tolist() == [5, 6]
    assert states.tolist() == [[2.0, 3.0], [4.0, 5.0]]


def test_shapes_that_disagree_are_an_error():
    with pytest.raises(ValueError, match="must agree"):
        scored_positions(torch.zeros(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64))
