"""Test sets and replies from files, in step: a segment is an item and a reply of each system.

Files that do not go together are refused, with the first line that does not fit.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.dialogue_text import join_turns
from dialogpt.records import RecordError, TestItem, read_test_items
from dialogpt.text import clean_turn

_SHOWN = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a system said.

    Attributes:
        text: the reply; "" is a reply that is empty.
        where: file and line, for messages.
        context: what it replied to, one string however many turns; None where the file has none.
        candidates: all that could have been said, best first; none where the file has none.
    """

    text: str
    where: str
    context: str | None = None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """An item of the test set and what each system said to it.

    Attributes:
        item: of the test set; without turns where the references are plain text.
        replies: in the order of the systems.
    """

    item: TestItem
    replies: tuple[Reply, ...]


def read_segments(
    references: Sequence[str], systems: Sequence[tuple[str, str]]
) -> Iterator[Segment]:
    """All segments, in the order of the files.

    Args:
        references: one JSON Lines file of items, or text files, one reference a line.
        systems: name and file of each.

    Raises:
        UserError: a file is missing or empty, files differ in length, or a system replied to
            another context.
        RecordError: a line is not what it should be.
    """
    items = read_items(references)
    readers = [_replies(Path(file)) for _, file in systems]
    for number in count(1):
        item = next(items, None)
        found = [next(reader, None) for reader in readers]
        if item is None:
            break
        replies = []
        for (name, file), reply in zip(systems, found, strict=True):
            if reply is None:
                raise UserError(
                    f"{file}: expected a reply of {name} to item {number:,} of {references[0]}, "
                    f"found the end of the file after {number - 1:,}; decode the rest"
                )
            _check_context(item, reply, name=name, number=number)
            replies.append(reply)
        yield Segment(item=item, replies=tuple(replies))
    if number == 1:
        raise UserError(f"{references[0]}: expected items of a test set, found none")
    for (name, _), reply in zip(systems, found, strict=True):
        if reply is not None:
            raise UserError(
                f"{reply.where}: expected no more replies of {name}, as {references[0]} ends after "
                f"item {number - 1:,}, found {_shown(reply.text)}; are they of this test set?"
            )


def read_items(references: Sequence[str]) -> Iterator[TestItem]:
    """The items of a JSON Lines file, or of text files that each have one reference a line.

    Raises:
        UserError: a file is missing, or text files differ in length.
        RecordError: a line is no item, is not UTF-8, or no file has a reference there.
    """
    paths = [_existing(name) for name in references]
    if len(paths) == 1 and _is_json(paths[0]):
        yield from read_test_items(paths[0])
        return
    for path in paths:
        if _is_json(path):
            raise UserError(
                f"--references {path}: expected text beside other text files, found JSON; name one "
                "file of items, or text files only"
            )
    for number, texts in enumerate(zip_longest(*map(_lines, paths)), start=1):
        for path, text in zip(paths, texts, strict=True):
            if text is None:
                raise UserError(
                    f"{path}:{number}: expected a reference, as there is one in "
                    f"{paths[0] if texts[0] is not None else paths[1]}, found the end of the file; "
                    "an empty line says that there is none"
                )
        given = tuple(text for text in texts if text and text.strip())
        if not given:
            raise RecordError(
                f"{paths[0].name}:{number}: expected a reference here or in another file, found "
                "none; remove the line from all files"
            )
        yield TestItem(id=f"line-{number}", turns=(), references=given)


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise UserError(f"{path}: expected a file, found {found}")
    return path


def _is_json(path: Path) -> bool:
    """By its ending, or by its first character."""
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return True
    with path.open("rb") as source:
        return source.read(4).removeprefix(b"\xef\xbb\xbf").startswith(b"{")


def _replies(path: Path) -> Iterator[Reply]:
    path = _existing(str(path))
    read: Callable[[Path], Iterator[Reply]] = _text_replies
    if _is_json(path):
        read = _json_replies
    elif path.suffix.lower() == ".tsv":
        read = _tsv_replies
    return read(path)


def _text_replies(path: Path) -> Iterator[Reply]:
    for number, line in enumerate(_lines(path), start=1):
        if "\t" in line:
            raise RecordError(
                f"{path}:{number}: expected a reply alone, found a tab in it; name a file of "
                "contexts and replies .tsv, or put a blank there"
            )
        yield Reply(text=line, where=f"{path}:{number}")


def _tsv_replies(path: Path) -> Iterator[Reply]:
    for number, line in enumerate(_lines(path), start=1):
        context, tab, text = line.rpartition("\t")
        if not tab:
            raise RecordError(
                f"{path}:{number}: expected a context, a tab and a reply, found "
                f"{_shown(line)}; name a file of replies alone .txt"
            )
        yield Reply(text=text, where=f"{path}:{number}", context=context)


def _json_replies(path: Path) -> Iterator[Reply]:
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RecordError(
                f"{where}: expected one JSON object a line, found {_shown(line)}"
            ) from error
        text = value.get("response") if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise RecordError(
                f"{where}: expected an object with a text under 'response', as dialogpt.decode "
                f"writes it, found {_shown(line)}"
            )
        turns = value.get("context")
        is_known = isinstance(turns, list) and all(isinstance(turn, str) for turn in turns)
        yield Reply(
            text=text,
            where=where,
            context=join_turns(turns) if is_known else None,
            candidates=tuple(_candidates(value)),
        )


def _candidates(value: dict[str, Any]) -> Iterator[str]:
    """The texts under "hypotheses", as dialogpt.decode writes them; others are passed over."""
    hypotheses = value.get("hypotheses")
    for hypothesis in hypotheses if isinstance(hypotheses, list) else ():
        text = hypothesis.get("text") if isinstance(hypothesis, dict) else None
        if isinstance(text, str):
            yield text


def _lines(path: Path) -> Iterator[str]:
    """Lines without their ends. Only line feeds end one: a reply may hold U+2028."""
    with path.open("rb") as source:
        for number, line in enumerate(source, start=1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            try:
                yield content.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise RecordError(
                    f"{path}:{number}: expected UTF-8, found the byte "
                    f"{content[error.start]:#04x}; save the file as UTF-8"
                ) from error


def _check_context(item: TestItem, reply: Reply, *, name: str, number: int) -> None:
    """Raise UserError where a reply is known to be to other turns than the item's."""
    if reply.context is None or not item.turns:
        return
    wanted = join_turns([clean_turn(turn) for turn in item.turns])
    if clean_turn(reply.context) != clean_turn(wanted):
        raise UserError(
            f"{reply.where}: expected the reply of {name} to item {number:,} of the test set, "
            f"{_shown(wanted)}, found one to {_shown(reply.context)}; decode this test set, or put "
            "the lines in its order"
        )


def _shown(text: str) -> str:
    """The end of a text, where contexts differ most often."""
    return repr(text if len(text) <= _SHOWN else f"...{text[-_SHOWN:]}")
