"""Threads with each turn once, and all their paths: the same loss and the same gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_train import (
    byte_tokenizer,
    merged,
    randomised,
    tiny_settings,
    train_here,
    write_split,
)
from support_trees import random_threads, threads

from dialogpt.config.training import ModelConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.run_log import read_metrics

SIZES = ModelConfig(num_layers=3, hidden_size=16, num_heads=2, max_positions=160, dropout=0.0)
EOS = 256
COUNTS = ("num_tokens", "num_target_tokens", "num_target_words", "num_target_chars", "num_skipped")


def new_model(**values):
    torch.manual_seed(0)
    return randomised(build_gpt2(SIZES, vocab_size=257, eos_id=EOS, **values).double())


def loss_and_gradients(model, dialogues, **options):
    batch = Collator(direction="forward", eos_id=EOS, **options)(list(enumerate(dialogues)))
    model.zero_grad(set_to_none=True)
    loss = model(batch)["nll"]
    loss.backward()
    return batch, loss.detach(), {name: p.grad for name, p in model.named_parameters()}


def assert_same(dialogues, *, max_seq_len, num_tokens):
    model = new_model()
    padded, loss, gradients = loss_and_gradients(model, dialogues, max_seq_len=max_seq_len)
    trees, tree_loss, tree_gradients = loss_and_gradients(
        model, dialogues, max_seq_len=max_seq_len, packed_tokens=num_tokens, shares_turns=True
    )
    assert trees.dialogue_indices == padded.dialogue_indices
    for name in COUNTS:
        assert getattr(trees, name) == pytest.approx(getattr(padded, name)), name
    torch.testing.assert_close(tree_loss, loss)
    for name, gradient in gradients.items():
        other = tree_gradients[name]
        other = torch.zeros_like(gradient) if other is None else other
        torch.testing.assert_close(other, gradient, rtol=1e-9, atol=1e-12, msg=name)
    return trees, tree_gradients


@pytest.mark.parametrize("max_seq_len", [160, 24])
def test_loss_and_gradients_are_those_of_all_paths(max_seq_len):
    dialogues = random_threads(12, seed=3)
    trees, gradients = assert_same(dialogues, max_seq_len=max_seq_len, num_tokens=1024)
    assert trees.num_used_tokens < 0.95 * trees.num_tokens
    assert trees.weights.max() > 1
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


@settings(max_examples=25, deadline=None)
@given(threads(max_threads=3, max_turns=8), st.sampled_from([160, 16]))
def test_any_threads_are_the_same(dialogues, max_seq_len):
    """Any order, paths twice, single turns, empty turns, rows that are cut."""
    assert_same(dialogues, max_seq_len=max_seq_len, num_tokens=2048)


def test_runs_on_trees_rows_and_packed_rows_learn_the_same(tmp_path):
    """With all dialogues in every step, the order of the data is no difference."""
    shards = tmp_path / "shards"
    tokenizer = byte_tokenizer()
    write_split(shards / "train", random_threads(12, seed=5), tokenizer=tokenizer)
    write_split(shards / "valid", random_threads(5, seed=6), tokenizer=tokenizer)
    tokenizer.save(shards / "tokenizer")
    runs = {}
    for layout in ("padded", "packed", "tree"):
        changes = {
            "data": {"max_seq_len": 96, "window_chunks": 64},
            "model": {"dropout": 0.0, "max_positions": 96},
            "batch": {"micro_batch_tokens": 8192, "accumulation_steps": 1, "layout": layout},
            "validation": {"every_steps": 2},
            "log_every_steps": 1,
            "max_epochs": 4,
        }
        assert train_here(merged(tiny_settings(shards, tmp_path / layout), changes), tmp_path) == 0
        runs[layout] = read_metrics(tmp_path / layout)
    names = {"step", "loss", "nll_per_word", "nll_per_char", "tokens", "target_tokens"}
    losses = [record["loss"] for record in runs["padded"] if record["kind"] == "train"]
    assert losses[-1] < losses[0]
    for records in (runs["packed"], runs["tree"]):
        assert len(records) == len(runs["padded"])
        for found, expected in zip(records, runs["padded"], strict=True):
            assert found["kind"] == expected["kind"]
            for name in names & set(expected):
                assert found[name] == pytest.approx(expected[name], rel=1e-5), name
