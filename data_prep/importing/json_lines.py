"""JSON Lines: one dialogue a line, as a list of turns or an object with `turns`.

    ["hi", "hello"]
    {"turns": ["hi", "hello"], "speakers": ["A", "B"], "knowledge": ["..."], "id": "a"}
    {"messages": [{"role": "user", "content": "hi"}, ...]}
    {"conversations": [{"from": "human", "value": "hi"}, ...]}

`data_prep.importing.turn_lists` says what turns look like.
"""

from collections.abc import Iterator
from typing import Any

from data_prep.importing.conversations import Conversation, UnusableError
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_value, numbered_lines, shown
from data_prep.importing.turn_lists import parse_turns
from dialogpt.records import Split

TURN_KEYS = ("turns", "messages", "conversations", "conversation", "dialogue", "dialog")
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


def read_json_lines(file: InputFile, log: ImportLog) -> Iterator[Conversation]:
    """The conversation of each line."""
    for number, line in numbered_lines(file, log):
        log.add("records_read")
        where = f"{file.name}:{number}"
        try:
            yield _conversation(json_value(line), file, number, log)
        except UnusableError as error:
            log.drop("records", error.reason, where, str(error))


def _conversation(value: Any, file: InputFile, number: int, log: ImportLog) -> Conversation:
    """The conversation of a line.

    Raises:
        UnusableError: the value is something else.
    """
    values = {"turns": value} if isinstance(value, list) else value
    if not isinstance(values, dict):
        raise UnusableError(
            "no_turns", f'expected a list of turns or {{"turns": [...]}}, found {shown(value)}'
        )
    keys = [key for key in TURN_KEYS if key in values]
    if len(keys) != 1:
        raise UnusableError(
            "no_turns",
            f"expected one of the keys {', '.join(TURN_KEYS)}, found {shown(list(values))}",
        )
    found = parse_turns(values[keys[0]], values.get("speakers"))
    for reason in found.left_out:
        log.drop("turns", reason, f"{file.name}:{number}", "a message that holds no turn")
    own_id = _text(values, "id")
    thread = _text(values, "thread_id") or own_id
    prefix = own_id or thread or f"{file.prefix}_{number}"
    return Conversation(
        turns=tuple(found.turns),
        speakers=tuple(found.speakers),
        thread_id=thread or prefix,
        turn_ids=tuple(f"{prefix}_{turn}" for turn in range(len(found.turns))),
        knowledge=(*knowledge_of(values.get("knowledge")), *found.knowledge),
        split=file.split or _split(values),
        split_key=thread,
    )


def knowledge_of(value: Any) -> tuple[str, ...]:
    """Sentences from a text, a list of texts or nothing.

    Raises:
        UnusableError: the value is something else.
    """
    sentences = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
        raise UnusableError(
            "wrong_knowledge", f"expected knowledge as a list of texts, found {shown(value)}"
        )
    return tuple(sentences)


def _text(values: dict[str, Any], key: str) -> str:
    """The value under a key as text; "" if there is none.

    Raises:
        UnusableError: the value is neither text nor a number.
    """
    value = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise UnusableError("wrong_id", f"expected a text or number as {key}, found {shown(value)}")
    return str(value)


def _split(values: dict[str, Any]) -> Split | None:
    name = _text(values, "split")
    if not name:
        return None
    if name.lower() not in SPLIT_NAMES:
        raise UnusableError(
            "wrong_split", f"expected one of {', '.join(SPLIT_NAMES)} as split, found {name!r}"
        )
    return SPLIT_NAMES[name.lower()]
