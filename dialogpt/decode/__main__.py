"""python -m dialogpt.decode: contexts in, ranked replies out."""

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import count
from pathlib import Path

from tqdm import tqdm

from dialogpt.command_line import parse_config, refuse_to_overwrite, run_command
from dialogpt.config.decoding import DecodeConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.contexts import read_given_contexts, typed_contexts
from dialogpt.decode.display import format_line, format_table
from dialogpt.decode.output import ResponseWriter, output_format_of
from dialogpt.decode.response import AnyResponder, Response
from dialogpt.responders import build_responder


def main() -> None:
    """Parse the command line and decode."""
    config, _ = parse_config(DecodeConfig, prog="python -m dialogpt.decode")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for stream in (sys.stdin, sys.stdout):
        # Typed bytes that are no UTF-8, or a terminal that lacks a character, should not end it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    run_command(lambda: decode(config))


def decode(config: DecodeConfig) -> None:
    """Reply to all contexts, print the replies, and write the file of hypotheses if wanted."""
    # What can be wrong with the files is found before the models are loaded.
    output = Path(config.output) if config.output else None
    if output is not None:
        refuse_to_overwrite(output)
    contexts = _contexts(config)
    responder, settings = build_responder(config)
    print(f"Forward model {settings['model']}", file=sys.stderr)
    if config.mmi:
        print(f"Backward model {settings['backward_model']}", file=sys.stderr)
    if contexts is None:
        responses, num_contexts = _prompted(responder), None
    else:
        responses = _answered(responder, contexts, batch_contexts=config.batch_contexts)
        num_contexts = len(contexts)
        num_known = sum(bool(context.knowledge) for context in contexts)
        if num_known and not responder.reads_knowledge:
            print(
                f"The knowledge of {num_known} contexts is not read: the model takes none",
                file=sys.stderr,
            )
    counts = _FilterCounts()
    output_format = output_format_of(config.output, config.output_format)
    writer = (
        ResponseWriter(output, settings=settings, output_format=output_format)
        if output is not None
        else nullcontext()
    )
    with writer as lines:
        for number, response in enumerate(responses, start=1):
            of_how_many = f" of {num_contexts}" if num_contexts is not None else ""
            if number <= config.show:
                # tqdm.write keeps the progress bar out of the text.
                tqdm.write(format_table(response, title=f"Context {number}{of_how_many}") + "\n")
            else:
                tqdm.write(format_line(response))
            if lines is not None:
                lines.write(response)
            counts.add(response)
    if responder.filters:
        print(counts.summary(), file=sys.stderr)
    if output is not None:
        print(f"Wrote {output} ({output_format})", file=sys.stderr)


def _contexts(config: DecodeConfig) -> list[GivenContext] | None:
    """The contexts of the file; None where they are typed."""
    if not config.contexts:
        return None
    return read_given_contexts(
        config.contexts,
        contexts_format=config.contexts_format,
        has_weights=config.has_weights,
        turn_separator=config.turn_separator,
    )


@dataclass(kw_only=True, slots=True)
class _FilterCounts:
    """What the filters did over all responses.

    Attributes:
        dropped: reason -> hypotheses.
        num_hypotheses: dropped or not.
        num_fallbacks: contexts whose reply is the fallback.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    num_hypotheses: int = 0
    num_fallbacks: int = 0

    def add(self, response: Response) -> None:
        """Count one more."""
        self.dropped.update(filtered.objection.reason for filtered in response.filtered)
        self.num_hypotheses += len(response.hypotheses) + len(response.filtered)
        self.num_fallbacks += response.is_fallback

    def summary(self) -> str:
        """A line, and one more for each reason."""
        total = (
            f"Filter: {self.dropped.total()} of {self.num_hypotheses} candidates dropped; the "
            f"fallback was the reply to {self.num_fallbacks} contexts"
        )
        reasons = [f"  - {reason:<24}{count:>8}" for reason, count in self.dropped.most_common()]
        return "\n".join([total, *reasons])


def _answered(
    responder: AnyResponder, contexts: list[GivenContext], *, batch_contexts: int
) -> Iterator[Response]:
    """The responses to contexts of a file, in order, with a progress bar on a terminal."""
    # disable=None: in a pipe or a log file there is none to draw over.
    with tqdm(total=len(contexts), desc="replies", unit="context", disable=None) as progress:
        for start in range(0, len(contexts), batch_contexts):
            batch = contexts[start : start + batch_contexts]
            responses = responder.respond_batch(batch, first_index=start)
            progress.update(len(batch))
            yield from responses


def _prompted(responder: AnyResponder) -> Iterator[Response]:
    """The responses to contexts that are typed."""
    for context_index, turns in zip(count(), typed_contexts(sys.stdin, sys.stderr)):
        yield responder.respond(turns, context_index=context_index)


if __name__ == "__main__":
    main()
