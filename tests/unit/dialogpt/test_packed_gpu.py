"""Packed batches on a GPU: kernels and compiled blocks against padded batches."""

import pytest
import torch
from support_train import made_up_dialogues
from support_trees import random_threads
from torch._dynamo.utils import counters

from dialogpt.config.training import ModelConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
SIZES = ModelConfig(num_layers=3, hidden_size=128, num_heads=2, max_positions=96, dropout=0.0)
EOS = 256


def new_model(**values):
    torch.manual_seed(0)
    return build_gpt2(SIZES, vocab_size=257, eos_id=EOS, **values).cuda()


def batch_of(dialogues, packed_tokens=0, **options):
    collate = Collator(
        direction="forward", max_seq_len=96, eos_id=EOS, packed_tokens=packed_tokens, **options
    )
    return collate(dialogues).to(torch.device("cuda"))


def gradients_of(model, batch, *, autocast):
    model.zero_grad(set_to_none=True)
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        loss = model(batch)["nll"]
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("compiled", [False, True])
def test_packed_in_bf16_is_as_near_to_fp32_as_padded_in_bf16(compiled):
    dialogues = list(enumerate(made_up_dialogues(40, seed=3)))
    exact_loss, exact = gradients_of(new_model(), batch_of(dialogues), autocast=False)
    _, padded = gradients_of(new_model(), batch_of(dialogues), autocast=True)
    model = new_model(compiled=compiled)
    loss, packed = gradients_of(model, batch_of(dialogues, 4096), autocast=True)
    torch.testing.assert_close(loss, exact_loss, rtol=2e-3, atol=0)
    for name, gradient in exact.items():
        error, other = ((g[name] - gradient).norm() / gradient.norm() for g in (packed, padded))
        assert error < max(2 * other, 0.02), (name, error, other)


@pytest.mark.parametrize("compiled", [False, True])
def test_trees_in_bf16_are_as_near_to_all_paths_in_fp32_as_padded_in_bf16(compiled):
    dialogues = list(enumerate(random_threads(40, seed=3)))
    exact_loss, exact = gradients_of(new_model(), batch_of(dialogues), autocast=False)
    _, padded = gradients_of(new_model(), batch_of(dialogues), autocast=True)
    trees = batch_of(dialogues, 4096, shares_turns=True)
    assert trees.num_used_tokens < 0.9 * trees.num_tokens
    loss, shared = gradients_of(new_model(compiled=compiled), trees, autocast=True)
    torch.testing.assert_close(loss, exact_loss, rtol=2e-3, atol=0)
    for name, gradient in exact.items():
        error, other = ((g[name] - gradient).norm() / gradient.norm() for g in (shared, padded))
        assert error < max(2 * other, 0.02), (name, error, other)


def test_batches_of_other_sizes_are_not_compiled_anew():
    torch._dynamo.reset()
    counters.clear()
    model = new_model(compiled=True)
    for number in range(12):
        dialogues = list(enumerate(made_up_dialogues(10 + 5 * number, seed=number)))
        gradients_of(model, batch_of(dialogues, 8192), autocast=True)
        if number == 1:
            compiled = counters["stats"]["unique_graphs"]
    assert counters["stats"]["unique_graphs"] == compiled <= 6
