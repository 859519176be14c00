"""Recorded passes on a GPU: CUDA graphs of compiled blocks against plain passes."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from support_train import made_up_dialogues
from support_trees import paths_of, random_threads

from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.distributed import start_accelerator
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.recorded import record_graph
from dialogpt.train.sharding import place_model
from dialogpt.train.step import TrainingDivergedError, Updater
from dialogpt.train.validate import validate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
EOS = 256


class Setup:
    def __init__(self, *, records, dropout=0.0, learning_rate=0.0, precision="bf16", failures=None):
        torch.manual_seed(0)
        config = ModelConfig(
            num_layers=3, hidden_size=128, num_heads=2, max_positions=96, dropout=dropout
        )
        compiled = precision == "bf16"
        self.model = build_gpt2(config, vocab_size=257, eos_id=EOS, compiled=compiled)
        self.accelerator, _ = start_accelerator("bf16")
        place_model(self.model, self.accelerator)
        self.learning_rate = learning_rate
        self.updater = Updater(
            self.model,
            build_optimizer(self.model, OptimizerConfig(), learning_rate=1.0),
            accelerator=self.accelerator,
            max_grad_norm=0.0,
            failures=failures or Path(),
            record=record_graph if records else None,
        )

    def step(self, batches, number=1):
        return self.updater.step(batches, number, learning_rate=self.learning_rate)

    def gradients(self):
        return {name: p.grad.clone() for name, p in self.model.named_parameters()}


def batches_of(dialogues, count, **options):
    values = {"direction": "forward", "max_seq_len": 96, "eos_id": EOS, "packed_tokens": 4096}
    collate = Collator(**values | options)
    numbered = list(enumerate(dialogues))
    cuts = [len(numbered) * i // count for i in range(count + 1)]
    return [collate(numbered[a:b]).pin_memory() for a, b in pairwise(cuts)]


def exact_gradients(batches):
    """In float32, without kernels."""
    model = Setup(records=False, precision="fp32").model
    num_targets = sum(batch.num_target_tokens for batch in batches)
    for batch in batches:
        (model(batch.to(torch.device("cuda")))["nll"] / num_targets).backward()
    return {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("layout", ["packed", "backward", "tree"])
def test_gradients_are_as_near_to_fp32_as_plain_ones(accumulation, layout):
    dialogues = (random_threads if layout == "tree" else made_up_dialogues)(120, seed=3)
    options = {
        "packed": {},
        "backward": {"direction": "backward"},
        "tree": {"shares_turns": True},
    }[layout]
    batches = batches_of(dialogues, 6, **options)
    plain, recorded = Setup(records=False), Setup(records=True)
    for number in range(8):
        start = number * accumulation % 6
        some = (batches * 2)[start : start + accumulation]
        one, other = plain.step(some, number), recorded.step(some, number)
        assert other.loss_sums["nll"] == pytest.approx(one.loss_sums["nll"], rel=1e-3)
    for name, gradient in exact_gradients(some).items():
        error, expected = (
            (found[name] - gradient).norm() / gradient.norm()
            for found in (recorded.gradients(), plain.gradients())
        )
        assert error < max(2 * expected, 0.02), (name, error, expected)


def test_dropout_is_drawn_anew_and_as_the_generator_stands():
    setup = Setup(records=True, dropout=0.5)
    (batch,) = batches_of(made_up_dialogues(40, seed=3), 1)
    losses = [setup.step([batch], number).loss_sums["nll"] for number in range(6)]
    assert len(set(losses)) == 6
    state = torch.cuda.get_rng_state()
    before = [setup.step([batch], number).loss_sums["nll"] for number in range(3)]
    torch.cuda.set_rng_state(state)
    assert [setup.step([batch], number).loss_sums["nll"] for number in range(3)] == before


def test_replayed_passes_drop_what_plain_ones_would():
    (batch,) = batches_of(made_up_dialogues(40, seed=3), 1)
    losses = []
    for records in (False, True):
        setup = Setup(records=records, dropout=0.5)
        for number in range(3):
            setup.step([batch], number)
        torch.cuda.manual_seed(7)
        losses.append([setup.step([batch], number).loss_sums["nll"] for number in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[0][1] != pytest.approx(losses[0][0], rel=1e-4)


def test_trees_with_more_targets_than_places():
    """Each answer of one token has two targets, itself and its end, and one place."""
    threads = [paths_of([-1, *[0] * 60], [[thread]] * 61, thread=thread) for thread in range(130)]
    batches = batches_of([path for thread in threads for path in thread], 2, shares_turns=True)
    assert all(len(batch.targets) > len(batch.input_ids) for batch in batches)
    plain, recorded = (Setup(records=records, learning_rate=1e-3) for records in (False, True))
    for number in range(6):
        one, other = (setup.step([batches[number % 2]], number) for setup in (plain, recorded))
        assert other.loss_sums["nll"] == pytest.approx(one.loss_sums["nll"], rel=2e-3)


def test_a_step_that_diverges_changes_nothing_though_the_next_has_begun(tmp_path):
    setup = Setup(records=True, learning_rate=1e-3, failures=tmp_path)
    batches = batches_of(made_up_dialogues(80, seed=3), 2)
    for number in range(4):
        setup.step([batches[number % 2]], number)
    with torch.no_grad():
        setup.model.language_model.transformer.wte.weight[0, 0] = float("inf")
    before = {name: value.clone() for name, value in setup.model.state_dict().items()}
    begun = [
        setup.updater.begin([batch], number, learning_rate=1e-3)
        for number, batch in enumerate(batches, start=5)
    ]
    with pytest.raises(TrainingDivergedError, match="step 5"):
        begun[0].result()
    for name, value in setup.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_larger_recordings_take_the_place_of_smaller_ones():
    setup = Setup(records=True)
    taken = []
    for count in (5, 10, 20, 40, 60):
        (batch,) = batches_of(made_up_dialogues(count, seed=count), 1)
        for number in range(4):
            setup.step([batch], number)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        taken.append(torch.cuda.memory_reserved())
    assert taken[-1] <= 1.25 * taken[0], taken


def test_training_and_validation_take_turns():
    plain, recorded = (Setup(records=records, learning_rate=1e-3) for records in (False, True))
    batches = batches_of(made_up_dialogues(120, seed=3), 4)
    valid = batches_of(made_up_dialogues(30, seed=4), 2)
    for number in range(8):
        losses = []
        for setup in (plain, recorded):
            setup.step([batches[number % 4]], number)
            result = validate(setup.model, [valid], accelerator=setup.accelerator)
            losses.append(result.loss)
        assert losses[1] == pytest.approx(losses[0], rel=2e-3)


def test_weights_that_were_loaded_are_those_that_are_used():
    """As a resumed run loads them: into the same tensors."""
    setup = Setup(records=True)
    (batch,) = batches_of(made_up_dialogues(40, seed=3), 1)
    before = [setup.step([batch], number).loss_sums["nll"] for number in range(4)]
    weights = {name: value.clone() for name, value in setup.model.state_dict().items()}
    setup.model.load_state_dict({name: 2 * value for name, value in weights.items()})
    assert setup.step([batch], 5).loss_sums["nll"] != before[-1]
    setup.model.load_state_dict(weights)
    assert setup.step([batch], 6).loss_sums["nll"] == before[-1]
