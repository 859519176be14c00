"""How fast a training step is: ours, nanoGPT, transformers, and the loop of DialoGPT's release.

    python benchmarks/training.py compare --nanogpt CHECKOUT
    python benchmarks/training.py small --nanogpt CHECKOUT
    python benchmarks/training.py profile --size 345M
    python benchmarks/training.py memory

Needs a CUDA GPU. Results go to docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import gc
import importlib.metadata
import itertools
import json
import platform
import sys
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.autograd import DeviceType

from benchmarks.report import project_commit, shown_command, table, write_section
from benchmarks.training_data import dialogues_of, made_up_dialogues
from benchmarks.training_memory import MEMORY_WAYS, memory_cells
from benchmarks.training_programs import NAMES, SIZES, Program, build, ours
from benchmarks.training_small import SMALL_COLUMNS, small_cells, small_ways
from dialogpt.train.recorded import most_tokens

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_WARM_UP_STEPS = 4
_WARM_UP_OF_GRAPHS = 12
"""Of eight batches in turn the largest is seen, and recorded, before time is taken."""
_ROUNDS = 3
_STEPS_PER_ROUND = 10
_SMALL_CASES = [("117M", 16384), ("345M", 8192), ("762M", 4096), ("117M", 32768), ("345M", 16384)]
"""Sizes and tokens at once; the first three are those of the recipes."""
_STEPS_OF_SMALL = 40
_STEPS_OF_PROFILE = 2
_BATCHES = 16
PREFACE = """## Training

One optimizer step on one GPU: forward, backward, clipping, AdamW; bfloat16 products, float32
weights. Tokens a second are useful ones, without padding; each program's fastest batch size counts.
The ceiling is what large bfloat16 matrix products reach on the same GPU, at 6 operations a
parameter and token.

* **ours, packed**: this project's step on dialogues laid end to end; **padded** on rows of like
  length; **trees** on threads with each turn once, where a token counts as often as dialogues have
  it, so that its share of the ceiling may be more than all.
* **nanoGPT**: compiled, on full rows of 1,024 random tokens: neither padding nor ends of dialogues.
* **transformers, SDPA**: its GPT-2 and its loss under the same token budget.
* **the release's loop**: eager attention, 64 rows of like length, all logits.

With **few tokens at once**, as in the recipes, a step is shorter than Python needs to launch its
kernels one by one; so training plays up to 32,768 as CUDA graphs.
"""


def main() -> None:
    options = _parser().parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: expected a CUDA GPU, found none")
    if options.shards:
        options.dialogues = dialogues_of(options.shards, 40_000)
    else:
        options.dialogues = made_up_dialogues(_BATCHES * max(options.tokens) // 100)
    options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="compare | small | profile | memory")
    comparison = commands.add_parser("compare", help="tokens a second of several programs")
    comparison.add_argument("--nanogpt", type=Path, help="checkout of karpathy/nanoGPT")
    comparison.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    comparison.add_argument("--programs", nargs="+", default=list(NAMES))
    comparison.add_argument("--document", type=Path, default=DOCUMENT)
    comparison.add_argument("--commit", default="", help="what git cannot tell there")
    comparison.add_argument("--json", type=Path, help="also write the numbers here")
    comparison.set_defaults(command=_compare)
    small = commands.add_parser("small", help="few tokens at once, with CUDA graphs and without")
    small.add_argument("--nanogpt", type=Path, help="checkout of karpathy/nanoGPT")
    small.add_argument(
        "--cases", nargs="+", type=_size_and_tokens, default=_SMALL_CASES, metavar="SIZE:TOKENS"
    )
    small.add_argument("--document", type=Path, default=DOCUMENT)
    small.add_argument("--commit", default="", help="what git cannot tell there")
    small.set_defaults(command=_small, tokens=[32768])  # dialogues enough for any case
    profile = commands.add_parser("profile", help="what the time of our step goes to")
    profile.add_argument("--size", default="117M", choices=SIZES)
    profile.add_argument("--layout", default="packed", choices=("packed", "padded", "tree"))
    profile.set_defaults(command=_profile)
    memory = commands.add_parser("memory", help="the estimate of memory against what is taken")
    memory.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    memory.add_argument("--document", type=Path, default=DOCUMENT)
    memory.add_argument("--commit", default="", help="what git cannot tell there")
    memory.set_defaults(command=_memory)
    for command in (comparison, small, profile, memory):
        command.add_argument("--shards", type=Path, help="take dialogues from here")
    profile.add_argument("--graphs", action="store_true", help="as CUDA graphs")
    for command in (comparison, small, profile):
        command.add_argument("--dropout", type=float, default=0.0, help="the recipes have 0.1")
    for command in (comparison, profile, memory):
        command.add_argument("--tokens", type=int, nargs="+", default=[32768, 65536])
    return parser


def _size_and_tokens(text: str) -> tuple[str, int]:
    """A size and its tokens at once; argparse names what is no such thing."""
    size, _, tokens = text.partition(":")
    if size not in SIZES:
        raise ValueError(size)
    return size, int(tokens)


def _compare(options: argparse.Namespace) -> None:
    ceiling = _matrix_rate()
    results = []
    for size in options.sizes:
        for name in options.programs:
            if name == "nanoGPT" and options.nanogpt is None:
                continue
            ways = build(
                name,
                options.dialogues,
                size,
                tokens=options.tokens,
                nanogpt_checkout=options.nanogpt,
                dropout=options.dropout,
            )
            for way, make in ways:
                result = {"size": size, "program": name, "way": way, **_measured(make)}
                results.append(result)
                print(json.dumps(result), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"ceiling": ceiling, "results": results}, indent=1))
    for size in options.sizes:
        rows = [result for result in results if result["size"] == size]
        text = _section(size, rows, ceiling, options)
        name = f"threads-{size}" if options.shards else f"compare-{size}"
        name += "-dropout" if options.dropout else ""
        write_section(options.document, "training", name, text, preface=PREFACE)


def _measured(
    make: Any, *, warm_up: int = _WARM_UP_STEPS, steps: int = _STEPS_PER_ROUND
) -> dict[str, Any]:
    """Tokens a second (median of rounds), and memory; or what went wrong."""
    torch.cuda.reset_peak_memory_stats()
    try:
        program: Program = make()
        for _ in range(warm_up):
            program.step()
        rates = [_rate(program, steps) for _ in range(_ROUNDS)]
        return {
            "tokens_per_second": median(rates),
            "slowest": min(rates),
            "fastest": max(rates),
            "gib": torch.cuda.max_memory_allocated() / 2**30,
            "gib_kept": _kept(),
            "num_parameters": program.num_parameters,
        }
    except torch.OutOfMemoryError:
        return {"tokens_per_second": 0.0, "error": "out of memory"}
    finally:
        program = None  # type: ignore[assignment]
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()


def _kept() -> float:
    """GiB that stay taken between steps."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved() / 2**30


def _rate(program: Program, steps: int) -> float:
    torch.cuda.synchronize()
    started = perf_counter()
    tokens = sum(program.step() for _ in range(steps))
    torch.cuda.synchronize()
    return tokens / (perf_counter() - started)


def _matrix_rate() -> float:
    """Operations a second of a large bfloat16 product of random numbers."""
    left, right = (torch.randn(8192, 8192, device="cuda").bfloat16() for _ in range(2))
    times = []
    for number in range(30):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        left @ right
        end.record()
        end.synchronize()
        if number >= 10:
            times.append(start.elapsed_time(end) / 1e3)
    return float(2 * 8192**3 / median(times))


def _section(
    size: str, results: list[dict[str, Any]], ceiling: float, options: argparse.Namespace
) -> str:
    best: dict[str, dict[str, Any]] = {}
    for result in results:
        name = result["program"]
        if name not in best or result["tokens_per_second"] > best[name]["tokens_per_second"]:
            best[name] = result
    against = {name: best.get(name, {}).get("tokens_per_second", 0.0) for name in NAMES}
    rows = []
    for name, result in best.items():
        rate = result["tokens_per_second"]
        if not rate:
            rows.append([name, result["way"], "out of memory", *[""] * 5])
            continue
        rows.append(
            [
                name,
                result["way"],
                f"{rate:,.0f} ({result['slowest']:,.0f}-{result['fastest']:,.0f})",
                f"{6 * result['num_parameters'] * rate / ceiling:.0%}",
                _ratio(rate, against["nanoGPT"]),
                _ratio(rate, against["the release's loop"]),
                f"{result['gib']:.1f}",
            ]
        )
    head = [
        *("program", "at once", "tokens/s", "share of the ceiling", "to nanoGPT"),
        *("to the release's loop", "GiB"),
    ]
    notes = [f"Large bfloat16 products reach {ceiling / 1e12:.0f} TFLOP/s", *_notes(options)]
    title = f"### {size}" + (", dialogues of real threads" if options.shards else "")
    title += f", dropout {options.dropout}" if options.dropout else ""
    lines = [title, "", f"`{shown_command(sys.argv)}`", "", table(head, rows), ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


def _notes(options: argparse.Namespace, steps: int = _STEPS_PER_ROUND) -> list[str]:
    """What the numbers are of."""
    lengths = [sum(map(len, d.turns)) + len(d.turns) for _, d in options.dialogues]
    lengths = [min(length, 256) for length in lengths]
    source = "of shards" if options.shards else "made up"
    return [
        f"Hardware: {torch.cuda.get_device_name()}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{importlib.metadata.version('transformers')}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        f"Dialogues: {source}, {sum(lengths) / len(lengths):.0f} tokens on average, at most 256",
        f"Each rate: median of {_ROUNDS} rounds of {steps} steps, lowest and highest in brackets",
    ]


def _ratio(rate: float, other: float) -> str:
    return f"{rate / other:.2f}" if other else ""


def _memory(options: argparse.Namespace) -> None:
    rows = []
    for size, way, tokens in itertools.product(options.sizes, MEMORY_WAYS, options.tokens):
        if way.get("records") and tokens > most_tokens():
            continue
        result = _measured(partial(ours, options.dialogues, size, tokens, **way))
        print(json.dumps({"size": size, **way, "tokens": tokens, **result}), flush=True)
        is_so = ["yes" if way.get(name) else "" for name in ("recomputes", "records")]
        rows.append([size, way["layout"], *is_so, f"{tokens:,}"])
        rows[-1] += memory_cells(size, tokens, result, **way)
    head = ["model", "layout", "checkpointing", "CUDA graphs", "tokens at once", "tokens/s"]
    head += ["GiB taken", "GiB estimated", "off by"]
    lines = ["### Memory, and activation checkpointing", "", f"`{shown_command(sys.argv)}`", ""]
    lines += [table(head, rows), "", *(f"* {note}" for note in _notes(options))]
    write_section(options.document, "training", "memory", "\n".join(lines), preface=PREFACE)


def _small(options: argparse.Namespace) -> None:
    rows = []
    for size, tokens in options.cases:
        ways = small_ways(
            options.dialogues,
            size,
            tokens,
            nanogpt_checkout=options.nanogpt,
            dropout=options.dropout,
        )
        results = {}
        for name, make in ways.items():
            results[name] = _measured(make, warm_up=_WARM_UP_OF_GRAPHS, steps=_STEPS_OF_SMALL)
            print(json.dumps({"case": f"{size}:{tokens}", "program": name, **results[name]}))
        rows.append([size, f"{tokens:,}", *small_cells(results)])
    title = "### Few tokens at once" + (f", dropout {options.dropout}" if options.dropout else "")
    lines = [title, "", f"`{shown_command(sys.argv)}`", ""]
    lines += [table(["model", "tokens at once", *SMALL_COLUMNS], rows), ""]
    lines += [f"* {note}" for note in _notes(options, _STEPS_OF_SMALL)]
    name = "small-dropout" if options.dropout else "small"
    write_section(options.document, "training", name, "\n".join(lines), preface=PREFACE)


def _profile(options: argparse.Namespace) -> None:
    """Print what the kernels of our step take, the longest first, and the time without any."""
    program = ours(
        *(options.dialogues, options.size, max(options.tokens)),
        layout=options.layout,
        records=options.graphs,
        dropout=options.dropout,
    )
    for _ in range(_WARM_UP_OF_GRAPHS if options.graphs else _WARM_UP_STEPS):
        program.step()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(_STEPS_OF_PROFILE):
            program.step()
        torch.cuda.synchronize()
    events = sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in events)
    on_gpu = [e.time_range for e in profile.events() if e.device_type == DeviceType.CUDA]
    span, busy = busy_time([(time.start, time.end) for time in on_gpu])
    print(
        f"{options.size}: {total / 1000 / _STEPS_OF_PROFILE:.2f} ms of kernels a step, of "
        f"{span / 1000 / _STEPS_OF_PROFILE:.2f} ms; in {1 - busy / span:.1%} of it none runs"
    )
    for event in events[:40]:
        time, count = event.self_device_time_total, event.count / _STEPS_OF_PROFILE
        print(
            f"{time / 1000 / _STEPS_OF_PROFILE:9.3f} ms  {time / total:6.1%}  x{count:6.1f}  "
            f"{event.key[:90]}"
        )


def busy_time(intervals: list[tuple[float, float]]) -> tuple[float, float]:
    """From the first beginning to the last end, and how much of that lies in an interval."""
    intervals.sort()
    reached = first = intervals[0][0]
    busy = 0.0
    for start, end in intervals:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return reached - first, busy


if __name__ == "__main__":
    main()
