"""The kernels by Triton's interpreter, for machines without a GPU.

Run by tests/unit/dialogpt/test_kernels_interpreted.py, in a process of its own: the interpreter is
for all kernels of a process or for none. In float16, as NumPy, which it computes with, has no
bfloat16. Outputs hold NaN before, so that what is not written is seen.
"""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from unit.dialogpt.test_kv_cache import COUNTS, a_case, by_torch
from unit.dialogpt.test_residual import a_case as residual_case
from unit.dialogpt.test_residual import in_float64
from unit.dialogpt.test_tree_attention import CASES, TREES, by_one_large_mask, laid_out

from dialogpt.models import gelu, gelu_kernels, loss_kernels, norm, tree_attention
from dialogpt.models.kv_cache import attend_by_kernel

REGISTERED = (gelu, tree_attention)  # operators, by importing them


def assert_near(found, expected, error=2e-3):
    assert not found.isnan().any()
    assert (found.double() - expected).norm() <= error * expected.norm()


@pytest.fixture(autouse=True)
def poisoned():
    # In this mode torch fills what it does not initialise with NaN.
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("names", "has_branches"), [case for case in CASES if case[0] != ["many branches"]]
)
def test_attention_and_its_gradient(names, has_branches):
    trees = [TREES[name] for name in names]
    tiles, ends = laid_out([[7] * 7, *trees, [7] * 7])
    torch.manual_seed(0)
    qkv = torch.randn(len(ends), 3, 2, 16).half().requires_grad_()
    weights = torch.randn(len(ends), 2, 16).half()
    # Recorded passes have room for more tiles than there are: these have no tokens.
    there = torch.cat([tiles, torch.zeros(2, 3, dtype=torch.int32)])
    found, _ = torch.ops.dialogpt.tree_attention(qkv, there, ends, has_branches)
    (gradient,) = torch.autograd.grad((found * weights).sum(), qkv)
    exact = qkv.detach().double().requires_grad_()
    expected = by_one_large_mask(exact, tiles, ends)
    (expected_gradient,) = torch.autograd.grad((expected * weights.double()).sum(), exact)
    assert_near(found, expected)
    assert_near(gradient, expected_gradient)


@pytest.mark.parametrize("shape", [(1, 8), (300, 129), (520, 20)])
def test_the_activation_and_its_gradients(shape, monkeypatch):
    # The interpreter takes a constant times a tensor for another constant.
    for name in ("_SLOPE", "_CUBE", "_LOG2_E"):
        monkeypatch.setattr(gelu_kernels, name, getattr(gelu_kernels, name).value)
    torch.manual_seed(0)
    inner = (3 * torch.randn(shape)).half().requires_grad_()
    bias = torch.randn(shape[1], requires_grad=True)
    weights = torch.randn(shape).half()
    found = torch.ops.dialogpt.biased_gelu(inner, bias)
    gradients = torch.autograd.grad(found, (inner, bias), weights)
    exact = [x.detach().double().requires_grad_() for x in (inner, bias)]
    right = F.gelu(exact[0] + exact[1], approximate="tanh")
    expected = torch.autograd.grad(right, exact, weights.double())
    for value, other in ((found, right), *zip(gradients, expected, strict=True)):
        assert_near(value, other)


@pytest.mark.parametrize("num_ids", [37, 4096, 5000])
def test_the_loss_and_its_gradient(num_ids):
    torch.manual_seed(0)
    width = num_ids + -num_ids % 64
    logits = (3 * torch.randn(3, width)).half()
    logits[:, num_ids:] = 0.0
    targets, weights = torch.tensor([0, num_ids - 1, 7]), torch.tensor([1.0, 3.0, 0.0])
    exact = logits[:, :num_ids].double().requires_grad_()
    expected = F.cross_entropy(exact, targets, reduction="none") * weights
    (gradient,) = torch.autograd.grad(expected.sum(), exact)
    sums = torch.full((3,), float("nan"))
    loss_kernels.row_logsumexp[(3,)](logits, sums, num_ids, width, block=4096)
    assert_near(sums, exact.detach().logsumexp(1), 1e-5)
    losses = torch.full((3,), float("nan"))
    loss_kernels.nll_and_gradient[(3,)](
        *(logits, targets, weights, losses, num_ids, width), block=4096, num_warps=8
    )
    assert_near(losses, expected.detach(), 1e-5)
    assert_near(logits[:, :num_ids], gradient)
    assert not logits[:, num_ids:].any()


@pytest.mark.parametrize("has_update", [False, True])
def test_the_sum_and_its_norm(has_update):
    torch.manual_seed(0)
    layer = nn.LayerNorm(48)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    stream, update, bias = (torch.randn(*shape).half() for shape in ((5, 48), (5, 48), (48,)))
    total = stream.double() + ((update.double() + bias.double()) if has_update else 0.0)
    expected = F.layer_norm(total, [48], layer.weight.double(), layer.bias.double())
    found, normed = norm.add_and_norm(
        stream,
        update if has_update else None,
        bias if has_update else None,
        layer,
        by_kernel=True,
    )
    assert_near(found, total)
    assert_near(normed.detach(), expected.detach())


@pytest.mark.parametrize(
    ("shape", "eps"), [((1, 16), 1e-5), ((7, 48), 1e-5), ((540, 20), 1e-5), ((7, 48), 3.0)]
)
def test_the_sum_its_norm_and_their_gradients(shape, eps):
    case, weights = residual_case(*shape, torch.float16, "cpu")
    stream, product, bias, layer = case
    layer.eps = eps
    seed = torch.zeros(0, dtype=torch.int64)
    *found, _ = torch.ops.dialogpt.join_and_norm(
        stream, product, bias, layer.weight, layer.bias, seed, layer.eps, 0.0
    )
    inputs = (stream, product, bias, layer.weight, layer.bias)
    gradients = torch.autograd.grad(found, inputs, weights)
    expected, right = in_float64(case, weights)
    for value, other in zip((*found, *gradients), (*expected, *right), strict=True):
        assert_near(value, other)


def test_dropout_in_the_sum_is_the_same_both_ways():
    (stream, product, _, layer), weights = residual_case(40, 48, torch.float16, "cpu")
    bias = torch.full((48,), 9.0, requires_grad=True)
    values = (stream, product, bias, layer.weight, layer.bias)
    kept = []
    for number in (5, 5, 6):
        seed = torch.tensor([number])
        joined, normed, _ = torch.ops.dialogpt.join_and_norm(*values, seed, layer.eps, 0.25)
        is_kept = (joined - stream).abs() > 2.0
        kept.append(is_kept)
        total = stream.double() + torch.where(is_kept, (product.double() + bias) / 0.75, 0.0)
        assert_near(joined, total)
        assert_near(normed, F.layer_norm(total, [48], layer.weight.double(), layer.bias.double()))
        of_stream, of_product, of_bias = torch.autograd.grad(
            (joined, normed), (stream, product, bias), weights
        )
        expected = torch.where(is_kept, of_stream.double() / 0.75, 0.0)
        assert_near(of_product, expected)
        assert_near(of_bias, expected.sum(0))
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])
    assert abs(kept[0].float().mean() - 0.75) < 0.05
    # No two numbers of a row, and none of two rows, are dropped together more than chance has it.
    quads = kept[0].view(40, 12, 4).float()  # four a call of the generator
    for one, other in itertools.combinations(range(4), 2):
        both = (quads[..., one] * quads[..., other]).mean()
        assert abs(both - 0.75**2) < 0.09, (one, other)
    rows = kept[0].float()
    for shift in range(-8, 9):
        both = (rows[1:, 8:-8] * rows[:-1].roll(shift, 1)[:, 8:-8]).mean()
        assert abs(both - 0.75**2) < 0.06, shift


@pytest.mark.parametrize("step", [0, 1, 8])
def test_attention_with_a_cache(step):
    case = a_case(step).on("cpu", torch.float16).on("cpu", torch.float64)
    expected = by_torch(case, layer=1)
    there = a_case(step).on("cpu", torch.float16)
    out = attend_by_kernel(
        *(there.qkv, there.cache, 1),
        slots=there.slots,
        step=torch.tensor(step, dtype=torch.int32),
        starts=torch.tensor([0, *torch.tensor(COUNTS).cumsum(0)], dtype=torch.int32),
        most_rows=max(COUNTS),
    )
    assert_near(out, expected)
    assert torch.equal(there.cache.replies, case.cache.replies.half())
