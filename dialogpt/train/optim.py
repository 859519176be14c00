"""AdamW: its parameter groups, and its state as tensors by parameter name."""

from typing import Any

import torch
from torch import Tensor, nn

from dialogpt.config.training import OptimizerConfig
from dialogpt.train.sharding import gathered, let_go, share_like


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, *, learning_rate: float
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) with weight decay on matrices only.

    Biases and layer norms have one dimension and no decay: pulling them to 0 is no simplification
    of the model.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        # One kernel for all parameters instead of a few for each.
        fused=all(parameter.is_cuda for parameter in parameters),
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use a rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as `<parameter name>.<quantity>` -> tensor, for safetensors.

    By name and not by number, so that it can be read without this code and survives a change in the
    order of parameters. Whole tensors, on the first rank; none on the others. All take part.
    """
    let_go(model)  # or its parameters would not be those that the optimizer knows
    state = {
        f"{name}.{quantity}": value
        for name, parameter in model.named_parameters()
        for quantity, value in optimizer.state.get(parameter, {}).items()
    }
    return gathered(state)


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` took; every rank has read all of it.

    Raises:
        ValueError: a tensor belongs to no parameter, or a parameter has another shape.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, quantity = key.rpartition(".")
        by_name.setdefault(name, {})[quantity] = value
    state: dict[int, dict[str, Any]] = {}
    numbered = (p for group in optimizer.param_groups for p in group["params"])
    for number, parameter in enumerate(numbered):
        entry = by_name.pop(names[id(parameter)], None)
        if entry is None:
            continue
        if entry["exp_avg"].shape != parameter.shape:
            raise ValueError(
                f"{names[id(parameter)]}: expected state of shape {tuple(parameter.shape)}, found "
                f"{tuple(entry['exp_avg'].shape)}"
            )
        state[number] = {
            quantity: share_like(value, parameter) if value.ndim else value
            for quantity, value in entry.items()
        }
    if by_name:
        raise ValueError(f"optimizer state of unknown parameters: {', '.join(sorted(by_name))}")
    # Through torch's own loader, which puts each tensor on its parameter's device.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
