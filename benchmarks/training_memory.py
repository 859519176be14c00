"""What the estimate of memory says of a measured step."""

from typing import Any

from benchmarks.training_data import VOCAB_SIZE
from benchmarks.training_programs import SIZES
from dialogpt.models.gpt2 import ModelSizes
from dialogpt.train.memory import estimate


def memory_cells(
    size: str, layout: str, tokens: int, recomputes: bool, result: dict[str, Any]
) -> list[str]:
    """Rate, memory taken and estimated, and how far apart, as cells of a table."""
    layers, width, heads = SIZES[size]
    sizes = ModelSizes(
        num_layers=layers,
        hidden_size=width,
        num_heads=heads,
        num_positions=1024,
        vocab_size=VOCAB_SIZE,
    )
    expected = estimate(sizes, tokens, layout=layout, recomputes=recomputes).total / 2**30
    if not result["tokens_per_second"]:
        return ["out of memory", "", f"{expected:.1f}", ""]
    taken = result["gib"]
    rate = f"{result['tokens_per_second']:,.0f}"
    return [rate, f"{taken:.1f}", f"{expected:.1f}", f"{expected / taken - 1:+.0%}"]
