"""Processes and precision: what the hardware has, and sums over ranks; plain in a single process.

Started by `accelerate launch`, or plainly: the same code serves both.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, Literal

import torch
import torch.distributed
from accelerate import Accelerator, PartialState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    parse_flag_from_env,
)

from dialogpt.command_line import UserError

ResolvedPrecision = Literal["bf16", "fp16", "fp32"]

_BF16_CAPABILITY = (8, 0)
"""Ampere is the first generation of NVIDIA GPUs that computes in bfloat16."""

_BUCKET_MIB = 100
# Gradients that travel together. Each exchange takes processors from the matrix product beside it,
# which then needs another round; so few large ones cost less than torch's of 25 MiB, until too much
# is left for the end, when no computation hides it (docs/benchmarks.md, "What was tried").
_PATIENCE = timedelta(minutes=30)
"""For a rank that does not answer; the first one may be writing a large checkpoint."""


def choose_precision(
    wanted: str, device_type: str, *, capability: tuple[int, int] | None
) -> ResolvedPrecision:
    """The number format to compute in; weights and the optimizer stay float32.

    Args:
        wanted: "auto", "bf16", "fp16" or "fp32".
        device_type: "cuda", "cpu" or another of torch's.
        capability: compute capability of a CUDA device; None for other devices.

    Raises:
        UserError: the device cannot do what is asked for.
    """
    has_bf16 = device_type == "cpu" or (capability is not None and capability >= _BF16_CAPABILITY)
    if wanted == "auto":
        if device_type != "cuda":
            return "fp32"
        return "bf16" if has_bf16 else "fp16"
    if wanted == "bf16" and not has_bf16:
        raise UserError(
            f"precision bf16: expected a GPU of compute capability {_BF16_CAPABILITY[0]}.0 or "
            f"newer, found {device_type} {capability}; take auto, fp16 or fp32"
        )
    if wanted == "fp16" and device_type != "cuda":
        raise UserError(
            f"precision fp16: expected a CUDA GPU, found {device_type}; take auto, bf16 or fp32"
        )
    if wanted == "bf16":
        return "bf16"
    return "fp16" if wanted == "fp16" else "fp32"


def start_accelerator(wanted_precision: str) -> tuple[Accelerator, ResolvedPrecision]:
    """The accelerator of this process, joined with the other ranks, and the precision.

    Raises:
        UserError: the device cannot do the precision asked for.
    """
    # Said outright: left to itself, accelerate joins ranks on GPUs only, and two processes on a CPU
    # would each train alone and write over one another.
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    device_type = PartialState(cpu=on_cpu).device.type
    capability = torch.cuda.get_device_capability() if device_type == "cuda" else None
    precision = choose_precision(wanted_precision, device_type, capability=capability)
    # One step of accumulation, whatever the launcher's environment says: with more, accelerate
    # divides the loss by the number of micro-batches; train.step divides by the step's tokens.
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision="no" if precision == "fp32" else precision,
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        kwargs_handlers=[
            DistributedDataParallelKwargs(
                # What travels between ranks is what the optimizer reads, without a copy of it.
                gradient_as_bucket_view=True,
                bucket_cap_mb=_BUCKET_MIB,
            )
        ],
    )
    return accelerator, precision


def num_ranks() -> int:
    """Processes of this run."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def is_one_host() -> bool:
    """Whether all ranks are known to run on this host: their launcher has said so."""
    return num_ranks() == 1 or os.environ.get("LOCAL_WORLD_SIZE") == str(num_ranks())


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """Each value summed over all ranks, in double precision; the same numbers on every rank.

    They travel between the hosts' processors: nothing waits for what the devices compute.

    Raises:
        UserError: another rank has died, or does not answer.
    """
    if num_ranks() == 1:
        return list(values)
    summed = torch.tensor(values, dtype=torch.float64)
    with _other_ranks_named():
        torch.distributed.all_reduce(summed, group=_hosts())
    result: list[float] = summed.tolist()
    return result


def least_of_ranks(value: float) -> float:
    """The smallest of the ranks' values, in double precision; the same on every rank."""
    if num_ranks() == 1:
        return value
    least = torch.tensor([value], dtype=torch.float64)
    with _other_ranks_named():
        torch.distributed.all_reduce(least, torch.distributed.ReduceOp.MIN, group=_hosts())
    return float(least)


def wait_for_all_ranks() -> None:
    """Return when every rank has come here.

    Raises:
        UserError: another rank has died, or does not come.
    """
    if num_ranks() > 1:
        with _other_ranks_named():
            torch.distributed.barrier(group=_hosts())


@cache
def _hosts() -> Any:
    """All ranks, joined by gloo, whatever joins their devices; made by all of them together.

    accelerate joins GPUs by NCCL alone, and a number that comes from there is one to wait for.
    """
    return torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)


@contextmanager
def _other_ranks_named() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        rank = torch.distributed.get_rank()
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"rank {rank}: expected all {num_ranks()} processes to go on, but one has ended or has "
            f"not answered for {_PATIENCE}; its own message says why. The same command goes on "
            f"from the newest checkpoint ({said})"
        ) from error
