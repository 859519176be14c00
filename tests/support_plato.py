"""Small PLATOs and examples for them."""

import numpy as np
import torch

from dialogpt.config.plato import PlatoConfig
from dialogpt.plato.batch import PlatoExample, make_batch
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import PlatoNetwork, PlatoSizes
from dialogpt.plato.sequence import Context, context_columns, response_columns

BOU, EOU, FIRST_WORD, VOCAB_SIZE = 0, 1, 5, 40


def sizes(**changes):
    values = {
        "num_layers": 2,
        "hidden_size": 16,
        "num_heads": 2,
        "inner_size": 32,
        "num_positions": 64,
        "vocab_size": VOCAB_SIZE,
        "num_latents": 3,
        "blocks": "bert",
        "norm_eps": 1e-12,
    }
    return PlatoSizes(**{**values, **changes})


def model(config=None, *, dtype=torch.float64, dropout=0.0, seed=0, std=0.3, **changes):
    """A PLATO with weights large enough that every path of it can be told."""
    torch.manual_seed(seed)
    config = config or PlatoConfig(num_latents=3)
    network = PlatoNetwork(sizes(num_latents=config.num_latents, **changes), dropout=dropout)
    made = PlatoModel(network, config)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1 or parameter is getattr(network, "mask", None):
                parameter.normal_(std=std)
            elif parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return made.to(dtype)


def words(rng, low=1, high=7):
    return rng.integers(FIRST_WORD, VOCAB_SIZE, int(rng.integers(low, high)))


def example(seed, *, config=None, negative=True, knowledge=1, index=None):
    """An example whose columns depend on the seed alone."""
    rng = np.random.default_rng(seed)
    limits = (config or PlatoConfig()).sequence
    context = Context(
        turns=[words(rng) for _ in range(int(rng.integers(1, 4)))],
        speakers=[],
        replier=-1,
        knowledge=[words(rng) for _ in range(knowledge)],
    )
    return PlatoExample(
        index=seed if index is None else index,
        prefix=context_columns(context, limits, eou_id=EOU),
        response=response_columns(words(rng), bou_id=BOU, eou_id=EOU, max_tokens=50),
        negative=response_columns(words(rng), bou_id=BOU, eou_id=EOU, max_tokens=50)
        if negative
        else None,
        num_words=1.0,
        num_chars=3.0,
    )


def batch(plato, *examples):
    return make_batch(examples, plato.layout())
