"""How fast PLATO replies: all latents at once, against one after another.

    python benchmarks/plato_decoding.py
    python benchmarks/plato_decoding.py --size tiny --contexts 4 --device cpu    # to try out

Models have random weights of the real sizes, and no reply ends early, so that all programs do the
same work. Before anything is timed, all must find the same replies in float32. Results go to
docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.plato_decoding_programs import LatentByLatent
from benchmarks.report import project_commit, shown_command, table, write_section
from dialogpt.checkpoint import CARD_FILE, untrained_card
from dialogpt.config.decoding import GenerationConfig, ResponderConfig
from dialogpt.config.plato import PlatoConfig
from dialogpt.decode.contexts import encode_contexts
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import PlatoNetwork, PlatoSizes
from dialogpt.plato.respond import PlatoResponder, build_plato_responder
from dialogpt.plato.sequence import Columns
from dialogpt.records import write_json
from dialogpt.text import TEXT_RULES
from dialogpt.wordpiece import BOU, CLS, EOU, MASK, PAD, SEP, UNK, WordPieceTokenizer

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
SIZES = {"full": (12, 768, 12, 30_522), "tiny": (2, 32, 4, 500)}
"""Layers, width, heads, vocabulary; full is the paper's."""
CHECKED = 3
"""Contexts that all programs reply to in float32 first."""
TOLERANCE = 2e-3
"""Nats, between log-probabilities of the same reply."""
PREFACE = """## Decoding with PLATO

Replies to contexts of 64 to 256 tokens: beam search for each latent, then a recognition pass over
every candidate, from which the most coherent one is the reply. Random weights; no reply ends early.
On a GPU all compute in bfloat16, on a CPU in float32. Before, in float32, all programs must find
the same replies.

* **ours**: `respond_batch`, from text to ranked text, as `python -m dialogpt.decode` calls it.
* **ours, context does not see z**: the same for a model with `latent_visible_to_context: false`,
  which reads a context once for all latents. Not the paper's model.
* **latents one by one**: plain torch as the authors' code and a loop around transformers'
  `generate` do it: each latent its own beam search with a copy of the cache for each beam, which is
  copied again at each step. On ids, without text.
"""


def main() -> None:
    options = _parser().parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: expected a CUDA GPU, found none; try --device cpu")
    contexts = _contexts(max(options.contexts, CHECKED), SIZES[options.size][3])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("paper", "blind"):
            _write_model(Path(folder) / name, options, is_blind=name == "blind")
            _check(Path(folder) / name, contexts[:CHECKED], options)
        rows = _measure(options, Path(folder), contexts[: options.contexts])
    section = f"{options.device}-{options.size}"
    write_section(
        *(options.document, "plato-decoding", section, _section(rows, options)), preface=PREFACE
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--size", default="full", choices=list(SIZES))
    parser.add_argument("--latents", type=int, default=20)
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--contexts", type=int, default=16, help="in all")
    parser.add_argument("--at-once", type=int, nargs="+", default=[16, 1], help="contexts, ours")
    parser.add_argument(
        "--one-by-one", type=int, nargs="*", default=[1, 16], help="contexts at once, a latent"
    )
    parser.add_argument("--new-tokens", type=int, default=30, help="of each reply")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--commit", default="", help="what git cannot tell there")
    return parser


def _generation(options: argparse.Namespace) -> GenerationConfig:
    return GenerationConfig(
        method="beam",
        beam_size=options.beams,
        length_penalty=0.0,
        max_new_tokens=options.new_tokens,
        min_new_tokens=options.new_tokens,
    )


def _responder(folder: Path, options: argparse.Namespace, *, precision: str) -> PlatoResponder:
    config = ResponderConfig(
        model=str(folder),
        generation=_generation(options),
        device=options.device,
        precision=precision,  # type: ignore[arg-type]
    )
    return build_plato_responder(config)[0]


def _check(folder: Path, contexts: list[list[str]], options: argparse.Namespace) -> None:
    """Exit unless all programs find replies of the same probability and coherence in float32."""
    responder = _responder(folder, options, precision="fp32")
    loaded = responder.forward
    columns = [loaded.context_columns(c) for c in encode_contexts(loaded.tokenizer, contexts)]
    expected = LatentByLatent(loaded, responder.generation, batch=2)(columns)
    furthest, num_same, num_all = 0.0, 0, 0
    for response, replies in zip(responder.respond_batch(contexts), expected, strict=True):
        ours = sorted(response.hypotheses, key=lambda h: h.latent or 0)
        for hypothesis, reply in zip(ours, replies, strict=True):
            coherence = float(torch.nn.functional.logsigmoid(torch.tensor(reply.logit)))
            num_all += 1
            furthest = max(furthest, abs(hypothesis.scores["forward_log_prob"] - reply.log_prob))
            if hypothesis.token_ids == reply.token_ids:
                num_same += 1
                furthest = max(furthest, abs(hypothesis.scores["coherence"] - coherence))
    print(f"{folder.name}: {num_same} of {num_all} replies the same, {furthest:.1e} nats apart")
    # Of two beginnings that are as likely to the last digit either may be kept.
    if furthest > TOLERANCE or num_same < 0.9 * num_all:
        sys.exit("error: expected the same replies from all programs; do not believe the times")


def _measure(
    options: argparse.Namespace, folder: Path, contexts: list[list[str]]
) -> list[dict[str, Any]]:
    """Each program's name, and the seconds of every round."""
    ours = {
        "ours": _responder(folder / "paper", options, precision="auto"),
        "ours, context does not see z": _responder(folder / "blind", options, precision="auto"),
    }
    loaded = ours["ours"].forward
    columns = [loaded.context_columns(c) for c in encode_contexts(loaded.tokenizer, contexts)]
    # Each with the contexts it warms up on: ours compiles and records for each shape it meets.
    programs: list[tuple[str, Callable[[int], Any], int, int]] = []
    for size in options.one_by_one:
        plain = LatentByLatent(loaded, _generation(options), batch=size)
        name = f"latents one by one, {size} contexts at once"
        programs.append((name, partial(_find, plain, columns), 1, 1))
    for kind, responder in ours.items():
        for size in options.at_once:
            name = f"{kind}, {size} contexts at once"
            program = partial(_respond, responder, contexts, size)
            programs.append((name, program, len(contexts), options.rounds))
    rows = []
    for name, program, warm_up, rounds in programs:
        numbers = [warm_up] + [len(contexts)] * rounds
        seconds = _times(program, numbers, options.device)[1:]
        rows.append({"program": name.replace(" 1 contexts", " 1 context"), "seconds": seconds})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _find(plain: LatentByLatent, columns: Sequence[Columns], number: int) -> None:
    plain(columns[:number])


def _respond(
    responder: PlatoResponder, contexts: Sequence[list[str]], size: int, number: int
) -> None:
    for start in range(0, number, size):
        responder.respond_batch(contexts[start : min(start + size, number)], first_index=start)


def _times(program: Callable[[int], Any], numbers: Sequence[int], device: str) -> list[float]:
    """Seconds of each round, of so many contexts; the device is waited for."""
    seconds = []
    for number in numbers:
        started = perf_counter()
        program(number)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(perf_counter() - started)
    return seconds


def _write_model(folder: Path, options: argparse.Namespace, *, is_blind: bool) -> None:
    """A model folder as training leaves it, with random weights."""
    layers, width, heads, vocab_size = SIZES[options.size]
    torch.manual_seed(0)
    sizes = PlatoSizes(
        num_layers=layers,
        hidden_size=width,
        num_heads=heads,
        inner_size=4 * width,
        num_positions=512,
        vocab_size=vocab_size,
        num_latents=options.latents,
        blocks="bert",
        norm_eps=1e-12,
    )
    config = PlatoConfig(num_latents=options.latents, latent_visible_to_context=not is_blind)
    model = PlatoModel(PlatoNetwork(sizes, dropout=0.0), config)
    folder.mkdir(parents=True)
    model.save(folder)
    tokenizer = WordPieceTokenizer(_pieces(vocab_size))
    tokenizer.save(folder)
    card = untrained_card(
        tokenizer,
        direction="forward",
        max_seq_len=config.sequence.longest_row,
        text_rules=TEXT_RULES,
    )
    write_json(folder / CARD_FILE, asdict(card))


_CONTROLS = (PAD, BOU, EOU, UNK, CLS, SEP, MASK)


def _pieces(vocab_size: int) -> list[str]:
    """A vocabulary of the right size; every word in it is one token."""
    return [*_CONTROLS, *(f"w{number}" for number in range(vocab_size - len(_CONTROLS)))]


def _contexts(number: int, vocab_size: int) -> list[list[str]]:
    """Two to six turns of 64 to 256 words together, each word one token."""
    draw = random.Random(0)
    words = _pieces(vocab_size)[len(_CONTROLS) :]
    contexts = []
    for _ in range(number):
        num_turns = draw.randint(2, 6)
        size = draw.randint(64, 256) // num_turns - 1
        contexts.append([" ".join(draw.choices(words, k=size)) for _ in range(num_turns)])
    return contexts


def _section(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    body = []
    slowest = median(rows[0]["seconds"])
    for row in rows:
        seconds = sorted(row["seconds"])
        body.append(
            [
                row["program"],
                f"{median(seconds):.3f} ({seconds[0]:.3f}-{seconds[-1]:.3f})",
                f"{options.contexts / median(seconds):,.2f}",
                f"{slowest / median(seconds):,.1f}",
            ]
        )
    on_cpu = options.device == "cpu"
    hardware = f"{torch.get_num_threads()} CPU cores" if on_cpu else torch.cuda.get_device_name()
    layers, width, _, vocab_size = SIZES[options.size]
    notes = [
        f"Hardware: {hardware}",
        f"Software: Python {platform.python_version()}, torch {torch.__version__}",
        f"Project: commit {options.commit or project_commit()}",
        f"Date: {date.today()}",
        f"{layers} layers of width {width}, {vocab_size:,} tokens, {options.latents} latents, "
        f"{options.beams} beams each, replies of {options.new_tokens} tokens, "
        f"{options.contexts} contexts",
        f"Seconds: median of {options.rounds} rounds (one by one, which takes minutes: 1), lowest "
        "and highest in brackets; times faster than the first row",
    ]
    title = f"### {options.size}, {'CPU' if on_cpu else 'GPU'}"
    head = ["program", "seconds", "contexts/s", "times faster"]
    lines = [title, "", f"`{shown_command(sys.argv)}`", "", table(head, body), ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


if __name__ == "__main__":
    main()
