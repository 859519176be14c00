r"""What a file of contexts may look like, and the turns in it.

jsonl   {"turns": ["...", ...]}, {"context": [...]} or a list of turns a line, oldest first; an
        object may have "speakers", one a turn, and "knowledge", sentences
tsv     DialoGPT's SOURCE<TAB>TARGET: the turns of SOURCE are the context, and every TARGET is a
        reply that the model should not see. SOURCE alone does too, and so do the lines of the
        release's extraction (ids of comments first) and of DSTC-7 (seven fields)
text    one turn a line, blank lines between contexts; with a separator, one context a line
"""

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from dialogpt.config.decoding import ContextsFormat
from dialogpt.dialogue_text import split_turns, weight_and_text
from dialogpt.records import UNKNOWN_SPEAKER, RecordError, json_lines
from dialogpt.text import clean_turn

EXPECTED_JSON = 'expected {"turns": ["...", ...]} or a list of turns, oldest first'
_TURN_KEYS = ("turns", "context")
_ENDINGS: dict[str, ContextsFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".tsv": "tsv",
}
_COMMENT_IDS = re.compile(r"t\d_\w+(,t\d_\w+)*")
_DSTC7_HASH = re.compile(r"[0-9a-f]{56}")
_DSTC7_FIELDS = 7
_DSTC7_CONTEXT = 5
_DSTC7_START = "START"
_SHOWN_CHARACTERS = 60
_SHOWN_KEYS = 5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenContext:
    """A context with what else is known about it.

    Attributes:
        turns: texts, oldest first; at least one.
        speakers: who said each, one small integer a turn, UNKNOWN_SPEAKER where nobody knows; empty
            where nobody knows any.
        knowledge: sentences that the reply may draw on.
    """

    turns: tuple[str, ...]
    speakers: tuple[int, ...] = ()
    knowledge: tuple[str, ...] = ()


def recognize(
    name: str, text: str, *, has_weights: bool, separator: str
) -> tuple[ContextsFormat, str]:
    """The format of a file, and what tells it, for a message.

    Args:
        name: its name, whose ending decides if it is that of a format.
        text: what stands in it; else its first line that is not blank decides.
        has_weights: an option of tsv, which decides before both.
        separator: an option of text, likewise; "" is none.
    """
    if has_weights:
        return "tsv", "because of --has_weights"
    if separator:
        return "text", "because of --turn_separator"
    ending = PurePath(name).suffix.lower()
    if ending in _ENDINGS:
        return _ENDINGS[ending], f"by its ending {ending}"
    first = next((line for _, line in _lines(text) if line.strip()), "").lstrip()
    if first.startswith(('["', '{"')):
        return "jsonl", f"by its first line, which begins with {first[0]}"
    if "\t" in first:
        return "tsv", "by the tab in its first line"
    return "text", "because its first line is neither JSON nor has a tab"


def parse_jsonl(text: str, name: str) -> list[GivenContext]:
    """The context of each line that is not blank, its texts cleaned.

    Raises:
        RecordError: a line is not a context; the message names the file and the line. So for the
            other formats.
    """
    return [
        _context_of(value, where=f"{name}:{line_number}")
        for line_number, value in json_lines(io.StringIO(text), name)
    ]


def parse_tsv(text: str, name: str, *, has_weights: bool) -> list[list[str]]:
    """The cleaned turns of each line's source.

    Args:
        text: the file's content.
        name: its name.
        has_weights: whether each turn begins with its weight, which is then taken off.
    """
    contexts = []
    all_numbered = True
    for line_number, line in _lines(text):
        if not line.strip():
            continue
        where = f"{name}:{line_number}"
        turns = split_turns(_source(line.split("\t")))
        all_numbered = all_numbered and all(re.match(r"\d\.\d+ ", turn) for turn in turns)
        if has_weights:
            turns = [_without_weight(turn, where=where) for turn in turns]
        contexts.append(_cleaned(turns, where=where))
    if contexts and all_numbered and not has_weights:
        _logger.warning(
            "%s: every turn begins with a number such as 1.0, which is read as text; say "
            "--has_weights if they are DialoGPT's weights",
            name,
        )
    return contexts


def parse_text(text: str, name: str, *, separator: str) -> list[list[str]]:
    """The cleaned turns of each context.

    Args:
        text: the file's content.
        name: its name.
        separator: what stands between the turns of a line, which is then a context of its own; ""
            where each line is a turn and blank lines stand between contexts.
    """
    contexts: list[list[str]] = []
    is_new = True
    for line_number, line in _lines(text):
        if not line.strip():
            is_new = True
            continue
        turns = _cleaned(line.split(separator) if separator else [line], f"{name}:{line_number}")
        if is_new or separator:
            contexts.append(turns)
        else:
            contexts[-1] += turns
        is_new = False
    return contexts


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Only these two end a line: texts hold other characters that Python takes for an end.
    for line_number, line in enumerate(text.split("\n"), start=1):
        yield line_number, line.removesuffix("\r")


def _source(fields: list[str]) -> str:
    """The field of a line that the context stands in."""
    if len(fields) == _DSTC7_FIELDS and _DSTC7_HASH.fullmatch(fields[0]):
        return fields[_DSTC7_CONTEXT].removeprefix(f"{_DSTC7_START} EOS ")
    has_ids = len(fields) > 2 and _COMMENT_IDS.fullmatch(fields[0])
    return fields[1] if has_ids else fields[0]


def _without_weight(turn: str, *, where: str) -> str:
    found = weight_and_text(turn)
    if found is None:
        raise RecordError(
            f"{where}: expected a turn with its weight, like '1.0 hello', found "
            f"{turn[:_SHOWN_CHARACTERS]!r}; mend it, or leave out --has_weights"
        )
    return found[1]


def _context_of(value: Any, *, where: str) -> GivenContext:
    turns = _turns_of(value, where=where)
    if not isinstance(value, dict):
        return GivenContext(turns=tuple(turns))
    return GivenContext(
        turns=tuple(turns),
        speakers=_speakers_of(value.get("speakers"), len(turns), where=where),
        knowledge=_knowledge_of(value.get("knowledge"), where=where),
    )


def _speakers_of(value: Any, num_turns: int, *, where: str) -> tuple[int, ...]:
    """A number for each speaker; numbers and names do, and null for nobody that is known."""
    if value is None or value == []:
        return ()
    is_list = isinstance(value, list) and all(
        speaker is None or (isinstance(speaker, int | str) and not isinstance(speaker, bool))
        for speaker in value
    )
    if not is_list or len(value) != num_turns:
        raise RecordError(
            f'{where}: expected "speakers" to be a list of {num_turns} numbers or names, one a '
            f"turn, found {json.dumps(value)[:_SHOWN_CHARACTERS]}; mend it, or remove the key"
        )
    numbers: dict[int | str, int] = {}
    return tuple(
        UNKNOWN_SPEAKER
        if speaker is None or speaker == UNKNOWN_SPEAKER
        else numbers.setdefault(speaker, len(numbers))
        for speaker in value
    )


def _knowledge_of(value: Any, *, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(sentence, str) for sentence in value):
        raise RecordError(
            f'{where}: expected "knowledge" to be a list of sentences, found '
            f"{json.dumps(value, ensure_ascii=False)[:_SHOWN_CHARACTERS]}; mend it, or remove the "
            "key"
        )
    return tuple(cleaned for cleaned in map(clean_turn, value) if cleaned)


def _turns_of(value: Any, *, where: str) -> list[str]:
    """The cleaned turns of one decoded line."""
    turns = value
    if isinstance(value, dict):
        keys = [key for key in _TURN_KEYS if key in value]
        if len(keys) > 1:
            raise RecordError(
                f"{where}: expected one of turns and context, found both; remove one of them"
            )
        if not keys:
            raise RecordError(f"{where}: {EXPECTED_JSON}, found {_shown_keys(value)}")
        turns = value[keys[0]]
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        found = json.dumps(value, ensure_ascii=False)[:_SHOWN_CHARACTERS]
        raise RecordError(f"{where}: {EXPECTED_JSON}, found {found}")
    if not turns:
        raise RecordError(f"{where}: {EXPECTED_JSON}, found no turns; give at least one")
    return _cleaned(turns, where)


def _shown_keys(value: dict[str, Any]) -> str:
    """The first keys of an object, for a message: a line may hold any number of any length."""
    keys = [repr(key[:_SHOWN_CHARACTERS]) for key in list(value)[:_SHOWN_KEYS]]
    others = f" and {len(value) - len(keys)} more" if len(value) > len(keys) else ""
    return f"an object with the keys {', '.join(keys)}{others}" if keys else "an empty object"


def _cleaned(turns: list[str], where: str) -> list[str]:
    cleaned = [clean_turn(turn) for turn in turns]
    if not all(cleaned):
        raise RecordError(
            f"{where}: expected text in every turn, found nothing readable in turn "
            f"{cleaned.index('') + 1} of {len(turns)}; remove or mend that turn"
        )
    return cleaned
