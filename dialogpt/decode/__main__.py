"""python -m dialogpt.decode: contexts in, ranked replies out."""

import logging
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from io import TextIOWrapper
from itertools import count
from pathlib import Path

from tqdm import tqdm

from dialogpt.command_line import parse_config, run_command
from dialogpt.config.decoding import DecodeConfig
from dialogpt.decode.contexts import read_contexts, typed_contexts
from dialogpt.decode.display import format_line, format_table
from dialogpt.decode.respond import (
    Responder,
    Response,
    ResponseWriter,
    build_responder,
    refuse_to_overwrite,
)


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
    contexts = read_contexts(config.contexts) if config.contexts else None
    responder, settings = build_responder(config)
    print(f"Forward model {settings['model']}", file=sys.stderr)
    if config.mmi:
        print(f"Backward model {settings['backward_model']}", file=sys.stderr)
    if contexts is None:
        responses, num_contexts = _prompted(responder), None
    else:
        responses = _answered(responder, contexts, batch_contexts=config.batch_contexts)
        num_contexts = len(contexts)
    writer = ResponseWriter(output, settings=settings) if output is not None else nullcontext()
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
    if output is not None:
        print(f"Wrote {output}", file=sys.stderr)


def _answered(
    responder: Responder, contexts: list[list[str]], *, batch_contexts: int
) -> Iterator[Response]:
    """The responses to contexts of a file, in order, with a progress bar on a terminal."""
    # disable=None: in a pipe or a log file there is none to draw over.
    with tqdm(total=len(contexts), desc="replies", unit="context", disable=None) as progress:
        for start in range(0, len(contexts), batch_contexts):
            batch = contexts[start : start + batch_contexts]
            responses = responder.respond_batch(batch, first_index=start)
            progress.update(len(batch))
            yield from responses


def _prompted(responder: Responder) -> Iterator[Response]:
    """The responses to contexts that are typed."""
    for context_index, turns in zip(count(), typed_contexts(sys.stdin, sys.stderr)):
        yield responder.respond(turns, context_index=context_index)


if __name__ == "__main__":
    main()
