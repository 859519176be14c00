"""Contexts: where they come from, and what they are in token ids.

A worked example. With the ids hello = 7, there = 8, bye = 9 and end of turn = 0, the turns
["hello there", "bye"] become [[7, 8, 0], [9, 0]], and the model reads 7 8 0 9 0: a context always
ends with the end of a turn. Each turn is encoded for itself, and the separator is put in as an id.
So "<|endoftext|>" or " EOS " within a turn is text like any other.
"""

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from dialogpt.command_line import UserError
from dialogpt.config.decoding import ContextsFormat
from dialogpt.decode.context_formats import (
    GivenContext,
    parse_jsonl,
    parse_text,
    parse_tsv,
    recognize,
)
from dialogpt.records import UNKNOWN_SPEAKER, RecordError
from dialogpt.text import clean_turn
from dialogpt.tokenization import Tokenizer

STANDARD_INPUT = "-"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What was said before the reply that is wanted.

    Attributes:
        turns: cleaned texts, oldest first; at least one.
        turn_ids: token ids of each turn, each ending with the end-of-turn token.
        speakers: who said each; UNKNOWN_SPEAKER where nobody knows. Empty where nobody knows any.
        knowledge: cleaned sentences that the reply may draw on.
        knowledge_ids: token ids of each, without an end.
    """

    turns: tuple[str, ...]
    turn_ids: tuple[list[int], ...]
    speakers: tuple[int, ...] = ()
    knowledge: tuple[str, ...] = ()
    knowledge_ids: tuple[list[int], ...] = ()

    @property
    def replier(self) -> int:
        """Who is to reply: who spoke before the last speaker, or somebody new where nobody did."""
        if not self.speakers or self.speakers[-1] == UNKNOWN_SPEAKER:
            return UNKNOWN_SPEAKER
        last = self.speakers[-1]
        others = [s for s in self.speakers if s not in (last, UNKNOWN_SPEAKER)]
        return others[-1] if others else max(self.speakers) + 1


def encode_contexts(
    tokenizer: Tokenizer, contexts: Sequence[Sequence[str] | GivenContext]
) -> list[Context]:
    """Contexts in text and ids.

    Raises:
        ValueError: a context has no turns, or a turn has no readable character.
    """
    given = [
        context if isinstance(context, GivenContext) else GivenContext(turns=tuple(context))
        for context in contexts
    ]
    cleaned = [tuple(clean_turn(turn) for turn in context.turns) for context in given]
    for number, turns in enumerate(cleaned):
        if not turns or not all(turns):
            raise ValueError(
                f"context {number}: expected turns of readable text, found "
                f"{list(given[number].turns)}"
            )
    known = [tuple(filter(None, map(clean_turn, context.knowledge))) for context in given]
    texts = [
        text for pieces in zip(cleaned, known, strict=True) for group in pieces for text in group
    ]
    ids = iter(tokenizer.encode_batch(texts))
    return [
        Context(
            turns=turns,
            turn_ids=tuple([*next(ids), tokenizer.eos_id] for _ in turns),
            speakers=context.speakers,
            knowledge=knowledge,
            knowledge_ids=tuple(next(ids) for _ in knowledge),
        )
        for context, turns, knowledge in zip(given, cleaned, known, strict=True)
    ]


def latest_turns(turn_ids: Sequence[list[int]], budget: int) -> tuple[list[list[int]], int]:
    """The latest turns that fit into a number of tokens, oldest first, and how many were dropped.

    The oldest turns go first, and whole. If even the latest is too long its head is cut, as in
    training; its end, and the end-of-turn token, stay.

    Args:
        turn_ids: token ids of each turn; at least one turn.
        budget: most tokens of all turns together; at least 1.
    """
    first = len(turn_ids) - 1
    num_tokens = len(turn_ids[first])
    while first > 0 and num_tokens + len(turn_ids[first - 1]) <= budget:
        first -= 1
        num_tokens += len(turn_ids[first])
    kept = list(turn_ids[first:])
    kept[0] = kept[0][-budget:]
    return kept, first


def read_contexts(
    source: str,
    *,
    contexts_format: ContextsFormat | Literal["auto"] = "auto",
    has_weights: bool = False,
    turn_separator: str = "",
) -> list[list[str]]:
    """The cleaned turns of each context in a file; as `read_given_contexts`, and no more of it."""
    contexts = read_given_contexts(
        source,
        contexts_format=contexts_format,
        has_weights=has_weights,
        turn_separator=turn_separator,
    )
    return [list(context.turns) for context in contexts]


def read_given_contexts(
    source: str,
    *,
    contexts_format: ContextsFormat | Literal["auto"] = "auto",
    has_weights: bool = False,
    turn_separator: str = "",
) -> list[GivenContext]:
    """Each context in a file, cleaned; `context_formats` shows what it may look like.

    Args:
        source: a path, or "-" for standard input.
        contexts_format: of the file; auto tells it by ending or content, and logs what it took.
        has_weights: tsv: each turn begins with its weight.
        turn_separator: text: what stands between the turns of a line.

    Raises:
        RecordError: a line is not a context; the message names the file and the line.
        UserError: there is no such file, or it holds no context.
    """
    name, content = _content(source)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = content.count(b"\n", 0, error.start) + 1
        raise RecordError(
            f"{name}:{line_number}: expected UTF-8, found the byte {content[error.start]:#04x}; "
            "save the file as UTF-8"
        ) from error
    found = contexts_format
    if found == "auto":
        found, reason = recognize(name, text, has_weights=has_weights, separator=turn_separator)
        _logger.info("%s: read as %s, %s (--contexts_format changes it)", name, found, reason)
    if found == "jsonl":
        contexts = parse_jsonl(text, name)
    else:
        turns = (
            parse_tsv(text, name, has_weights=has_weights)
            if found == "tsv"
            else parse_text(text, name, separator=turn_separator)
        )
        contexts = [GivenContext(turns=tuple(given)) for given in turns]
    if not contexts:
        raise UserError(f"{name}: expected contexts, found no line with one")
    return contexts


def _content(source: str) -> tuple[str, bytes]:
    """What messages call a source, and its bytes."""
    if source == STANDARD_INPUT:
        return "standard input", sys.stdin.buffer.read()
    if not Path(source).is_file():
        found = "a folder" if Path(source).is_dir() else "nothing"
        raise UserError(f"{source}: expected a file of contexts, found {found}")
    return source, Path(source).read_bytes()


def typed_contexts(source: TextIO, prompts: TextIO) -> Iterator[list[str]]:
    """The cleaned turns of each context that somebody types, one turn a line.

    An empty line, or the end of the input, ends a context; the next one starts from nothing.

    Args:
        source: what is typed; a terminal or a pipe.
        prompts: where the invitation to type goes, if source is a terminal.
    """
    turns: list[str] = []
    if not source.isatty():
        prompts = io.StringIO()  # nobody waits at a pipe
    prompts.write("One turn a line, oldest first; an empty line asks for the reply; Ctrl-D ends.\n")
    while True:
        prompts.write(f"turn {len(turns) + 1}> ")
        prompts.flush()
        line = source.readline()
        turn = clean_turn(line)
        if turn:
            turns.append(turn)
        elif turns:
            if not line:  # the cursor is still behind the prompt
                prompts.write("\n")
            yield turns
            turns = []
        if not line:
            prompts.write("\n")
            return
