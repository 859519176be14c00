"""PLATO with a latent, without one, and with one that the context does not see, on one data set.

    python benchmarks/plato_results.py run --shards SHARDS --contexts TESTSET --init BERT \
        --output FOLDER -- --max_epochs 10 --schedule.learning_rate 2e-4
    python benchmarks/plato_results.py table FOLDER

`run` trains each variant by the project's own command, from the same weights, on the same data and
as many passes; measures its perplexities on the test split; and replies to the test set by the
project's presets. `table` prints perplexities and times; `python -m dialogpt.evaluate` scores the
replies. Its tables are for docs/results.md. See README.md beside this file.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import table
from dialogpt.records import write_json

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "configs" / "train" / "plato" / "table5_3.1.yaml"
VARIANTS = {
    "latent": ["--plato.num_latents", "20", "--plato.validate_all_latents", "true"],
    "blind": [
        *("--plato.num_latents", "20", "--plato.validate_all_latents", "true"),
        *("--plato.latent_visible_to_context", "false"),
    ],
    "none": ["--plato.num_latents", "0", "--plato.validate_all_latents", "false"],
}
"""What each variant says to `dialogpt.train` beyond row 3.1 of Table 5."""
PRESETS = {"beam": "plato_beam", "top_k": "plato"}
"""Replies that are made of each variant, and the preset of configs/decode/ that makes them."""
WITHOUT_LATENT = {
    # What the preset's file asks for: the release's mean over tokens.
    "beam": ("--generation.length_penalty", 1.0),
    # One, as one latent has. The likeliest of several would be the shortest and dullest.
    "top_k": ("--generation.num_samples", 1),
}
"""What a preset needs beyond its file where no latent speaks."""
RESULT = "result.json"
"""Perplexities and seconds of a variant; its presence says that the variant is done."""


def main() -> None:
    options = _parser().parse_args()
    options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", allow_abbrev=False, help="train, measure, reply")
    run.set_defaults(command=_run)
    run.add_argument("--shards", required=True, help="of the data set, with a test split")
    run.add_argument("--contexts", required=True, help="test set, JSON Lines of items")
    run.add_argument("--init", required=True, help="weights that all variants begin with")
    run.add_argument("--output", type=Path, required=True, help="folder; what is done there stays")
    run.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    run.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    run.add_argument("--max-dialogues", type=int, default=0, help="whose perplexity is measured")
    run.add_argument("--batch-contexts", type=int, default=64, help="replied to at once")
    run.add_argument("training", nargs="*", help="behind --: options of dialogpt.train")
    shown = commands.add_parser("table", allow_abbrev=False, help="what was measured")
    shown.set_defaults(command=_table)
    shown.add_argument("output", type=Path, nargs="+")
    return parser


def _run(options: argparse.Namespace) -> None:
    for variant in options.variants:
        folder = options.output / variant
        if (folder / RESULT).exists():
            print(f"{folder}: done before")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        _run_variant(variant, folder, options)


def _run_variant(variant: str, folder: Path, options: argparse.Namespace) -> None:
    model = folder / "run"
    seconds = {
        "training": _module(
            *("dialogpt.train", "--config", RECIPE),
            *("--data.shards", options.shards, "--model.init", options.init, "--output", model),
            *VARIANTS[variant],
            *options.training,
        )
    }
    measured = folder / "perplexity.json"
    measured.unlink(missing_ok=True)
    _module(
        *("dialogpt.plato", "--model", model, "--shards", options.shards, "--split", "test"),
        *("--max_dialogues", options.max_dialogues, "--output", measured),
    )
    for name in options.presets:
        replies = folder / f"{name}.jsonl"
        replies.unlink(missing_ok=True)
        seconds[name] = _module(
            *("dialogpt.decode", "--config", ROOT / "configs" / "decode" / f"{PRESETS[name]}.yaml"),
            *("--model", model, "--contexts", options.contexts, "--output", replies),
            *("--batch_contexts", options.batch_contexts, "--show", 0),
            *(WITHOUT_LATENT[name] if variant == "none" else ()),
        )
    perplexities = json.loads(measured.read_text(encoding="utf-8"))
    write_json(folder / RESULT, {"perplexities": perplexities, "seconds": seconds})


def _module(*words: Any) -> float:
    """Seconds that `python -m` takes for it; the script ends where it fails."""
    command = [sys.executable, "-m", *map(str, words)]
    print(" ".join(["python", *command[1:]]), flush=True)
    started = perf_counter()
    done = subprocess.run(command, check=False, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"error: {words[0]} ended with exit code {done.returncode}")
    return perf_counter() - started


_COLUMNS = {
    "posterior": "word_perplexity",
    "marginal": "marginal_word_perplexity",
    "best z": "best_word_perplexity",
    "bound": "bound_word_perplexity",
    "nats/character": "marginal_nll_per_char",
    "z in use": "latent_perplexity",
    "I(z; r)": "latent_information",
    "told apart": "selection_accuracy",
}
"""Heads of columns, and the names of what `dialogpt.plato` measured."""


def _table(options: argparse.Namespace) -> None:
    head = ["data, variant", *_COLUMNS, "training s", *(f"{name} s" for name in PRESETS)]
    rows = []
    for folder in options.output:
        for variant in VARIANTS:
            file = folder / variant / RESULT
            if file.exists():
                rows.append([f"{folder.name}, {variant}", *_cells(json.loads(file.read_text()))])
    if not rows:
        sys.exit(f"error: expected {RESULT} of a variant in {options.output[0]}/*, found none")
    print(table(head, rows))


def _cells(result: dict[str, Any]) -> list[str]:
    found, seconds = result["perplexities"], result["seconds"]
    # Without a latent there is one perplexity, and it is the one to compare.
    found = {"marginal_word_perplexity": found["word_perplexity"]} | found
    found = {"marginal_nll_per_char": found["nll_per_char"]} | found
    if "latent_perplexity" not in found:
        del found["word_perplexity"]
    cells = [f"{found[name]:.3g}" if name in found else "" for name in _COLUMNS.values()]
    names = ["training", *PRESETS]
    return [*cells, *(f"{seconds[name]:.0f}" if name in seconds else "" for name in names)]


if __name__ == "__main__":
    main()
