"""Whole training runs that differ in batch.layout alone: how fast they are and what they learn.

    python benchmarks/layouts.py --shards FOLDER

Trains the recipe of 117M on the shards, with as many dialogues a step in each layout, through the
loader and the loop. Needs a CUDA GPU. Results go to docs/benchmarks.md. See README.md beside this
file.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.report import project_commit, shown_command, table, write_section
from dialogpt.data.dataset import ShardDataset
from dialogpt.data.manifest import read_manifest
from dialogpt.run_log import read_metrics

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "benchmarks.md"
_MAX_SEQ_LEN = 256
PREFACE = """## Layouts

The recipe of 117M on real threads, trained by `python -m dialogpt.train` with each `batch.layout`:
the same number of dialogues a step on average and the same schedule. A token counts as often as
dialogues have it. Waiting is the share of the time in which training waited for data.
"""


def main() -> None:
    options = _parser().parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: expected a CUDA GPU, found none")
    results = []
    for layout in options.layouts:
        with tempfile.TemporaryDirectory() as folder:
            results.append(_train(options, layout, Path(folder)))
        print(json.dumps(results[-1]), flush=True)
    write_section(options.document, "layouts", "runs", _section(options, results), preface=PREFACE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--shards", type=Path, required=True, help="of any threads")
    parser.add_argument("--layouts", nargs="+", default=["padded", "packed", "tree"])
    parser.add_argument("--tokens", type=int, default=16384, help="of a micro-batch and step")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--recipe", type=Path, default=ROOT / "configs" / "train" / "small.yaml")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--commit", default="", help="what git cannot tell there")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu to try out")
    parser.add_argument("options", nargs="*", help="after --, more options of dialogpt.train")
    return parser


def _train(options: argparse.Namespace, layout: str, output: Path) -> dict[str, Any]:
    tokens = options.tokens
    if layout == "tree":  # as many dialogues a step, which then are fewer tokens
        tokens = round(tokens * _share_computed(options.shards))
    command = [sys.executable, "-m", "dialogpt.train", "--config", str(options.recipe)]
    command += ["--data.shards", str(options.shards.resolve()), "--output", str(output / "run")]
    command += ["--data.max_seq_len", str(_MAX_SEQ_LEN), "--batch.layout", layout]
    command += ["--batch.micro_batch_tokens", str(tokens), "--max_epochs", str(options.epochs)]
    command += ["--schedule.name", "cosine", "--schedule.warmup_steps", "100"]
    command += ["--schedule.learning_rate", str(options.learning_rate)]
    command += ["--validation.every_steps", "200", "--checkpoint.every_steps", "1000000"]
    command += ["--log_every_steps", "50", "--no_tensorboard", *options.options]
    started = perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds = perf_counter() - started
    records = read_metrics(output / "run")
    # The first lines have compiling in them.
    train = [r for r in records if r["kind"] == "train"][2:]
    valid = [(r["step"], r["loss"]) for r in records if r["kind"] == "valid"]
    return {
        "layout": layout,
        "tokens": tokens,
        "seconds": seconds,
        "steps": records[-1]["step"],
        "tokens_per_second": median(r["tokens_per_second"] for r in train),
        "waiting_share": median(r["waiting_share"] for r in train),
        "padding_share": median(r["padding_share"] for r in train),
        "last_loss": valid[-1][1],
        "best": min(valid, key=lambda pair: pair[1]),
    }


def _share_computed(shards: Path) -> float:
    """Tokens of the training split, those that neighbours share once, over all of them."""
    dataset = ShardDataset(shards / "train", read_manifest(shards / "train"))
    lengths = dataset.row_lengths(_MAX_SEQ_LEN).sum(dtype="int64")
    return float(1.0 - dataset.shared_lengths(_MAX_SEQ_LEN).sum(dtype="int64") / lengths)


def _section(options: argparse.Namespace, results: list[dict[str, Any]]) -> str:
    head = ["layout", "tokens a step", "steps", "tokens/s", "waiting", "padding", "whole run, s"]
    head += ["best validation loss", "at step", "last"]
    rows = [
        [
            result["layout"],
            f"{result['tokens']:,}",
            f"{result['steps']:,}",
            f"{result['tokens_per_second']:,.0f}",
            f"{result['waiting_share']:.2%}",
            f"{result['padding_share']:.1%}",
            f"{result['seconds']:.0f}",
            f"{result['best'][1]:.4f}",
            f"{result['best'][0]:,}",
            f"{result['last_loss']:.4f}",
        ]
        for result in results
    ]
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    notes = [
        f"Hardware: {device}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        "Rates and shares: median of intervals of 50 steps; a whole run has validations, compiling "
        "and two checkpoints in it",
    ]
    lines = [f"`{shown_command(sys.argv)}`", "", table(head, rows), ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


if __name__ == "__main__":
    main()
