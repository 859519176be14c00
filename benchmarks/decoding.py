"""How fast replies are found, against transformers on the same models.

    python benchmarks/decoding.py
    python benchmarks/decoding.py --sizes 117M --contexts 4 --device cpu

Models have random weights of the real sizes, so that no reply ends early and all programs do the
same work. Results go to docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.decoding_programs import BASELINES, Work
from benchmarks.report import project_commit, shown_command, table, write_section
from benchmarks.training_programs import FOR_A_CPU, SIZES
from dialogpt.checkpoint import CARD_FILE, ModelCard
from dialogpt.config.decoding import GenerationConfig, ResponderConfig
from dialogpt.config.training import ModelConfig
from dialogpt.decode.contexts import encode_contexts
from dialogpt.decode.generate import generate
from dialogpt.decode.respond import Responder, build_responder
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.models.scoring import continuation_log_probs
from dialogpt.records import write_json
from dialogpt.text import TEXT_RULES
from dialogpt.tokenization import load_tokenizer

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_WINDOW = 256
PREFACE = """## Decoding

Replies to contexts of 32 to 128 tokens: hypotheses sampled from the forward model with top-k 10,
each scored by a backward model of the same size. Random weights, so every hypothesis has all of its
new tokens. On a GPU all compute in bfloat16, on a CPU in float32.

* **ours, `--mmi`**: `Responder.respond_batch`, from text to ranked text, as `python -m
  dialogpt.decode --mmi` calls it. **generation**, **scoring**: these parts of it alone, on ids.
* **transformers, generate**: on left-padded ids, `num_return_sequences` for samples, with its cache
  as it is, and with `cache_implementation="static"`, which it compiles.
* **transformers, scoring**: the backward model's loss from all logits, 16 rows at once.
* **one context**: what one user waits for. First token: of a greedy reply.
"""


def main() -> None:
    options = _parser().parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: expected a CUDA GPU, found none; try --device cpu")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows = _measure(options, size, Path(folder))
        section = f"{options.device}-{size}"
        text = _section(size, rows, options)
        write_section(options.document, "decoding", section, text, preface=PREFACE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    sizes = [*SIZES, *FOR_A_CPU]
    parser.add_argument("--sizes", nargs="+", default=["345M"], choices=sizes, metavar="SIZE")
    parser.add_argument("--contexts", type=int, default=64, help="at once")
    parser.add_argument("--samples", type=int, default=16, help="of each context")
    parser.add_argument("--new-tokens", type=int, default=32, help="of each sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--commit", default="", help="what git cannot tell there")
    return parser


def _measure(options: argparse.Namespace, size: str, folder: Path) -> list[dict[str, Any]]:
    """Each program's name, seconds of every round, and contexts a round."""
    for direction in ("forward", "backward"):
        _write_model(folder / direction, size, direction)
    generation = GenerationConfig(
        num_samples=options.samples,
        max_new_tokens=options.new_tokens,
        min_new_tokens=options.new_tokens,
    )
    config = ResponderConfig(
        model=str(folder / "forward"), mmi=True, generation=generation, device=options.device
    )
    responder, _ = build_responder(config)
    contexts = _contexts(options.contexts)
    encoded = encode_contexts(responder.forward.tokenizer, contexts)
    work = Work(
        folder=folder,
        contexts=[[i for ids in context.turn_ids for i in ids] for context in encoded],
        sources=[[i for ids in reversed(context.turn_ids) for i in ids] for context in encoded],
        generation=generation,
        eos_id=responder.forward.tokenizer.eos_id,
        device=torch.device(options.device),
    )
    forward, tokenizer = responder.forward.model, responder.forward.tokenizer
    ids: dict[str, Any] = {"eos_id": tokenizer.eos_id, "vocab_size": tokenizer.vocab_size}
    replies: list[Any] = []

    def generated() -> None:
        replies[:] = generate(
            *(forward, work.contexts),
            context_indices=range(len(contexts)),
            generation=generation,
            **ids,
        )

    backward, _ = build_backward(config)
    programs: dict[str, tuple[Callable[[], Any], int]] = {
        "ours, `--mmi`": (lambda: responder.respond_batch(contexts), len(contexts)),
        "ours, generation": (generated, len(contexts)),
        "ours, scoring": (
            lambda: continuation_log_probs(backward, work.pairs(replies)),
            len(contexts),
        ),
        **{name: (BASELINES[name](work), len(contexts)) for name in options.baselines},
        "one context: ours, `--mmi`": (lambda: responder.respond(contexts[0]), 1),
        "one context: ours, first token": (lambda: _first_token(responder, work, ids), 1),
    }
    rows = []
    for name, (program, num_contexts) in programs.items():
        rounds = 1 if name.startswith("transformers") and options.device == "cpu" else None
        seconds = _times(program, rounds or options.rounds, options.device)
        rows.append({"program": name, "seconds": seconds, "contexts": num_contexts})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def build_backward(config: ResponderConfig) -> tuple[Any, Any]:
    """The backward model alone, as the responder loads it."""
    from dialogpt.decode.load import choose_device, choose_dtype, load_model

    device = choose_device(config.device)
    loaded = load_model(
        config.twin, "backward", device=device, dtype=choose_dtype(config.precision, device)
    )
    return loaded.model, loaded.tokenizer


class _HeardError(Exception):
    """The first token is there."""


def _first_token(responder: Responder, work: Work, ids: dict[str, Any]) -> None:
    def stop(_: list[int]) -> None:
        raise _HeardError

    try:
        generate(
            *(responder.forward.model, work.contexts[:1]),
            context_indices=[0],
            generation=GenerationConfig(method="greedy", max_new_tokens=32),
            on_tokens=stop,
            **ids,
        )
    except _HeardError:
        return


def _times(program: Callable[[], Any], rounds: int, device: str) -> list[float]:
    """Seconds of each round, after one that compiles and records; the device is waited for."""
    seconds = []
    for _ in range(rounds + 1):
        started = perf_counter()
        program()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(perf_counter() - started)
    return seconds[1:]


def _write_model(folder: Path, size: str, direction: str) -> None:
    """A model folder as training leaves it, with random weights."""
    layers, width, heads = (SIZES | FOR_A_CPU)[size]
    torch.manual_seed(len(direction))
    tokenizer = load_tokenizer("gpt2")
    config = ModelConfig(num_layers=layers, hidden_size=width, num_heads=heads, dropout=0.0)
    model = build_gpt2(config, vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id)
    folder.mkdir(parents=True)
    model.save(folder)
    tokenizer.save(folder)
    card = ModelCard(
        direction=direction,  # type: ignore[arg-type]
        max_seq_len=_WINDOW,
        text_rules=TEXT_RULES,
        tokenizer_kind=tokenizer.kind,
        tokenizer_fingerprint=tokenizer.fingerprint,
        eos_id=tokenizer.eos_id,
        step=1,
        valid_loss=None,
    )
    write_json(folder / CARD_FILE, asdict(card))


_WORDS = "we you they what when this that good new long time know think want make day way"


def _contexts(number: int) -> list[list[str]]:
    """Two or three turns of 32 to 128 words together, each word one token."""
    draw = random.Random(0)
    contexts = []
    for _ in range(number):
        num_turns = draw.randint(2, 3)
        size = draw.randint(32, 128) // num_turns
        contexts.append([" ".join(draw.choices(_WORDS.split(), k=size)) for _ in range(num_turns)])
    return contexts


def _section(size: str, rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    body = []
    for row in rows:
        seconds = sorted(row["seconds"])
        body.append(
            [
                row["program"],
                f"{median(seconds):.3f} ({seconds[0]:.3f}-{seconds[-1]:.3f})",
                f"{row['contexts'] / median(seconds):,.1f}",
            ]
        )
    on_cpu = options.device == "cpu"
    hardware = f"{torch.get_num_threads()} CPU cores" if on_cpu else torch.cuda.get_device_name()
    import transformers

    notes = [
        f"Hardware: {hardware}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        f"{options.contexts} contexts at once, {options.samples} samples of {options.new_tokens} "
        "new tokens each",
        f"Seconds: median of {options.rounds} rounds (transformers on a CPU: 1), lowest and "
        "highest in brackets",
    ]
    title = f"### {size}, {'CPU' if on_cpu else 'GPU'}"
    head = ["program", "seconds", "contexts/s"]
    lines = [title, "", f"`{shown_command(sys.argv)}`", "", table(head, body), ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


if __name__ == "__main__":
    main()
