"""Recorded passes, without a GPU: the same losses and gradients as plain ones, whatever comes."""

import pytest
import torch
from accelerate import Accelerator
from support_recorded import Recorders
from support_train import encoded, made_up_dialogues
from support_trees import path, random_threads

from dialogpt.command_line import UserError
from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.step import TrainingDivergedError, Updater

EOS = 256
TOKENS = 256


class Setup:
    def __init__(self, folder, *, records):
        torch.manual_seed(0)
        sizes = ModelConfig(
            num_layers=2, hidden_size=16, num_heads=2, max_positions=96, dropout=0.0
        )
        self.model = build_gpt2(sizes, vocab_size=257, eos_id=EOS)
        self.recorders = Recorders(self.model.parameters()) if records else None
        self.updater = Updater(
            self.model,
            build_optimizer(self.model, OptimizerConfig(), learning_rate=1.0),
            accelerator=Accelerator(cpu=True),
            max_grad_norm=0.0,
            failures=folder,
            record=self.recorders,
        )

    def step(self, batches, number=1):
        result = self.updater.step(batches, number, learning_rate=1e-3)
        return result, {name: p.grad.clone() for name, p in self.model.named_parameters()}


def assert_the_same(steps, folder):
    """Make the steps both ways; the recorders of the second one."""
    plain, recorded = Setup(folder, records=False), Setup(folder, records=True)
    for number, batches in enumerate(steps):
        one, gradients = plain.step(batches, number)
        other, others = recorded.step(batches, number)
        assert other.loss_sums == pytest.approx(one.loss_sums, rel=1e-5)
        assert other.loss_counts == one.loss_counts
        for name, gradient in gradients.items():
            torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-6, msg=name)
    return recorded.recorders


def batches_of(dialogues, cuts, **options):
    collate = Collator(
        **{"direction": "forward", "max_seq_len": 96, "eos_id": EOS, "packed_tokens": TOKENS}
        | options
    )
    starts = [0, *cuts[:-1]]
    numbered = list(enumerate(dialogues))
    return [collate(numbered[a:b]) for a, b in zip(starts, cuts, strict=True)]


def some_batches(count, **options):
    dialogues = made_up_dialogues(6 * count, seed=1)
    return batches_of(dialogues, [6 * (i + 1) for i in range(count)], **options)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_steps_of_one_micro_batch(direction, tmp_path):
    recorders = assert_the_same([[b] for b in some_batches(7, direction=direction)], tmp_path)
    assert recorders.num_replays >= 3


@pytest.mark.parametrize("accumulation", [2, 3])
def test_further_micro_batches_add_to_the_first_one_s_gradients(accumulation, tmp_path):
    # The same batches again and again: so all fit, and only two passes are to be recorded.
    batches = some_batches(1) * accumulation
    assert assert_the_same([batches] * 4, tmp_path).num_recordings == 2


def test_different_micro_batches_in_one_step(tmp_path):
    batches = some_batches(12)
    assert_the_same([batches[i : i + 3] for i in range(0, 12, 3)], tmp_path)


def test_trees(tmp_path):
    threads = random_threads(6, seed=3)
    cuts = [len(threads) * i // 6 for i in range(1, 7)]
    batches = batches_of(threads, cuts, shares_turns=True, packed_tokens=512)
    assert any(batch.num_used_tokens < batch.num_tokens for batch in batches)
    assert assert_the_same([[batch] for batch in batches * 2], tmp_path).num_replays >= 6


def test_trees_with_more_targets_than_places(tmp_path):
    root = [1, 2, 3]
    threads = [path([root, [4 + i % 50, 60]], [1, 2 + i]) for i in range(40)]
    (batch,) = batches_of(threads, [40], shares_turns=True, packed_tokens=96)
    assert len(batch.targets) > len(batch.input_ids)
    assert assert_the_same([[batch]] * 5, tmp_path).num_replays == 3


def test_what_could_not_be_recorded_says_what_to_do(tmp_path):
    def record(function, beside):
        raise torch.OutOfMemoryError("CUDA out of memory")

    setup = Setup(tmp_path, records=True)
    (batch,) = some_batches(1)
    for number in range(2):
        setup.step([batch], number)
    setup.recorders.fail = record
    with pytest.raises(UserError, match=r"CUDA out of memory\); give `--compile false`"):
        setup.step([batch], 2)


def test_what_a_larger_batch_left_behind_is_not_computed(tmp_path):
    large, small, empty = batches_of(made_up_dialogues(8, seed=2), [7, 8, 8])
    assert len(large.targets) > 2 * len(small.targets)
    assert len(empty.targets) == 0
    order = [large, large, large, small, empty, small, large]
    recorders = assert_the_same([[batch] for batch in order], tmp_path)
    assert (recorders.num_recordings, recorders.num_replays) == (1, 5)


@pytest.mark.parametrize("first", [0, 1])
def test_the_room_only_grows(first):
    """Many tiles with few targets, and few tiles with many targets, in turn."""
    many_tiles = encoded([[1], [2]])
    many_targets = encoded([[1] * 40, [2] * 40])
    batches = batches_of([many_tiles] * 30 + [many_targets] * 3, [30, 33])
    assert len(batches[0].tiles) > 2 * len(batches[1].tiles)
    assert len(batches[1].targets) > 2 * len(batches[0].targets)
    setup = Setup(None, records=True)
    for number in range(12):
        setup.step([batches[(first + number) % 2]], number)
    # The first batch finds no room, the second not enough; then come two plain passes.
    assert (setup.recorders.num_recordings, setup.recorders.num_replays) == (1, 9)


def test_a_batch_that_does_not_fit_in_the_middle_of_a_step(tmp_path):
    small, large = batches_of(made_up_dialogues(8, seed=2), [1, 8])
    steps = [[small] * 3] * 3 + [[small, large, small]] + [[large, small]] * 4
    recorders = assert_the_same(steps, tmp_path)
    assert recorders.num_recordings == 4
    # Two are plain at first, and the one behind them, as the step's first is; then the large one
    # and the one behind it.
    assert recorders.num_replays == 3 * 3 - 3 + 1 + 4 * 2


def test_gradients_of_a_step_are_not_those_of_the_step_before(tmp_path):
    setup = Setup(tmp_path, records=True)
    (batch,) = some_batches(1)
    norms = [setup.step([batch], number)[0].grad_norm for number in range(6)]
    assert max(norms) < 1.5 * min(norms)  # added up, the last would be four times the first


def test_a_recorded_step_that_diverges_is_found(tmp_path):
    setup = Setup(tmp_path, records=True)
    (batch,) = some_batches(1)
    for number in range(4):
        setup.step([batch], number)
    with torch.no_grad():
        setup.model.language_model.transformer.ln_f.weight.fill_(float("inf"))
    with pytest.raises(TrainingDivergedError, match="step 4, rank 0"):
        setup.step([batch], 4)
