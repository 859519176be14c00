import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dialogpt.models.residual import join_and_norm

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def a_case(num_tokens, width, kind, device):
    """(stream, product, bias, norm), and weights of a sum of both results."""
    torch.manual_seed(0)
    layer = nn.LayerNorm(width, device=device)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    bias = torch.randn(width, device=device, requires_grad=True)
    stream, product, *weights = torch.randn(4, num_tokens, width, device=device).to(kind)
    return (stream.requires_grad_(), product.requires_grad_(), bias, layer), weights


def results(case, weights, **options):
    """Both results, and the gradients of what they come from."""
    stream, product, bias, layer = case
    found = join_and_norm(stream, product, bias, layer, **options)
    inputs = (stream, product, bias, layer.weight, layer.bias)
    return found, torch.autograd.grad(found, inputs, weights)


def in_float64(case, weights):
    stream, product, bias, layer = case
    inputs = [x.detach().double().requires_grad_() for x in (stream, product, bias)]
    inputs += [x.detach().double().requires_grad_() for x in (layer.weight, layer.bias)]
    total = inputs[0] + inputs[1] + inputs[2]
    normed = F.layer_norm(total, layer.normalized_shape, *inputs[3:], layer.eps)
    gradients = torch.autograd.grad((total, normed), inputs, [w.double() for w in weights])
    return (total, normed), gradients


def assert_near(found, expected, error):
    for value, right in zip(found, expected, strict=True):
        assert not value.isnan().any()
        assert (value.double() - right).norm() <= error * right.norm()


def test_without_kernels_it_is_a_sum_and_torch_s_norm():
    case, weights = a_case(7, 12, torch.float32, "cpu")
    found, gradients = results(case, weights, rate=0.0)
    expected, right = in_float64(case, weights)
    assert_near(found, expected, 1e-6)
    assert_near(gradients, right, 1e-6)


def test_dropout_falls_on_what_is_added_bias_included():
    (stream, product, _, layer), _ = a_case(50, 40, torch.float32, "cpu")
    bias = torch.full((40,), 9.0)
    joined, normed = join_and_norm(stream, product, bias, layer, rate=0.25)
    added = (joined - stream) / (product + bias)
    is_kept = added.abs() > 0.5
    assert is_kept.float().mean().item() == pytest.approx(0.75, abs=0.05)
    torch.testing.assert_close(added[is_kept], torch.full_like(added[is_kept], 4 / 3))
    assert added[~is_kept].abs().max() < 1e-5
    torch.testing.assert_close(normed, layer(joined))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 16), (300, 100), (5000, 768), (1000, 1280)])
def test_the_kernels_compute_what_float64_does(shape, kind):
    case, weights = a_case(*shape, kind, "cuda")
    found, gradients = results(case, weights, rate=0.0)
    expected, right = in_float64(case, weights)
    assert_near(found, expected, 8e-3)
    assert_near(gradients, right, 8e-3)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_the_kernels_drop_the_same_numbers_both_ways(compiled):
    (stream, product, _, layer), weights = a_case(2000, 768, torch.bfloat16, "cuda")
    bias = torch.full((768,), 9.0, device="cuda", requires_grad=True)
    function = torch.compile(join_and_norm) if compiled else join_and_norm
    state = torch.cuda.get_rng_state()
    joined, normed = function(stream, product, bias, layer, rate=0.25)
    is_kept = (joined.float() - stream.float()).abs() > 2.0
    assert is_kept.float().mean().item() == pytest.approx(0.75, abs=0.005)
    # Of any two neighbours, down or across, both stay as often as chance has it.
    for both in (is_kept[1:] & is_kept[:-1], is_kept[:, 1:] & is_kept[:, :-1]):
        assert both.float().mean().item() == pytest.approx(0.75**2, abs=0.005)
    of_stream, of_product, of_bias = torch.autograd.grad(
        (joined, normed), (stream, product, bias), weights, retain_graph=True
    )
    expected = torch.where(is_kept, of_stream.double() / 0.75, 0.0)
    assert_near([of_product, of_bias], [expected, expected.sum(0)], 5e-3)
    again, _ = function(stream, product, bias, layer, rate=0.25)
    assert not torch.equal(again, joined)
    torch.cuda.set_rng_state(state)
    again, _ = function(stream, product, bias, layer, rate=0.25)
    assert torch.equal(again, joined)
