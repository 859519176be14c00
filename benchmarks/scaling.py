"""How much faster training is on several GPUs of one host.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --way fsdp --gpus 1 2 4 8 --sizes 762M

Starts itself through torchrun, once for each number of GPUs. Results go to docs/benchmarks.md. See
README.md beside this file.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import date
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.report import project_commit, shown_command, table, write_section
from benchmarks.training_data import MAX_SEQ_LEN, dialogues_of, made_up_dialogues
from benchmarks.training_programs import FOR_A_CPU, SIZES, Program, ours
from dialogpt.distributed import num_ranks, sum_over_ranks, wait_for_all_ranks

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_WARM_UP_STEPS = 12  # of eight batches in turn: so the largest is seen, and recorded
_ROUNDS = 3
_BATCHES = 10
_PROFILED_STEPS = 3
_FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
"""What `accelerate launch` hands on of configs/accelerate/fsdp.yaml."""
WAYS = {"ddp": "DDP", "fsdp": "FSDP", "graphs": "CUDA graphs"}
PREFACE = """## Several GPUs

The packed optimizer step on 1 to n GPUs of one host, each with as many micro-batches of its own, of
the same size. Gradients travel once a step (with FSDP after every micro-batch), so one micro-batch
a step is the hardest case. "To one GPU" is the rate
of all GPUs together against that of one in the same run; the reference reports 1.90 on 2, 3.47 on 4
and 6.58 on 8. "Not hidden" is the share of the time in which the first GPU exchanges numbers and
computes nothing. "Apart" is the same step where every GPU keeps its gradients: what is missing
there, against one GPU, is no exchange but cards that are slower than the first, for which all wait.

* **DDP**: every GPU holds the whole model (`configs/accelerate/many_gpus.yaml`).
* **FSDP**: the GPUs share it (`configs/accelerate/fsdp.yaml`).
* **CUDA graphs**: as DDP, for few tokens at once; gradients travel when all are there.

![Tokens a second of several GPUs, to one](images/scaling.png)
"""
Interval = tuple[float, float]


def main() -> None:
    options = _parser().parse_args()
    if options.worker:
        _measure(options)
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: expected CUDA GPUs, found none")
    if options.device == "cpu" and options.way == "graphs":
        sys.exit("error: --way graphs: expected --device cuda, found cpu, which has no CUDA graphs")
    found = torch.cuda.device_count() if options.device == "cuda" else 2
    numbers = options.gpus or [n for n in (1, 2, 4, 8) if n <= found]
    results = []
    for size in options.sizes:
        for tokens, accumulation, number in product(options.tokens, options.accumulation, numbers):
            result = _launch(options, size, tokens, accumulation, number)
            results.append(result)
            print(json.dumps(result), flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))
        # At once, as a later size may fail for want of memory or time.
        rows = [result for result in results if result["size"] == size]
        write_section(
            options.document,
            "scaling",
            f"{options.way}-{size}",
            _section(size, rows, options),
            preface=PREFACE,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    sizes = [*SIZES, *FOR_A_CPU]
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=sizes, metavar="SIZE")
    parser.add_argument("--gpus", type=int, nargs="+", help="1, 2, 4, 8 as far as there are")
    parser.add_argument("--way", default="ddp", choices=WAYS)
    parser.add_argument("--tokens", type=int, nargs="+", default=[32768], help="of a micro-batch")
    parser.add_argument("--accumulation", type=int, nargs="+", default=[1], help="micro-batches")
    parser.add_argument("--steps", type=int, default=20, help="of each of three rounds")
    parser.add_argument("--shards", type=Path, help="take dialogues from here")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--commit", default="", help="what git cannot tell there")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu to try out")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


def _launch(
    options: argparse.Namespace, size: str, tokens: int, accumulation: int, number: int
) -> dict[str, Any]:
    """What one number of GPUs does, measured in processes of its own."""
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment |= _FSDP if options.way == "fsdp" else {}
    environment |= {"ACCELERATE_USE_CPU": "true"} if options.device == "cpu" else {}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc_per_node", str(number), str(Path(__file__).resolve())]
        command += ["--worker", str(answer), "--sizes", size, "--tokens", str(tokens)]
        command += ["--accumulation", str(accumulation), "--way", options.way]
        command += ["--steps", str(options.steps), "--device", options.device]
        command += ["--shards", str(options.shards.resolve())] if options.shards else []
        subprocess.run(command, env=environment, check=True)
        measured: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    described = {"size": size, "way": options.way, "tokens": tokens, "accumulation": accumulation}
    return {**described, "gpus": number, **measured}


def _measure(options: argparse.Namespace) -> None:
    """In each rank: train; in the first one, write what was measured."""
    (size,), (tokens,), (accumulation,) = options.sizes, options.tokens, options.accumulation
    ranks = int(os.environ["WORLD_SIZE"])
    if options.shards:
        dialogues = dialogues_of(options.shards, 40_000)
    else:
        dialogues = made_up_dialogues(ranks * _BATCHES * tokens // 100 + 100)
    compiled = options.device == "cuda"
    program = ours(
        dialogues,
        size,
        tokens,
        layout="packed",
        compiled=compiled,
        accumulation=accumulation,
        records=options.way == "graphs",
    )
    for _ in range(_WARM_UP_STEPS):
        program.step()
    rates = [_rate(program, options.steps) for _ in range(_ROUNDS)]
    result: dict[str, Any] = {
        "tokens_per_second": median(rates),
        "slowest": min(rates),
        "fastest": max(rates),
        "rounds": rates,
        "num_parameters": program.num_parameters,
        "mean_row": sum(min(MAX_SEQ_LEN, _length(d)) for _, d in dialogues) / len(dialogues),
    }
    if options.device == "cuda":
        result["gib"] = torch.cuda.max_memory_allocated() / 2**30
        result["not_hidden"] = _share_not_hidden(program)
    if ranks > 1 and options.way != "fsdp":
        result["without_exchange"] = _rate_apart(program, options.steps)
    if int(os.environ["RANK"]) == 0:
        options.worker.write_text(json.dumps(result), encoding="utf-8")
    wait_for_all_ranks()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _length(dialogue: Any) -> int:
    return sum(map(len, dialogue.turns)) + len(dialogue.turns)


def _rate(program: Program, num_steps: int) -> float:
    """Useful tokens a second of all ranks together."""
    _all_idle()
    started = perf_counter()
    tokens = sum(program.step() for _ in range(num_steps))
    _all_idle()
    seconds = perf_counter() - started
    return sum_over_ranks([float(tokens)])[0] / seconds


def _rate_apart(program: Program, num_steps: int) -> float:
    """Useful tokens a second where no gradients travel; ranks are then no copies any more."""
    with program.apart():
        program.step()
        return median(_rate(program, num_steps) for _ in range(_ROUNDS))


def _all_idle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    wait_for_all_ranks()


def _share_not_hidden(program: Program) -> float:
    """Share of the steps' time in which this GPU runs kernels of NCCL and no others."""
    _all_idle()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        started = perf_counter()
        for _ in range(_PROFILED_STEPS):
            program.step()
        _all_idle()
        microseconds = 1e6 * (perf_counter() - started)
    exchange, work = [], []
    for event in profile.events():
        on_device = event.device_type == torch.autograd.DeviceType.CUDA
        # Notes on kernels are events of the device too.
        if not on_device or getattr(event, "is_user_annotation", False):
            continue
        interval = (event.time_range.start, event.time_range.end)
        if event.name.startswith("nccl"):
            if "Kernel" in event.name:
                exchange.append(interval)
        else:
            work.append(interval)
    return uncovered(exchange, work) / microseconds if num_ranks() > 1 else 0.0


def uncovered(intervals: Iterable[Interval], others: Iterable[Interval]) -> float:
    """Length of what lies in some interval and in none of the others."""
    cover = _merged(others)
    return _length_of(_merged([*intervals, *cover])) - _length_of(cover)


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _length_of(merged: Iterable[Interval]) -> float:
    return sum(end - start for start, end in merged)


def _section(size: str, results: list[dict[str, Any]], options: argparse.Namespace) -> str:
    kinds = [(result["tokens"], result["accumulation"]) for result in results]
    alone = {
        kind: result["tokens_per_second"]
        for kind, result in zip(kinds, results, strict=True)
        if result["gpus"] == 1
    }
    rows = []
    for kind, result in zip(kinds, results, strict=True):
        rate, one = result["tokens_per_second"], alone.get(kind, 0.0)
        rows.append(
            [
                str(result["gpus"]),
                f"{result['accumulation']} x {result['tokens']:,}",
                f"{rate:,.0f} ({result['slowest']:,.0f}-{result['fastest']:,.0f})",
                f"{rate / one:.2f}" if one else "",
                f"{rate / one / result['gpus']:.0%}" if one else "",
                f"{result['not_hidden']:.1%}" if "not_hidden" in result else "",
                f"{result['without_exchange']:,.0f}" if "without_exchange" in result else "",
                f"{result['gib']:.1f}" if "gib" in result else "",
            ]
        )
    head = ["GPUs", "tokens a GPU and step", "tokens/s", "to one GPU", "efficiency"]
    head += ["not hidden", "tokens/s apart", "GiB a GPU"]
    on_cpu = options.device == "cpu"
    hardware = platform.processor() or "CPU" if on_cpu else torch.cuda.get_device_name()
    source = "of shards" if options.shards else "made up"
    notes = [
        f"Hardware: {hardware}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}, accelerate "
        f"{importlib.metadata.version('accelerate')}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        f"Dialogues: {source}, {results[0]['mean_row']:.0f} tokens on average, at most 256",
        f"Each rate: median of {_ROUNDS} rounds of {options.steps} steps, lowest and highest in "
        "brackets",
    ]
    title = f"### {size}, {WAYS[options.way]}"
    lines = [title, "", f"`{shown_command(sys.argv)}`", "", table(head, rows), ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


if __name__ == "__main__":
    main()
