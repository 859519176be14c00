"""How fast PLATO trains, and what its latent costs.

    python benchmarks/plato_training.py
    python benchmarks/plato_training.py --size tiny --tokens 1024 --device cpu   # to try

Needs a CUDA GPU. Results go to docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import itertools
import json
import platform
import sys
from collections import deque
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.report import project_commit, shown_command, table, write_section
from benchmarks.training_data import made_up_dialogues
from dialogpt.config.plato import PlatoConfig
from dialogpt.config.training import OptimizerConfig
from dialogpt.distributed import start_accelerator
from dialogpt.plato.batch import PlatoBatch
from dialogpt.plato.examples import ExampleCollator, ExampleSource
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import PlatoNetwork, PlatoSizes
from dialogpt.train.optim import build_optimizer
from dialogpt.train.sharding import place_model
from dialogpt.train.step import Updater

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
SIZES = {"base": (12, 768, 12, 30_522), "tiny": (2, 64, 2, 1000)}
"""Name -> blocks, width, heads, ids."""
PROGRAMS = {
    "without latent": {"num_latents": 0},
    "PLATO, no negatives": {"selection_weight": 0.0},
    "PLATO": {},
    "PLATO, blind context": {"latent_visible_to_context": False},
    "PLATO, padded attention": {},
}
_WARM_UP_STEPS, _ROUNDS, _STEPS, _BATCHES = 6, 3, 10, 8
_RATE = 1e-5
PREFACE = """## Training PLATO

One optimizer step of the full size (BERT-base's blocks, 30,522 pieces) on one GPU: recognition of
true and negative responses in one call, generation, three losses, backward, clipping, AdamW;
bfloat16 products, float32 weights. Tokens are those of contexts and true responses, once, whatever
the number of passes. A model without latent makes one pass over a row, PLATO three: so it can reach
a third of the rate, and less by what its heads cost.
"""


def main() -> None:
    options = _parser().parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: expected a CUDA GPU, found none")
    results = {}
    for name in options.programs:
        results[name] = _measure(name, options)
        print(json.dumps({name: results[name]}), flush=True)
    text = _section(results, options)
    print(text)
    write_section(options.document, "plato-training", options.size, text, preface=PREFACE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--size", default="base", choices=SIZES)
    parser.add_argument("--tokens", type=int, default=32768, help="of a micro-batch")
    parser.add_argument("--programs", nargs="+", default=list(PROGRAMS), choices=PROGRAMS)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu to try out")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--commit", default="", help="what git cannot tell there")
    return parser


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    step, model = _program(name, options)
    for _ in range(_WARM_UP_STEPS):
        step()
    rates = []
    for _ in range(_ROUNDS):
        _wait()
        started = perf_counter()
        tokens = sum(step() for _ in range(_STEPS))
        _wait()
        rates.append(tokens / (perf_counter() - started))
    peak = torch.cuda.max_memory_allocated() / 2**30 if options.device == "cuda" else 0.0
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"rates": sorted(rates), "gib": peak, "parameters": parameters}


def _program(name: str, options: argparse.Namespace) -> tuple[Callable[[], int], PlatoModel]:
    layers, width, heads, num_ids = SIZES[options.size]
    config = PlatoConfig(**PROGRAMS[name])
    torch.manual_seed(0)
    sizes = PlatoSizes(
        num_layers=layers,
        hidden_size=width,
        num_heads=heads,
        inner_size=4 * width,
        num_positions=512,
        vocab_size=num_ids,
        num_latents=config.num_latents,
        blocks="bert",
        norm_eps=1e-12,
    )
    is_padded = name == "PLATO, padded attention"
    compiled = options.device == "cuda" and not is_padded
    model = PlatoModel(PlatoNetwork(sizes, dropout=0.0), config, compiled=compiled)
    if is_padded:
        model.backend = lambda device, dtype: "padded"  # type: ignore[method-assign]
    accelerator, _ = start_accelerator("bf16" if options.device == "cuda" else "fp32")
    place_model(model, accelerator)
    updater = Updater(
        model,
        build_optimizer(model, OptimizerConfig(), learning_rate=_RATE),
        accelerator=accelerator,
        max_grad_norm=1.0,
        failures=Path(),
    )
    batches = itertools.cycle(_batches(config, model, num_ids, options.tokens))
    numbers = itertools.count(1)
    begun = deque([updater.begin([next(batches)], 0, learning_rate=_RATE)])

    def step() -> int:
        batch = next(batches)
        begun.append(updater.begin([batch], next(numbers), learning_rate=_RATE))
        begun.popleft().result()  # as in training: the step before is looked at meanwhile
        return batch.num_tokens

    return step, model


def _batches(config: PlatoConfig, model: PlatoModel, num_ids: int, tokens: int) -> list[PlatoBatch]:
    """Made-up dialogues with a random negative, as many as fill each batch."""
    rng = np.random.default_rng(0)
    sources = [
        ExampleSource(
            index=index,
            dialogue=dialogue,
            turn=len(dialogue.turns) - 1,
            negative=rng.integers(5, num_ids, int(rng.integers(3, 40)))
            if config.selection_weight and config.num_latents
            else None,
        )
        for index, dialogue in made_up_dialogues(_BATCHES * tokens // 60)
    ]
    collate = ExampleCollator(config=config, layout=model.layout(), bou_id=1, eou_id=2)
    batches = []
    while len(batches) < _BATCHES:
        count = 8
        while collate(sources[: count + 8]).num_generated <= tokens:
            count += 8
        made = collate(_within(sources[:count], num_ids))
        sources = sources[count:]
        batches.append(made.pin_memory() if torch.cuda.is_available() else made)
    return batches


def _within(sources: list[ExampleSource], num_ids: int) -> list[ExampleSource]:
    """The same with ids of the vocabulary."""
    for source in sources:
        for turn in source.dialogue.turns:
            np.remainder(turn, num_ids, out=turn)
    return sources


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _section(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    first = next(iter(results.values()))
    rows = []
    for name, result in results.items():
        low, rate, high = result["rates"][0], median(result["rates"]), result["rates"][-1]
        rows.append(
            [
                name,
                f"{result['parameters'] / 1e6:.1f}M",
                f"{rate:,.0f} ({low:,.0f}-{high:,.0f})",
                f"{median(first['rates']) / rate:.2f}",
                f"{result['gib']:.1f}",
            ]
        )
    head = ["program", "parameters", "tokens/s", f"{next(iter(results))} is faster by", "GiB"]
    on_gpu = options.device == "cuda"
    hardware = torch.cuda.get_device_name() if on_gpu else platform.processor() or "CPU"
    notes = [
        f"Hardware: {hardware}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        f"Rows of {options.tokens:,} tokens in all; made-up dialogues",
        f"Each rate: median of {_ROUNDS} rounds of {_STEPS} steps, lowest and highest in brackets",
    ]
    listed = "\n".join(f"* {note}" for note in notes)
    title = f"### Full size, {options.tokens:,} tokens at once"
    return "\n\n".join([title, f"`{shown_command(sys.argv)}`", table(head, rows), listed])


if __name__ == "__main__":
    main()
