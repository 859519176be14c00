"""Every random generator's state as tensors: seeded, taken, and put back."""

import math
import random

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int, *, rank: int = 0) -> None:
    """Seed Python, numpy and torch on all devices.

    Args:
        seed: the run's seed.
        rank: processes of one run draw different dropout masks.
    """
    mixed = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)
    torch.manual_seed(mixed)


def random_state() -> dict[str, Tensor]:
    """The state of all generators of this process, for safetensors.

    Returns:
        Name -> tensor: `python` (626,) int64 and `python_gauss` () float64, `numpy_keys` (624,)
        int64, `numpy_position` (2,) int64 and `numpy_gauss` () float64, `torch_cpu` uint8, and
        `torch_cuda` uint8 of the current device where there is one.
    """
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    states = {
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_gauss": torch.tensor(math.nan if gauss is None else gauss, dtype=torch.float64),
        "numpy_keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy_position": torch.tensor([position, has_gauss], dtype=torch.int64),
        "numpy_gauss": torch.tensor(cached, dtype=torch.float64),
        "torch_cpu": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["torch_cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_state(states: dict[str, Tensor]) -> None:
    """Put back what `random_state` took.

    A state of a CUDA generator is left aside on a machine without one, and the other way round: the
    run then goes on with other, equally good draws.
    """
    version, *words = states["python"].tolist()
    gauss = states["python_gauss"].item()
    random.setstate((version, tuple(words), None if math.isnan(gauss) else gauss))
    position, has_gauss = states["numpy_position"].tolist()
    keys = states["numpy_keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, position, has_gauss, states["numpy_gauss"].item()))
    torch.set_rng_state(states["torch_cpu"])
    if torch.cuda.is_available() and "torch_cuda" in states:
        torch.cuda.set_rng_state(states["torch_cuda"])
