"""FlashAttention over rows of unlike length gives what padded attention gives."""

import numpy as np
import pytest
import torch

from dialogpt.config.plato import PlatoConfig
from dialogpt.plato.attention import Attention
from dialogpt.plato.batch import make_batch
from dialogpt.plato.spans import make_spans
from tests.support_plato import example, model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

VARIANTS = {
    "generation": {},
    "recognition": {"recognition": True},
    "causal": {"causal": True},
    "blind": {"hides_latent": True},
}


def rows(rng, number):
    prefix = rng.integers(1, 300, number)
    lengths = prefix + rng.integers(1, 60, number)
    return np.concatenate([[0], np.cumsum(lengths)]), prefix


def needs_varlen():
    if torch.cuda.get_device_capability()[0] < 8:
        pytest.skip("FlashAttention needs Ampere or later")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", range(3))
def test_both_backends_read_the_same_and_have_the_same_gradients(variant, seed):
    needs_varlen()
    rng = np.random.default_rng(seed)
    starts, prefix = rows(rng, 9)
    spans = make_spans(starts, prefix, **VARIANTS[variant]).to(torch.device("cuda"))
    torch.manual_seed(seed)
    qkv = torch.randn(int(starts[-1]), 3, 4, 64, device="cuda", dtype=torch.bfloat16)
    grad = torch.randn(len(qkv), 4, 64, device="cuda", dtype=torch.bfloat16)
    found = []
    for backend, kind in (("varlen", torch.bfloat16), ("padded", torch.float32)):
        given = qkv.detach().to(kind).requires_grad_()
        read = Attention(spans, backend)(given)
        read.backward(grad.to(kind))
        found.append((read.float(), given.grad.float()))
    for ours, wanted in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("hides", [False, True])
def test_a_step_in_half_precision_is_that_in_full(compiled, hides):
    needs_varlen()
    config = PlatoConfig(num_latents=1, latent_visible_to_context=not hides)
    found = []
    for is_half in (False, True):
        plato = model(
            config, dtype=torch.float32, std=0.05, hidden_size=128, inner_size=256, num_layers=3
        )
        if compiled and is_half:
            plato.network.step = torch.compile(plato.network.step, dynamic=True)
        plato.cuda().eval()
        for seeds in ((1, 2, 3), (4, 5, 6, 7, 8)):
            plato.zero_grad()
            made = make_batch([example(seed) for seed in seeds], plato.layout())
            with torch.autocast("cuda", torch.bfloat16, enabled=is_half):
                losses = plato(made.to(torch.device("cuda")))
            sum(losses.values()).backward()
        gradients = [p.grad for p in plato.parameters() if p.grad is not None]
        norm = torch.stack([g.float().norm() for g in gradients]).norm()
        found.append([*(float(value) for value in losses.values()), float(norm)])
    assert found[1] == pytest.approx(found[0], rel=0.02)
