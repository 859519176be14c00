"""Activations computed again in the backward pass: the same gradients, and less kept for it."""

import pytest
import torch
from support_train import made_up_dialogues

from dialogpt.config.training import ModelConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2

SIZES = ModelConfig(num_layers=4, hidden_size=16, num_heads=2, max_positions=96, dropout=0.2)
EOS = 256
DIALOGUES = list(enumerate(made_up_dialogues(12, seed=3)))


def gradients(batch, **options):
    torch.manual_seed(0)
    model = build_gpt2(SIZES, vocab_size=257, eos_id=EOS, **options).double().train()
    kept = 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.numel()
        return tensor

    torch.manual_seed(1)  # of dropout
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(batch)["nll"]
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}, kept


@pytest.mark.parametrize("packed_tokens", [0, 512])
def test_gradients_are_the_same_with_dropout(packed_tokens):
    collate = Collator(direction="forward", max_seq_len=96, eos_id=EOS, packed_tokens=packed_tokens)
    batch = collate(DIALOGUES)
    loss, expected, kept = gradients(batch)
    found_loss, found, kept_less = gradients(batch, recomputes=True)
    assert found_loss == loss
    assert kept_less < 0.5 * kept
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-15)


def test_nothing_is_recomputed_in_evaluation():
    batch = Collator(direction="forward", max_seq_len=96, eos_id=EOS, packed_tokens=512)(DIALOGUES)
    torch.manual_seed(0)
    model = build_gpt2(SIZES, vocab_size=257, eos_id=EOS, recomputes=True).eval()
    torch.manual_seed(0)
    plain = build_gpt2(SIZES, vocab_size=257, eos_id=EOS).eval()
    with torch.no_grad():
        assert model(batch)["nll"] == plain(batch)["nll"]
