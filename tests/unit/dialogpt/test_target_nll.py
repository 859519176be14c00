import pytest
import torch
import torch.nn.functional as F

from dialogpt.models import target_nll as module
from dialogpt.models.target_nll import target_nll

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def made_up(num_targets, num_ids, *, device="cpu", kind=torch.float64):
    torch.manual_seed(0)
    states = torch.randn(num_targets, 16, device=device, dtype=torch.float64).to(kind)
    table = torch.randn(num_ids, 16, device=device, dtype=torch.float64)
    targets = torch.randint(num_ids, (num_targets,), device=device)
    weights = torch.randint(1, 5, (num_targets,), device=device).float()
    return states.requires_grad_(), table.requires_grad_(), targets, weights


def right_loss(states, table, targets, weights):
    losses = F.cross_entropy(states @ table.T, targets, reduction="none")
    return (losses * weights).sum()


@pytest.mark.parametrize("rows_at_once", [1, 3, 7, 100])
@pytest.mark.parametrize("num_ids", [64, 65, 100])
def test_loss_and_gradients_are_those_of_all_logits_at_once(rows_at_once, num_ids, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", rows_at_once * 128 * 8)
    states, table, targets, weights = made_up(7, num_ids)
    expected = right_loss(states, table, targets, weights)
    right = torch.autograd.grad(3.0 * expected, (states, table))
    found = target_nll(states, table, targets, weights)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(3.0 * found, (states, table)), right)


def test_no_targets_cost_nothing():
    states, table, targets, weights = made_up(0, 65)
    loss = target_nll(states, table, targets, weights)
    loss.backward()
    assert loss == 0
    assert table.grad.abs().sum() == 0
    assert states.grad.shape == states.shape


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_no_gradient_is_made_where_none_is_wanted(mode, monkeypatch):
    monkeypatch.delattr(module, "_add_product")
    states, table, targets, weights = made_up(5, 65)
    with mode():
        loss = target_nll(states, table, targets, weights)
    torch.testing.assert_close(loss, right_loss(states, table, targets, weights))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("num_ids", [65, 5000, 50257])
def test_the_kernel_computes_what_float64_does(num_ids):
    states, table, targets, weights = made_up(300, num_ids, device="cuda", kind=torch.bfloat16)
    found = target_nll(states, table, targets, weights)
    gradients = torch.autograd.grad(found, (states, table))
    exact = states.detach().double().requires_grad_()
    rounded = table.detach().to(torch.bfloat16).double().requires_grad_()
    expected = right_loss(exact, rounded, targets, weights)
    right = torch.autograd.grad(expected, (exact, rounded))
    torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=0)
    for gradient, exact_gradient in zip(gradients, right, strict=True):
        error = (gradient.double() - exact_gradient).norm() / exact_gradient.norm()
        assert error < 1e-2, error
