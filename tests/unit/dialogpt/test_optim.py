import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer, load_optimizer_tensors, optimizer_tensors


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def step(model, optimizer, seed):
    optimizer.zero_grad()
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
    model(inputs).square().sum().backward()
    optimizer.step()


def test_only_matrices_decay():
    model = build_gpt2(
        ModelConfig(num_layers=1, hidden_size=8, num_heads=2, max_positions=8),
        vocab_size=16,
        eos_id=0,
    )
    optimizer = build_optimizer(model, OptimizerConfig(weight_decay=0.1), learning_rate=1.0)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        expected = 0.0 if name.endswith("bias") or ".ln_" in name else 0.1
        assert decay[id(parameter)] == expected, name
    assert len(decay) == len(list(model.parameters()))


def test_state_goes_on_bit_for_bit_after_a_way_through_a_file():
    straight, config = small_model(), OptimizerConfig()
    optimizer = build_optimizer(straight, config, learning_rate=0.1)
    step(straight, optimizer, 1)
    content = save(optimizer_tensors(optimizer, straight))
    resumed = small_model()
    resumed.load_state_dict(straight.state_dict())
    other = build_optimizer(resumed, config, learning_rate=0.1)
    load_optimizer_tensors(other, resumed, load(content))
    for seed in (2, 3):
        step(straight, optimizer, seed)
        step(resumed, other, seed)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_tensors_are_named_by_parameter():
    model = small_model()
    optimizer = build_optimizer(model, OptimizerConfig(), learning_rate=0.1)
    step(model, optimizer, 1)
    tensors = optimizer_tensors(optimizer, model)
    assert tensors["0.weight.exp_avg"].shape == (4, 3)
    assert tensors["1.bias.step"].item() == 1.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("9.weight.exp_avg", torch.zeros(1), "unknown parameters: 9.weight"),
        ("0.weight.exp_avg", torch.zeros(7), r"0.weight: expected state of shape \(4, 3\)"),
    ],
)
def test_state_of_another_model_is_an_error(key, value, message):
    model = small_model()
    optimizer = build_optimizer(model, OptimizerConfig(), learning_rate=0.1)
    step(model, optimizer, 1)
    tensors = {**optimizer_tensors(optimizer, model), key: value}
    with pytest.raises(ValueError, match=message):
        load_optimizer_tensors(optimizer, model, tensors)
