"""python -m dialogpt.latents: what each latent of a PLATO says, as in Table 4 of its paper.

Below the replies, with --words, the words that each latent prefers.
"""

import logging
import sys
from collections.abc import Iterable
from io import TextIOWrapper

from dialogpt.command_line import UserError, parse_config, printable, run_command
from dialogpt.config.decoding import ResponderConfig
from dialogpt.config.latents import LatentsConfig
from dialogpt.decode.contexts import read_given_contexts
from dialogpt.decode.display import hanging, shortened
from dialogpt.decode.response import Response
from dialogpt.plato.words import Preference, preferences
from dialogpt.responders import build_responder

_COLUMNS = {"coherence": "coherence", "forward_log_prob": "forward"}
"""Score -> head of its column; a model without response selection has no coherence."""


def main() -> None:
    """Parse the command line and print what the latents say."""
    config, _ = parse_config(LatentsConfig, prog="python -m dialogpt.latents")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a character should not end it.
        sys.stdout.reconfigure(errors="replace")
    run_command(lambda: show_latents(config))


def show_latents(config: LatentsConfig) -> None:
    """Reply to all contexts by every latent, and print replies and words.

    Raises:
        UserError: the model has no latent, or something cannot be read.
    """
    contexts = read_given_contexts(config.contexts, contexts_format=config.contexts_format)
    responder, _ = build_responder(
        ResponderConfig(
            model=config.model,
            generation=config.generation,
            precision=config.precision,
            device=config.device,
        )
    )
    if not responder.num_latents:
        raise UserError(
            f"--model {config.model}: expected a PLATO with a latent (plato.num_latents above 0), "
            "found a model without one; `python -m dialogpt.decode` shows its replies"
        )
    said: dict[int, list[str]] = {latent: [] for latent in range(responder.num_latents)}
    for start in range(0, len(contexts), config.batch_contexts):
        batch = contexts[start : start + config.batch_contexts]
        for number, response in enumerate(
            responder.respond_batch(batch, first_index=start), start=start + 1
        ):
            if number <= config.show:
                print(format_replies(response, title=f"Context {number} of {len(contexts)}") + "\n")
            for hypothesis in response.hypotheses:
                assert hypothesis.latent is not None
                said[hypothesis.latent].append(hypothesis.text)
    if config.words:
        found = preferences(said, prior=config.prior)
        print(format_words(found, num_words=config.words, num_contexts=len(contexts)))


def format_replies(response: Response, *, title: str) -> str:
    """The context and what each latent says to it, in their order; the reply is marked."""
    lines = [title]
    for number, turn in enumerate(response.context, start=1):
        lines.append(hanging(f"  turn {number}: ", shortened(turn)))
    best = response.hypotheses[0]
    columns = {head: name for name, head in _COLUMNS.items() if name in best.scores}
    heads = "".join(f"{head:>10}" for head in columns)
    lines += ["", f"     z{heads}  reply (log-probabilities in nats)"]
    for hypothesis in sorted(response.hypotheses, key=lambda h: (h.latent, -h.scores["score"])):
        mark = ">" if hypothesis is best else " "
        cells = "".join(f"{hypothesis.scores[name]:>10.2f}" for name in columns.values())
        ending = "" if hypothesis.finished else " [cut]"
        lines.append(hanging(f"{mark} {hypothesis.latent:>4}{cells}  ", hypothesis.text + ending))
    return "\n".join(lines)


def format_words(found: dict[int, list[Preference]], *, num_words: int, num_contexts: int) -> str:
    """The words that each latent prefers, with how often it says them and the log-odds."""
    lines = [
        f"Words that each latent prefers, in its replies to {num_contexts} contexts (how often; "
        "log-odds against the others):",
        "",
        "     z  words",
    ]
    lines += [
        hanging(f"{latent:>6}  ", _joined(words[:num_words])) for latent, words in found.items()
    ]
    return "\n".join(lines)


def _joined(words: Iterable[Preference]) -> str:
    # What others say more often is no preference.
    shown = [f"{printable(w.word)} ({w.count}; {w.log_odds:+.2f})" for w in words if w.log_odds > 0]
    return ", ".join(shown) or "none"


if __name__ == "__main__":
    main()
