import pytest
import torch
import torch.nn.functional as F

from dialogpt.models.gelu import biased_gelu

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 8), (300, 129), (1025, 3072)])
def test_the_kernels_compute_what_float64_does(shape, kind):
    torch.manual_seed(0)
    inner = (3 * torch.randn(shape, device="cuda")).to(kind).requires_grad_()
    bias = torch.randn(shape[1], device="cuda", requires_grad=True)
    weights = torch.randn(shape, device="cuda").to(kind)
    found = biased_gelu(inner, bias)
    gradients = torch.autograd.grad(found, (inner, bias), weights)
    exact_inner, exact_bias = (x.detach().double().requires_grad_() for x in (inner, bias))
    right = F.gelu(exact_inner + exact_bias, approximate="tanh")
    exact = torch.autograd.grad(right, (exact_inner, exact_bias), weights.double())
    for value, expected in ((found, right), *zip(gradients, exact, strict=True)):
        error = (value.double() - expected).norm() / expected.norm()
        assert error < 5e-3, error


def test_without_kernels_it_is_torch_s():
    inner, bias = torch.randn(5, 8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    expected = F.gelu(inner + bias, approximate="tanh")
    torch.testing.assert_close(biased_gelu(inner, bias), expected)
