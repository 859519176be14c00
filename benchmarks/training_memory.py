"""What the estimate of memory says of a measured step."""

from typing import Any

from benchmarks.training_data import VOCAB_SIZE
from benchmarks.training_programs import SIZES
from dialogpt.models.gpt2 import ModelSizes
from dialogpt.train.memory import estimate

MEMORY_WAYS: tuple[dict[str, Any], ...] = (
    {"layout": "packed"},
    {"layout": "packed", "records": True},
    {"layout": "packed", "recomputes": True},
    {"layout": "padded"},
    {"layout": "padded", "recomputes": True},
)
"""Arguments of `ours`."""


def memory_cells(
    size: str, tokens: int, result: dict[str, Any], *, layout: str, **way: bool
) -> list[str]:
    """Rate, memory taken and estimated, and how far apart, as cells of a table.

    A recording keeps its memory between steps, and that counts for it: its passes take none that
    the allocator would tell of. The estimate has room for a validation beside it.
    """
    layers, width, heads = SIZES[size]
    sizes = ModelSizes(
        num_layers=layers,
        hidden_size=width,
        num_heads=heads,
        num_positions=1024,
        vocab_size=VOCAB_SIZE,
    )
    expected = estimate(sizes, tokens, layout=layout, **way).total / 2**30
    if not result["tokens_per_second"]:
        return ["out of memory", "", f"{expected:.1f}", ""]
    taken = result["gib_kept" if way.get("records") else "gib"]
    rate = f"{result['tokens_per_second']:,.0f}"
    return [rate, f"{taken:.1f}", f"{expected:.1f}", f"{expected / taken - 1:+.0%}"]
