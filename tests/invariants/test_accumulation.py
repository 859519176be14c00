"""One optimizer step has one result, however its dialogues are dealt to micro-batches."""

import pytest
import torch
from accelerate import Accelerator
from support_train import made_up_dialogues

from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.step import Updater

DIALOGUES = list(enumerate(made_up_dialogues(12, seed=4)))
# Uneven on purpose: with equal numbers of targets a mean of means would pass.
CUTS = {"halves": [6, 12], "uneven": [1, 2, 9, 12], "singles": list(range(1, 13))}


def gradients_and_loss(cuts, direction, tmp_path):
    torch.manual_seed(0)
    sizes = ModelConfig(num_layers=2, hidden_size=16, num_heads=2, max_positions=32, dropout=0.0)
    model = build_gpt2(sizes, vocab_size=257, eos_id=256)
    updater = Updater(
        model,
        build_optimizer(model, OptimizerConfig(), learning_rate=1.0),
        accelerator=Accelerator(cpu=True),
        max_grad_norm=0.0,
        failures=tmp_path,
    )
    collate = Collator(direction=direction, max_seq_len=32, eos_id=256)
    starts = [0, *cuts[:-1]]
    batches = [collate(DIALOGUES[a:b]) for a, b in zip(starts, cuts, strict=True)]
    result = updater.step(batches, 1, learning_rate=1e-3)
    return {name: p.grad.clone() for name, p in model.named_parameters()}, result


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("name", CUTS)
def test_any_cut_into_micro_batches_gives_the_gradients_of_one_batch(name, direction, tmp_path):
    whole, one = gradients_and_loss([12], direction, tmp_path)
    split, many = gradients_and_loss(CUTS[name], direction, tmp_path)
    assert many.loss_counts == one.loss_counts
    assert many.loss_sums["nll"] == pytest.approx(one.loss_sums["nll"], rel=1e-5)
    assert many.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)
    for parameter, gradient in whole.items():
        torch.testing.assert_close(split[parameter], gradient, rtol=1e-4, atol=1e-6)


def test_an_empty_micro_batch_changes_nothing(tmp_path):
    plain, one = gradients_and_loss([12], "forward", tmp_path)
    filled, many = gradients_and_loss([12, 12], "forward", tmp_path)
    assert many.loss_counts == one.loss_counts
    for parameter, gradient in plain.items():
        torch.testing.assert_close(filled[parameter], gradient)
