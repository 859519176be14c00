"""Steps of few tokens, where Python takes longer to launch kernels than the GPU to run them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.training_programs import Program, nanogpt, ours
from dialogpt.data.dataset import IndexedDialogue

_PLAIN, _RECORDED, _OTHER = "one by one", "CUDA graphs", "nanoGPT"
SMALL_COLUMNS = (
    *("tokens/s, kernels launched one by one", "tokens/s, as CUDA graphs", "to one by one"),
    *("nanoGPT, tokens/s", "CUDA graphs to nanoGPT", "GiB one by one", "GiB as CUDA graphs"),
)


def small_ways(
    dialogues: list[IndexedDialogue],
    size: str,
    tokens: int,
    *,
    nanogpt_checkout: Path | None,
    dropout: float,
) -> dict[str, Callable[[], Program]]:
    """What is measured with so many tokens at once."""
    ways = {
        name: partial(
            ours, dialogues, size, tokens, layout="packed", records=records, dropout=dropout
        )
        for name, records in ((_PLAIN, False), (_RECORDED, True))
    }
    if nanogpt_checkout is not None:
        ways[_OTHER] = partial(nanogpt, nanogpt_checkout, size, tokens, dropout=dropout)
    return ways


def small_cells(results: dict[str, dict[str, Any]]) -> list[str]:
    """The cells of `SMALL_COLUMNS`."""
    plain, recorded = (results[name] for name in (_PLAIN, _RECORDED))
    rate = recorded["tokens_per_second"]
    cells = [_shown(plain), _shown(recorded), f"{rate / plain['tokens_per_second']:.2f}"]
    if _OTHER in results:
        other = results[_OTHER]
        cells += [_shown(other), f"{rate / other['tokens_per_second']:.2f}"]
    else:
        cells += ["", ""]
    return [*cells, *(f"{result['gib']:.1f}" for result in (plain, recorded))]


def _shown(result: dict[str, Any]) -> str:
    rates = (result[name] for name in ("tokens_per_second", "slowest", "fastest"))
    return "{:,.0f} ({:,.0f}-{:,.0f})".format(*rates)
