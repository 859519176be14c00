"""One step of training, on tiny models, with everything that can go wrong in it."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from support_train import made_up_dialogues
from torch.optim import AdamW

from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.step import TrainingDivergedError, Updater

COLLATE = Collator(direction="forward", max_seq_len=32, eos_id=256)
DIALOGUES = list(enumerate(made_up_dialogues(12, seed=0)))


class HalvingScaler:
    """Loss scaling as torch's GradScaler does it, without a GPU."""

    def __init__(self) -> None:
        self.scale_value = 65536.0
        self.overflow = False

    def unscale_(self, optimizer):
        gradients = [p.grad for g in optimizer.param_groups for p in g["params"]]
        self.overflow = not all(gradient.isfinite().all() for gradient in gradients)

    def step(self, optimizer):
        if not self.overflow:
            optimizer.step()

    def update(self):
        self.scale_value *= 0.5 if self.overflow else 1.0


class Setup:
    def __init__(self, tmp_path, *, max_grad_norm=1.0):
        torch.manual_seed(0)
        sizes = ModelConfig(
            num_layers=1, hidden_size=16, num_heads=2, max_positions=32, dropout=0.0
        )
        self.model = build_gpt2(sizes, vocab_size=257, eos_id=256)
        self.optimizer = build_optimizer(self.model, OptimizerConfig(), learning_rate=1.0)
        self.accelerator = Accelerator(cpu=True)
        self.updater = Updater(
            self.model,
            self.optimizer,
            accelerator=self.accelerator,
            max_grad_norm=max_grad_norm,
            failures=tmp_path,
        )

    def weights(self):
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def step(self, batches, number=1):
        return self.updater.step(batches, number, learning_rate=0.01)


@pytest.fixture
def setup(tmp_path):
    return Setup(tmp_path)


def poison(batch_position):
    """The second of two batches, or the first, meets an infinite weight."""

    def hook(module, inputs, output):
        hook.calls += 1
        return output * float("inf") if hook.calls - 1 == batch_position else output

    hook.calls = 0
    return hook


def test_a_step_changes_the_weights_and_says_what_it_did(setup):
    before = setup.weights()
    batches = [COLLATE(DIALOGUES[:3]), COLLATE(DIALOGUES[3:4])]
    result = setup.step(batches)
    assert any(not torch.equal(before[name], value) for name, value in setup.weights().items())
    assert result.loss_counts == {"nll": sum(batch.num_target_tokens for batch in batches)}
    assert result.loss_sums["nll"] / result.loss_counts["nll"] == pytest.approx(
        np.log(257), rel=0.05
    )
    assert result.num_tokens == sum(batch.num_tokens for batch in batches)
    assert not result.was_skipped


def test_the_norm_is_reported_before_clipping_and_clipping_holds(tmp_path):
    batches = [COLLATE(DIALOGUES)]
    free, clipped = Setup(tmp_path, max_grad_norm=0.0), Setup(tmp_path, max_grad_norm=0.01)
    norms = [setup.step(batches).grad_norm for setup in (free, clipped)]
    assert norms[0] == norms[1] > 0.01
    gradients = [
        torch.cat([p.grad.flatten() for p in setup.model.parameters()]).norm().item()
        for setup in (free, clipped)
    ]
    assert gradients == pytest.approx([norms[0], 0.01], rel=1e-3)


def test_clipping_within_the_kernel_of_the_optimizer_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("dialogpt.train.optim.torch.optim.AdamW", _fused_adamw)
    batches = [COLLATE(DIALOGUES)]
    for limit, share in ((0.0, 1.0), (1e9, 1.0), (0.01, None)):
        fused = Setup(tmp_path, max_grad_norm=limit)
        assert fused.optimizer.defaults["fused"]
        norm = fused.step(batches).grad_norm
        means = [fused.optimizer.state[p]["exp_avg"] for p in fused.model.parameters()]
        taken = torch.cat([mean.flatten() for mean in means]).norm().item() / (1 - 0.9)
        assert taken == pytest.approx(norm * share if share else limit, rel=1e-3)


def test_clipping_within_the_kernel_goes_with_loss_scaling(tmp_path, monkeypatch):
    monkeypatch.setattr("dialogpt.train.optim.torch.optim.AdamW", _fused_adamw)
    setup = Setup(tmp_path, max_grad_norm=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    monkeypatch.setattr(setup.accelerator, "scaler", scaler)
    monkeypatch.setattr(setup.accelerator, "backward", lambda loss: scaler.scale(loss).backward())
    assert setup.step([COLLATE(DIALOGUES)]).grad_norm > 0.01
    gradients = torch.cat([p.grad.flatten() for p in setup.model.parameters()])
    assert gradients.norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("limit", [0.0, 0.01])
def test_a_non_finite_gradient_changes_nothing_by_the_kernel_either(tmp_path, monkeypatch, limit):
    monkeypatch.setattr("dialogpt.train.optim.torch.optim.AdamW", _fused_adamw)
    setup = Setup(tmp_path, max_grad_norm=limit)
    setup.step([COLLATE(DIALOGUES)])
    before, state = setup.weights(), [dict(s) for s in setup.optimizer.state.values()]
    state = [{name: value.clone() for name, value in entry.items()} for entry in state]
    next(setup.model.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingDivergedError):
        setup.step([COLLATE(DIALOGUES)], 2)
    assert all(torch.equal(before[name], value) for name, value in setup.weights().items())
    for entry, found in zip(state, setup.optimizer.state.values(), strict=True):
        assert all(torch.equal(value, found[name]) for name, value in entry.items())


def _fused_adamw(groups, **options):
    return AdamW(groups, **options | {"fused": True})


def test_a_non_finite_loss_stops_the_run_names_the_dialogues_and_saves_them(setup, tmp_path):
    before = setup.weights()
    batches = [COLLATE(DIALOGUES[:3]), COLLATE(DIALOGUES[3:5])]
    handle = setup.model.language_model.transformer.ln_f.register_forward_hook(poison(1))
    with pytest.raises(TrainingDivergedError, match=r"step 17, rank 0: .* dialogues 3, 4;"):
        setup.step(batches, number=17)
    handle.remove()
    assert all(torch.equal(before[name], value) for name, value in setup.weights().items())
    (saved,) = (tmp_path / "failed-step-00000017").iterdir()
    tensors = load_file(saved)
    assert torch.equal(tensors["input_ids"], batches[1].input_ids)
    assert tensors["dialogue_indices"].tolist() == [3, 4]


def test_a_non_finite_gradient_stops_the_run_too(setup, tmp_path):
    parameter = next(setup.model.parameters())
    parameter.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingDivergedError, match=r"non-finite gradient .* dialogues 0, 1, 2;"):
        setup.step([COLLATE(DIALOGUES[:3])])


def test_with_loss_scaling_an_overflow_skips_the_step_and_is_counted(setup, monkeypatch):
    scaler = HalvingScaler()
    monkeypatch.setattr(setup.accelerator, "scaler", scaler)
    monkeypatch.setattr(setup.accelerator, "backward", lambda loss: loss.backward())
    before = setup.weights()
    handle = setup.model.language_model.transformer.ln_f.register_forward_hook(poison(0))
    assert setup.step([COLLATE(DIALOGUES)]).was_skipped
    handle.remove()
    assert all(torch.equal(before[name], value) for name, value in setup.weights().items())
    assert scaler.scale_value == 32768.0
    assert not setup.step([COLLATE(DIALOGUES)]).was_skipped
    assert any(not torch.equal(before[name], value) for name, value in setup.weights().items())


def test_a_step_without_any_target_is_harmless(setup):
    result = setup.step([COLLATE([]), COLLATE([])])
    assert result.loss_counts == {"nll": 0}
    assert result.loss_sums == {"nll": 0.0}
    assert all(value.isfinite().all() for value in setup.weights().values())
