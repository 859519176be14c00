"""Replies of several systems to the same contexts, from their files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.humaneval.fields import brief
from dialogpt.records import json_lines
from dialogpt.text import clean_turn

_END = "the end of the file"
_REMEDY = "mend the line, or remove the item from all files"


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemReplies:
    """What one system says.

    Attributes:
        name: of the system.
        replies: one a context, cleaned; "" where it says nothing.
    """

    name: str
    replies: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What is replied to.

    Attributes:
        turns: cleaned, oldest first.
        speakers: one number a turn, 0 for whoever speaks first, 1 for the next new voice; empty
            where no file says.
    """

    turns: tuple[str, ...]
    speakers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    number: int
    turns: tuple[str, ...]
    reply: str
    speakers: tuple[int, ...]


def read_systems(
    files: Sequence[tuple[str, Path]],
) -> tuple[tuple[Context, ...], tuple[SystemReplies, ...]]:
    """The contexts that all files share, and each system's replies to them.

    Texts are cleaned by the rules of `dialogpt.text`, so that a system's contexts, which were
    cleaned before it replied, compare with those of a test set.

    Args:
        files: name and file of each system; at least one.

    Returns:
        The contexts; the systems in their order.

    Raises:
        UserError: a file is missing, a line is no reply, or two files differ in a context; the
            message names the first line.
        RecordError: a line is not JSON.
    """
    first_name, first_file = files[0]
    first = list(_replies_of(first_name, first_file))
    if not first:
        raise UserError(
            f"{first_name}={first_file}: expected replies, found an empty file; name another one"
        )
    speakers = [line.speakers for line in first]
    systems = [SystemReplies(name=first_name, replies=tuple(line.reply for line in first))]
    for name, file in files[1:]:
        lines = list(_replies_of(name, file))
        for expected, found in zip_longest(first, lines):
            if expected is None or found is None or expected.turns != found.turns:
                number = found.number if found else f"after {lines[-1].number if lines else 0}"
                raise UserError(
                    f"{name}={file}: line {number}: expected the context of {first_name}, "
                    f"{_shown(expected)}, found {_shown(found)}; all systems must reply to the "
                    "same contexts in the same order"
                )
        speakers = [known or line.speakers for known, line in zip(speakers, lines, strict=True)]
        systems.append(SystemReplies(name=name, replies=tuple(line.reply for line in lines)))
    contexts = (
        Context(turns=line.turns, speakers=known)
        for line, known in zip(first, speakers, strict=True)
    )
    return tuple(contexts), tuple(systems)


def _shown(line: _Line | None) -> str:
    """A context in a message."""
    if line is None:
        return _END
    text = repr(list(line.turns))
    return text if len(text) <= 120 else text[:117] + "..."


def _replies_of(name: str, file: Path) -> Iterator[_Line]:
    for number, value in read_lines(file, name):
        where = f"{name}={file}: line {number}"
        turns, reply = _turns_and_reply(value, where=where)
        speakers = speakers_of(value, turns, where=where)
        yield _Line(number=number, turns=turns, reply=reply, speakers=speakers)


def read_lines(file: Path, name: str) -> Iterator[tuple[int, Any]]:
    """Line number (from 1) and decoded value of each line of a JSON Lines file.

    Args:
        file: to read.
        name: what it is for, in an error.

    Raises:
        UserError: there is no such file, or it is not UTF-8.
        RecordError: a line is not JSON.
    """
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise UserError(
            f"{name}={file}: expected a JSON Lines file, found {found}; name another one"
        )
    try:
        with file.open(encoding="utf-8-sig") as source:
            yield from json_lines(source, str(file))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}={file}: expected UTF-8, found {error}; save the file as UTF-8"
        ) from error


def _turns_and_reply(value: Any, *, where: str) -> tuple[tuple[str, ...], str]:
    """Of a line as `dialogpt.decode` writes them, or of a test set."""
    keys = value if isinstance(value, dict) else {}
    if "response" in keys:
        turns, reply = keys.get("context"), keys["response"]
    elif "references" in keys:
        turns, reply = keys.get("turns"), keys.get("human")
        if reply is None:
            raise UserError(
                f"{where}: expected a reply of a person under 'human', found none; remove the item "
                "from all files"
            )
    else:
        raise UserError(
            f"{where}: expected 'context' and 'response' (as dialogpt.decode writes them) or an "
            f"item of a test set, found "
            f"{f'the keys {brief(list(keys))}' if keys else brief(value)}; {_REMEDY}"
        )
    if not isinstance(reply, str):
        raise UserError(f"{where}: expected a reply as text, found {brief(reply)}; {_REMEDY}")
    return clean_turns(turns, where=where), clean_turn(reply)


def clean_turns(turns: Any, *, where: str, remedy: str = _REMEDY) -> tuple[str, ...]:
    """The cleaned turns of a context.

    Args:
        turns: what stands there.
        where: file and line.
        remedy: what to do where they are none.

    Raises:
        UserError: they are no list of texts, there is none, or one holds nothing readable.
    """
    texts = turns if isinstance(turns, list) and all(isinstance(t, str) for t in turns) else []
    cleaned = tuple(map(clean_turn, texts))
    if not cleaned or not all(cleaned):
        raise UserError(
            f"{where}: expected a list of readable turns, oldest first, found "
            f"{brief(turns)}; {remedy}"
        )
    return cleaned


def speakers_of(value: Mapping[str, Any], turns: Sequence[str], *, where: str) -> tuple[int, ...]:
    """Who speaks, by the key `speakers`: numbers from 0 in the order of the voices.

    Raises:
        UserError: there is not one number a turn.
    """
    numbers = value.get("speakers") or []
    if numbers and not (
        isinstance(numbers, list)
        and len(numbers) == len(turns)
        and all(type(number) is int for number in numbers)
    ):
        raise UserError(
            f"{where}: expected one number a turn under 'speakers', {len(turns)} of them, found "
            f"{brief(numbers)}; mend it, or remove the key"
        )
    voices = list(dict.fromkeys(numbers))
    return tuple(voices.index(number) for number in numbers)
