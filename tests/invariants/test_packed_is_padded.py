"""Packed batches and padded ones of the same dialogues: the same loss and the same gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_train import encoded, made_up_dialogues, randomised

from dialogpt.config.training import ModelConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2

SIZES = ModelConfig(num_layers=3, hidden_size=16, num_heads=2, max_positions=96, dropout=0.0)
EOS = 256


def new_model(**values):
    torch.manual_seed(0)
    return randomised(build_gpt2(SIZES, vocab_size=257, eos_id=EOS, **values).double())


def loss_and_gradients(model, dialogues, *, direction="forward", packed_tokens=0, max_seq_len=96):
    collate = Collator(
        direction=direction, max_seq_len=max_seq_len, eos_id=EOS, packed_tokens=packed_tokens
    )
    batch = collate(dialogues)
    model.zero_grad(set_to_none=True)
    loss = model(batch)["nll"]
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return batch, loss.detach(), gradients


def assert_same(model, dialogues, **options):
    packed_tokens = options.pop("packed_tokens")
    padded, loss, gradients = loss_and_gradients(model, dialogues, **options)
    packed, packed_loss, packed_gradients = loss_and_gradients(
        model, dialogues, packed_tokens=packed_tokens, **options
    )
    for name in ("num_tokens", "num_target_tokens", "num_target_words", "num_target_chars"):
        assert getattr(packed, name) == getattr(padded, name), name
    assert packed.num_skipped == padded.num_skipped
    assert packed.dialogue_indices == padded.dialogue_indices
    torch.testing.assert_close(packed_loss, loss)
    for name, gradient in gradients.items():
        other = packed_gradients[name]
        other = torch.zeros_like(gradient) if other is None else other
        torch.testing.assert_close(other, gradient, rtol=1e-9, atol=1e-12, msg=name)
    return packed_gradients


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("max_seq_len", [96, 20])
def test_loss_and_gradients_are_the_same(direction, max_seq_len):
    dialogues = list(enumerate(made_up_dialogues(12, seed=3)))
    gradients = assert_same(
        new_model(),
        dialogues,
        direction=direction,
        max_seq_len=max_seq_len,
        packed_tokens=2048,
    )
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


TURNS = st.lists(st.lists(st.integers(0, EOS), max_size=30), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(TURNS, max_size=6))
def test_any_dialogues_are_the_same_packed(dialogues):
    """Long and short ones, single turns, empty turns, end-of-turn ids that users typed."""
    indexed = [(i, encoded([np.array(t, int) for t in turns])) for i, turns in enumerate(dialogues)]
    assert_same(new_model(), indexed, packed_tokens=6 * 96)


def test_one_more_dialogue_in_the_row_changes_nothing_for_the_others():
    model = new_model()
    dialogues = list(enumerate(made_up_dialogues(6, seed=5)))
    _, together, _ = loss_and_gradients(model, dialogues, packed_tokens=1024)
    alone = [loss_and_gradients(model, [d], packed_tokens=1024)[1] for d in dialogues]
    torch.testing.assert_close(together, torch.stack(alone).sum())


def test_what_fills_the_row_up_changes_nothing():
    model = new_model()
    dialogues = list(enumerate(made_up_dialogues(6, seed=5)))
    batch, tight, _ = loss_and_gradients(model, dialogues, packed_tokens=1024)
    for more in (batch.num_tokens, batch.num_tokens + 1, 4096):
        _, loss, _ = loss_and_gradients(model, dialogues, packed_tokens=more)
        torch.testing.assert_close(loss, tight)


def test_dropout_is_on_in_training_and_off_otherwise():
    torch.manual_seed(0)
    sizes = ModelConfig(num_layers=2, hidden_size=16, num_heads=2, max_positions=96, dropout=0.5)
    model = build_gpt2(sizes, vocab_size=257, eos_id=EOS)
    dialogues = list(enumerate(made_up_dialogues(6, seed=5)))
    batch = Collator(direction="forward", max_seq_len=96, eos_id=EOS, packed_tokens=1024)(dialogues)
    padded = Collator(direction="forward", max_seq_len=96, eos_id=EOS)(dialogues)
    model.train()
    assert model(batch)["nll"] != model(batch)["nll"]
    model.eval()
    torch.testing.assert_close(model(batch), model(padded))


def test_compiled_blocks_compute_the_same(monkeypatch):
    """torch's compiler may not be able to build code here; then its front half is tested alone."""
    monkeypatch.setattr("dialogpt.models.packed_gpt2._compile", _traced)
    dialogues = list(enumerate(made_up_dialogues(8, seed=7)))
    _, loss, gradients = loss_and_gradients(new_model(), dialogues, packed_tokens=1024)
    _, other, others = loss_and_gradients(new_model(compiled=True), dialogues, packed_tokens=1024)
    torch.testing.assert_close(other, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-9, atol=1e-12)


def _traced(function):
    return torch.compile(function, dynamic=False, backend="aot_eager")
