"""FSDP: ranks share weights, gradients and optimizer state, for models that one GPU cannot hold.

Asked for in accelerate's configuration (configs/accelerate/fsdp.yaml). Each block's weights are
gathered while it computes and let go behind it; what is not in a block (embeddings, the output
layer, which is the same table, and the last norm) stays gathered from the forward pass to the end
of the backward pass. All of it is gathered in float32: the numbers are those of training without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin, parse_flag_from_env
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from dialogpt.checkpoint import SavableModel
from dialogpt.command_line import UserError
from dialogpt.distributed import num_ranks


def place_model(model: nn.Module, accelerator: Accelerator) -> None:
    """Move a model to the device, or this rank's share of it where FSDP is asked for.

    To be called before the optimizer is made, which is to see the shares.

    Args:
        model: a module with `dialogpt.models.base.DialogueLoss`; the same on all ranks.
        accelerator: device, precision.

    Raises:
        UserError: accelerate's configuration asks for something that is not done here.
    """
    if not is_asked_for():
        model.to(accelerator.device)
        return
    options = _options(accelerator)
    # Said outright: left to itself, FSDP takes whatever accelerator the machine has.
    mesh = init_device_mesh(accelerator.device.type, (num_ranks(),))
    for block in model.blocks():  # type: ignore[operator]  # a module with blocks()
        fully_shard(block, mesh=mesh, reshard_after_forward=options.reshard_after_forward)
        register_fsdp_forward_method(block, "run")
    fully_shard(model, mesh=mesh)


def is_asked_for() -> bool:
    """Whether accelerate's launcher was told to."""
    is_launched = torch.distributed.is_initialized()
    return is_launched and bool(parse_flag_from_env("ACCELERATE_USE_FSDP"))


def _options(accelerator: Accelerator) -> Any:
    """What accelerate's launcher was told, which it hands on in the environment."""
    plugin = FullyShardedDataParallelPlugin()
    expected = {
        "fsdp_version": (plugin.fsdp_version, 2),
        "fsdp_offload_params": (isinstance(plugin.cpu_offload, CPUOffloadPolicy), False),
        "fsdp_activation_checkpointing": (plugin.activation_checkpointing, False),
        # With it, all ranks but the first would begin without weights.
        "fsdp_cpu_ram_efficient_loading": (plugin.cpu_ram_efficient_loading, False),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise UserError(
                f"accelerate's {name}: expected {str(wanted).lower()}, found "
                f"{str(found).lower()}; take configs/accelerate/fsdp.yaml"
            )
    if accelerator.scaler is not None:
        raise UserError(
            "FSDP: expected precision bf16 or fp32, found fp16; take configs/accelerate/"
            "many_gpus.yaml, or GPUs that have bf16"
        )
    return plugin


def is_shared(model: nn.Module) -> bool:
    """Whether ranks hold shares of the model."""
    return isinstance(model, FSDPModule)


def whole(tensor: Tensor) -> Tensor:
    """The tensor that ranks hold shares of, on each of them; any other one as it is.

    All ranks take part.
    """
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def share_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """This rank's share of a whole tensor, cut as a parameter is; whole where that is whole."""
    if not isinstance(parameter, DTensor):
        return tensor
    there = tensor.to(parameter.device)
    # Every rank has read the same, so nothing needs to travel.
    return distribute_tensor(there, parameter.device_mesh, parameter.placements, src_data_rank=None)


def gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors in the memory of the first rank's host; none on the others.

    All ranks take part, one tensor at a time: no device ever holds all of them.
    """
    is_first = num_ranks() == 1 or torch.distributed.get_rank() == 0
    found = {}
    for name, tensor in tensors.items():
        value = whole(tensor)
        if is_first:
            found[name] = value.detach().cpu()
    return found


def let_go(model: nn.Module) -> None:
    """Free what the last forward pass without a backward one has gathered."""
    if isinstance(model, FSDPModule):
        model.reshard()


def savable(model: nn.Module) -> SavableModel:
    """The model in a form that the first rank can save without the others. All ranks take part."""
    if not is_shared(model):
        return model  # type: ignore[return-value]  # a module with save()
    let_go(model)
    return _Gathered(model, gathered(dict(model.named_parameters())))


class _Gathered:
    def __init__(self, model: nn.Module, weights: dict[str, Tensor]) -> None:
        self._model = model
        self._weights = weights

    def save(self, folder: Path) -> None:
        self._model.save(folder, self._weights)  # type: ignore[operator]  # a module with save()
