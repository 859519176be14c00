import pytest
import torch

from dialogpt.data.packing import TILE_TOKENS
from dialogpt.models.tree_attention import Trees, has_kernels, tree_attention

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

# Ends of the tokens of some trees, roots first. The third has branches: 0 -> (1 -> 2, 3), 4.
TREES = {
    "one token": [1],
    "a dialogue": [5] * 5,
    "branches": [5, 3, 3, 4, 5],
    "several tiles": [200] * 200,
    "branches over tiles": [300, *[150] * 149, *[300] * 150],
    "many branches": [500, *[1 + 25 * (1 + place // 25) for place in range(499)]],
}
BRANCHLESS = ("one token", "a dialogue", "several tiles")
CASES = [([name], has_branches) for name in TREES for has_branches in (False, True)]
CASES = [case for case in CASES if case[1] or case[0][0] in BRANCHLESS]
"""Names of trees, and whether the kernels are told that they may have branches."""


def laid_out(trees):
    """(tiles, ends) of trees that lie end to end."""
    ends, tiles, root = [], [], 0
    for tree in trees:
        stop = root + len(tree)
        ends += [root + end for end in tree]
        tiles += [[root, first, stop] for first in range(root, stop, TILE_TOKENS)]
        root = stop
    return torch.tensor(tiles, dtype=torch.int32), torch.tensor(ends, dtype=torch.int32)


def by_one_large_mask(qkv, tiles, ends):
    """Every token with every other, and a mask from the definition."""
    num_tokens = len(ends)
    root_of = torch.zeros(num_tokens, dtype=torch.int64)
    for root, _, stop in tiles.tolist():
        root_of[root:stop] = root
    query, key = torch.arange(num_tokens)[:, None], torch.arange(num_tokens)[None, :]
    seen = (key <= query) & (query < ends.cpu()) & (root_of[:, None] == root_of[None, :])
    q, k, v = qkv.unbind(1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / qkv.shape[-1] ** 0.5
    scores = scores.masked_fill(~seen.to(qkv.device), float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)


@pytest.mark.parametrize("names", [[name] for name in TREES] + [list(TREES)])
def test_each_token_reads_from_its_ancestors_and_nobody_else(names):
    tiles, ends = laid_out([TREES[name] for name in names])
    torch.manual_seed(0)
    qkv = torch.randn(len(ends), 3, 2, 8, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(ends), 2, 8, dtype=torch.float64)
    found = tree_attention(qkv, Trees(tiles, ends, True))
    (gradient,) = torch.autograd.grad((found * weights).sum(), qkv)
    expected = by_one_large_mask(qkv, tiles, ends)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), qkv)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_there_are_no_kernels_on_a_cpu():
    assert not has_kernels(torch.device("cpu"))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [16, 64, 128])
@pytest.mark.parametrize(
    ("names", "has_branches"),
    [*CASES, ([*TREES, "a dialogue"] * 3, True), ([*BRANCHLESS] * 3, False)],
)
def test_the_kernels_compute_what_float64_does(names, width, kind, has_branches):
    device = torch.device("cuda")
    assert has_kernels(device)
    tiles, ends = (x.to(device) for x in laid_out([TREES[name] for name in names]))
    torch.manual_seed(0)
    qkv = torch.randn(len(ends), 3, 3, width, device=device, dtype=kind, requires_grad=True)
    weights = torch.randn(len(ends), 3, width, device=device, dtype=kind)
    found = tree_attention(qkv, Trees(tiles, ends, has_branches))
    (gradient,) = torch.autograd.grad((found * weights).sum(), qkv)
    exact = qkv.detach().double().requires_grad_()
    expected = by_one_large_mask(exact, tiles, ends)
    (expected_gradient,) = torch.autograd.grad((expected * weights.double()).sum(), exact)
    for value, right in ((found, expected), (gradient, expected_gradient)):
        error = (value.double() - right).norm() / right.norm()
        assert error < 1e-2, error


@pytest.mark.gpu
@needs_gpu
def test_kernels_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("DIALOGPT_NO_KERNELS", "1")
    assert not has_kernels(torch.device("cuda"))
