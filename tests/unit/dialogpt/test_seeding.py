import random

import numpy as np
import torch
from safetensors.torch import load, save

from dialogpt.seeding import random_state, restore_random_state, seed_everything


def draws():
    return random.random(), random.gauss(0, 1), np.random.normal(), torch.rand(3).tolist()


def test_a_seed_gives_the_same_draws_and_ranks_give_others():
    seed_everything(3)
    first = draws()
    seed_everything(3)
    assert draws() == first
    seed_everything(3, rank=1)
    assert draws() != first


def test_generators_go_on_where_they_were_after_a_way_through_a_file():
    seed_everything(0)
    draws()  # leaves a second Gaussian cached in Python's and numpy's generators
    content = save(random_state())
    expected = [draws(), draws()]
    seed_everything(9)
    restore_random_state(load(content))
    assert [draws(), draws()] == expected
