"""Policy gradient on mutual information, with and without regularisers: what becomes of replies.

    python benchmarks/mmi_rl.py --shards FOLDER --forward RUN --backward RUN --keep FOLDER

Trains configs/train/mmi_rl.yaml in each way with each seed, on whatever device there is, and writes
tables and a picture into docs/mmi-rl.md. What is kept goes on where it was. See README.md beside
this file.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.report import project_commit, shown_command, table, write_section
from dialogpt.command_line import parse_config
from dialogpt.config.decoding import GenerationConfig, MmiConfig, ResponderConfig
from dialogpt.config.training import TrainConfig
from dialogpt.data.manifest import read_manifest
from dialogpt.decode.contexts import read_contexts
from dialogpt.decode.load import choose_device, choose_dtype, load_model
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.respond import build_responder
from dialogpt.decode.scorers import BackwardScorer
from dialogpt.mmi_rl.contexts import ContextReader
from dialogpt.mmi_rl.rewards import BackwardReward
from dialogpt.run_log import read_facts, read_metrics

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("plain", "kl", "copy", "both")
"""No regulariser, either, both."""
COLUMNS = {
    "reward": ("reward, nats", "{:.2f}"),
    "copy_rate": ("copy rate", "{:.1%}"),
    "copied_tokens": ("tokens copied", "{:.1%}"),
    "dist_2": ("Dist-2", "{:.3f}"),
    "kl": ("KL, nats a reply", "{:.2f}"),
    "reply_tokens": ("tokens a reply", "{:.1f}"),
    "perplexity": ("perplexity of people's replies", "{:.1f}"),
}
PREFACE = """## What was seen

Held-out contexts, replies drawn from the whole distribution, by the same random numbers at every
step; averages over seeds, and in brackets the least and the most. Dist-2 is of all replies of a
validation together.
"""


def main() -> None:
    options = _parser().parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for way in options.ways:
        results[way] = [_train(options, way, seed) for seed in options.seeds]
    _draw(results, options.picture)
    section = _section(options, results)
    write_section(options.document, "mmi-rl", options.name, section, preface=PREFACE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--shards", type=Path, required=True, help="both models' training shards")
    parser.add_argument("--forward", type=Path, required=True, help="run of the start model")
    parser.add_argument("--backward", type=Path, required=True, help="run of the reward model")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--name", default="runs", help="of the section in the document")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["plain", "both"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--kl-weight", type=float, default=0.2)
    parser.add_argument("--copy-weight", type=float, default=20.0)
    parser.add_argument("--recipe", type=Path, default=ROOT / "configs" / "train" / "mmi_rl.yaml")
    parser.add_argument(
        "--contexts", type=Path, default=ROOT / "configs" / "decode" / "demo_contexts.jsonl"
    )
    parser.add_argument("--examples", type=int, default=3, help="contexts shown with replies")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "mmi-rl.md")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "mmi-rl.png")
    parser.add_argument("--commit", default="", help="what git cannot tell there")
    parser.add_argument("options", nargs="*", help="after --, more options of dialogpt.train")
    return parser


def _train(options: argparse.Namespace, way: str, seed: int) -> dict[str, Any]:
    output = options.keep.resolve() / f"{way}-seed-{seed}"
    command = [sys.executable, "-m", "dialogpt.train", "--config", str(options.recipe.resolve())]
    command += ["--output", str(output), "--data.shards", str(options.shards.resolve())]
    command += ["--model.init", str(options.forward.resolve())]
    command += ["--mmi_rl.backward_model", str(options.backward.resolve())]
    if way in ("kl", "both"):
        command += ["--mmi_rl.kl_weight", str(options.kl_weight)]
    if way in ("copy", "both"):
        command += ["--mmi_rl.copy_weight", str(options.copy_weight)]
    command += ["--max_steps", str(options.steps), "--seed", str(seed), *options.options]
    started = perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    records = read_metrics(output)
    result = {
        "seed": seed,
        "folder": output,
        "seconds": perf_counter() - started,
        "facts": read_facts(output),
        "valid": [record for record in records if record["kind"] == "valid"],
        "train": [record for record in records if record["kind"] == "train"],
    }
    print(json.dumps({"way": way, "seed": seed, **result["valid"][-1]}), flush=True)
    return result


def _section(options: argparse.Namespace, results: dict[str, list[dict[str, Any]]]) -> str:
    facts = next(iter(results.values()))[0]["facts"]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    lines = [f"`{shown_command(sys.argv)}`", ""]
    for way, runs in results.items():
        lines += [f"**{_name(options, way)}**", "", _table(runs), ""]
    lines += [f"People copy {facts['human_copy_rate']:.1%} by the same measure.", ""]
    lines += [_worth(options), ""]
    picture = os.path.relpath(options.picture.resolve(), options.document.resolve().parent)
    lines += [f"![Reward, copy rate and Dist-2 over steps]({picture})", ""]
    lines += _examples(options, results)
    notes = [
        f"Hardware: {gpu or f'CPU, {torch.get_num_threads()} thread(s) a run'}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        f"Model: {facts['parameters']:,} parameters, {facts['precision']}; "
        f"{facts['valid_dialogues']} held-out contexts",
    ]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


def _name(options: argparse.Namespace, way: str) -> str:
    parts = []
    if way in ("kl", "both"):
        parts.append(f"KL x {options.kl_weight:g}")
    if way in ("copy", "both"):
        parts.append(f"copy rate x {options.copy_weight:g}")
    return f"With {' and '.join(parts)}" if parts else "Without regularisers"


def _table(runs: Sequence[dict[str, Any]]) -> str:
    steps = [record["step"] for record in runs[0]["valid"]]
    chosen = sorted({steps[round(i * (len(steps) - 1) / 4)] for i in range(5)})
    rows = []
    for step in chosen:
        records = [r for run in runs for r in run["valid"] if r["step"] == step]
        cells = [
            _cell([record[key] for record in records], form) for key, (_, form) in COLUMNS.items()
        ]
        rows.append([str(step), *cells])
    return table(["step", *(head for head, _ in COLUMNS.values())], rows)


def _cell(values: Sequence[float], form: str) -> str:
    shown = form.format(mean(values))
    if len(values) == 1:
        return shown
    return f"{shown} ({form.format(min(values))} to {form.format(max(values))})"


def _worth(options: argparse.Namespace) -> str:
    """What this backward model gives for replies of four kinds: whether parroting would pay."""
    config, _ = parse_config(
        TrainConfig, ["--config", str(options.recipe), *options.options], prog="mmi_rl"
    )
    assert config.mmi_rl is not None
    length = config.mmi_rl.max_new_tokens
    device = choose_device("auto")
    dtype = choose_dtype("auto", device)
    model = load_model(str(options.backward), "backward", device=device, dtype=dtype)
    scorer = BackwardScorer(
        model.model,
        window=model.window,
        longest_hypothesis=length,
        eos_id=model.tokenizer.eos_id,
        options=MmiConfig(source=config.mmi_rl.source),
    )
    folder = options.shards / "valid"
    reader = ContextReader(
        folder,
        read_manifest(folder),
        max_seq_len=config.data.max_seq_len,
        max_new_tokens=length,
        max_dialogues=config.validation.max_dialogues,
    )
    contexts = reader.read(range(len(reader.dataset)))
    kinds = {
        "what people replied": [context.answer for context in contexts],
        "what people replied elsewhere": [
            context.answer for context in contexts[1:] + contexts[:1]
        ],
        "the last turn repeated": [context.texts[-1] for context in contexts],
        "the first turn repeated": [context.texts[0] for context in contexts],
    }
    replies = [
        [
            GeneratedReply(token_ids=ids[:length], finished=True, forward_log_prob=0.0)
            for ids in group
        ]
        for group in zip(*kinds.values(), strict=True)
    ]
    rewards = BackwardReward(scorer, config.mmi_rl)([c.turn_ids for c in contexts], replies)
    rows = [
        [name, f"{value:.2f}", f"{value - rewards[:, 1].mean():+.2f}"]
        for name, value in zip(kinds, rewards.mean(axis=0), strict=True)
    ]
    note = (
        "Whether parroting would pay at all under this backward model, on the same contexts "
        f"(replies cut to {length} tokens):"
    )
    head = ["reply", "reward, nats", "more than a reply from elsewhere"]
    return "\n".join([note, "", table(head, rows)])


def _draw(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Three panels over steps, a line a run; training faintly, held-out contexts boldly."""
    from matplotlib.figure import Figure

    colors = dict(zip(WAYS, ("#2f6fab", "#c8551b", "#1c8a6a", "#8a2f8f"), strict=True))
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, key in zip(panels, ("reward", "copy_rate", "dist_2"), strict=True):
        for way, runs in results.items():
            for number, run in enumerate(runs):
                for kind, alpha, width in (("train", 0.2, 0.7), ("valid", 1.0, 1.5)):
                    if (key, kind) == ("reward", "train"):
                        continue  # each step has other sources, and some are much longer
                    panel.plot(
                        [record["step"] for record in run[kind]],
                        [record[key] for record in run[kind]],
                        color=colors[way],
                        alpha=alpha,
                        linewidth=width,
                        label=way if kind == "valid" and number == 0 else None,
                    )
        panel.set_title(COLUMNS[key][0], fontsize=10)
        panel.set_xlabel("optimizer step")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _examples(options: argparse.Namespace, results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """One drawn reply of the start model and of the last model of each way's first seed."""
    contexts = read_contexts(str(options.contexts))[: options.examples]
    models = {"start": str(options.forward)}
    models |= {way: str(runs[0]["folder"] / "last") for way, runs in results.items()}
    replies = {name: _replies(model, contexts) for name, model in models.items()}
    rows = [
        [_plain(turns[-1]), *(_plain(replies[name][number]) for name in models)]
        for number, turns in enumerate(contexts)
    ]
    note = "One reply each, drawn among the 10 likeliest tokens, of the last step's models:"
    return [note, "", table(["last turn", *models], rows), ""]


def _replies(model: str, contexts: Sequence[list[str]]) -> list[str]:
    generation = GenerationConfig(num_samples=1, max_new_tokens=32)
    responder, _ = build_responder(ResponderConfig(model=model, generation=generation))
    return [response.text for response in responder.respond_batch(contexts)]


def _plain(text: str) -> str:
    """Text in a cell of a table."""
    return "".join(f"\\{c}" if c in r"\|*_`<>[]" else c for c in text)


if __name__ == "__main__":
    main()
