"""Contexts: where they come from, and what they are in token ids.

A worked example. With the ids hello = 7, there = 8, bye = 9 and end of turn = 0, the turns
["hello there", "bye"] become [[7, 8, 0], [9, 0]], and the model reads 7 8 0 9 0: a context always
ends with the end of a turn. Each turn is encoded for itself, and the separator is put in as an id.
So "<|endoftext|>" or " EOS " within a turn is text like any other.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from dialogpt.command_line import UserError
from dialogpt.records import RecordError, json_lines
from dialogpt.text import clean_turn
from dialogpt.tokenization import Tokenizer

STANDARD_INPUT = "-"
_EXPECTED = 'expected {"turns": ["...", ...]} or a list of turns, oldest first'
_TURN_KEYS = ("turns", "context")


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What was said before the reply that is wanted.

    Attributes:
        turns: cleaned texts, oldest first; at least one.
        turn_ids: token ids of each turn, each ending with the end-of-turn token.
    """

    turns: tuple[str, ...]
    turn_ids: tuple[list[int], ...]


def encode_contexts(tokenizer: Tokenizer, contexts: Sequence[Sequence[str]]) -> list[Context]:
    """Contexts in text and ids.

    Raises:
        ValueError: a context has no turns, or a turn has no readable character.
    """
    cleaned = [tuple(clean_turn(turn) for turn in turns) for turns in contexts]
    for number, turns in enumerate(cleaned):
        if not turns or not all(turns):
            raise ValueError(
                f"context {number}: expected turns of readable text, found {list(contexts[number])}"
            )
    ids = iter(tokenizer.encode_batch([turn for turns in cleaned for turn in turns]))
    return [
        Context(turns=turns, turn_ids=tuple([*next(ids), tokenizer.eos_id] for _ in turns))
        for turns in cleaned
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


def read_contexts(source: str) -> list[list[str]]:
    """The cleaned turns of each context in a JSON Lines file.

    Args:
        source: a path, or "-" for standard input.

    Raises:
        RecordError: a line is not a context; the message names the file and the line.
        UserError: there is no such file, or it holds no context.
    """
    if source == STANDARD_INPUT:
        name, content = "standard input", sys.stdin.buffer.read()
    else:
        name = source
        if not Path(source).is_file():
            found = "a folder" if Path(source).is_dir() else "nothing"
            raise UserError(f"{source}: expected a JSON Lines file of contexts, found {found}")
        content = Path(source).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = content.count(b"\n", 0, error.start) + 1
        raise RecordError(
            f"{name}:{line_number}: expected UTF-8, found the byte {content[error.start]:#04x}; "
            "save the file as UTF-8"
        ) from error
    contexts = [
        _turns_of(value, where=f"{name}:{line_number}")
        for line_number, value in json_lines(io.StringIO(text), name)
    ]
    if not contexts:
        raise UserError(f"{name}: {_EXPECTED} on each line, found no line")
    return contexts


def _turns_of(value: Any, *, where: str) -> list[str]:
    """The cleaned turns of one decoded line."""
    turns = value
    if isinstance(value, dict):
        keys = [key for key in _TURN_KEYS if key in value]
        if len(keys) != 1:
            raise RecordError(f"{where}: {_EXPECTED}, found an object with the keys {list(value)}")
        turns = value[keys[0]]
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        found = json.dumps(value, ensure_ascii=False)[:60]
        raise RecordError(f"{where}: {_EXPECTED}, found {found}")
    if not turns:
        raise RecordError(f"{where}: {_EXPECTED}, found no turns; give at least one")
    cleaned = [clean_turn(turn) for turn in turns]
    if not all(cleaned):
        raise RecordError(
            f"{where}: expected text in every turn, found nothing readable in turn "
            f"{cleaned.index('') + 1} of {len(turns)}; remove or mend that turn"
        )
    return cleaned


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
