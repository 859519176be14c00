"""Rows of a data set -> conversations, by a mapping of its columns. No library is needed here."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeAlias

from data_prep.importing.config import ColumnsConfig
from data_prep.importing.conversations import Conversation, UnusableError
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import shown
from data_prep.importing.json_lines import knowledge_of
from data_prep.importing.turn_lists import TurnList, parse_turns
from dialogpt.records import Split

Row: TypeAlias = Mapping[str, Any]
"""Column -> value."""


def wanted_columns(columns: ColumnsConfig) -> list[str]:
    """The columns that the mapping names, each once."""
    given = (columns.turns, columns.text, columns.dialogue)
    others = (columns.speakers, columns.knowledge, columns.id)
    return list(dict.fromkeys(name for text in (*given, *others) for name in _names(text)))


def conversations_of_rows(
    rows: Iterable[Row], columns: ColumnsConfig, *, split: Split | None, log: ImportLog
) -> Iterator[Conversation]:
    """The conversations of a split.

    Args:
        rows: of the data set.
        columns: what its columns hold; rows are dialogues, or messages.
        split: which split; None if the dialogues are to be dealt.
        log: counts the dialogues.
    """
    prefix = f"datasets_{split or 'input'}"
    parse = _dialogue if columns.turns else _of_messages
    for number, block in enumerate(_blocks(rows, columns)):
        log.add("records_read")
        where = f"{prefix}, dialogue {number}"
        own_id = block[0].get(columns.id) if columns.id else block[0].get(columns.dialogue)
        name = f"{prefix}_{number}" if own_id in (None, "") else str(own_id)
        try:
            found = parse(block, columns)
            knowledge = _knowledge(block[0], columns)
        except UnusableError as error:
            log.drop("records", error.reason, where, str(error))
            continue
        for reason in found.left_out:
            log.drop("turns", reason, where, "a message that holds no turn")
        yield Conversation(
            turns=tuple(found.turns),
            speakers=tuple(found.speakers),
            thread_id=name,
            knowledge=(*knowledge, *found.knowledge),
            split=split,
            split_key="" if own_id in (None, "") else name,
        )


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _blocks(rows: Iterable[Row], columns: ColumnsConfig) -> Iterator[list[Row]]:
    """The rows of each dialogue, which are one if rows are dialogues."""
    if columns.turns:
        yield from ([row] for row in rows)
        return
    for _, block in groupby(rows, key=lambda row: row.get(columns.dialogue)):
        yield list(block)


def _dialogue(block: list[Row], columns: ColumnsConfig) -> TurnList:
    """The turns of a row.

    Raises:
        UnusableError: its columns hold something else.
    """
    names = _names(columns.turns)
    speakers = block[0].get(columns.speakers) if columns.speakers else None
    if len(names) == 1:
        return parse_turns(block[0].get(names[0]), speakers)
    said = [block[0].get(name) for name in names]
    if not all(text is None or isinstance(text, str) for text in said):
        raise UnusableError("no_text", f"expected text in {columns.turns}, found {shown(said)}")
    return parse_turns([text for text in said if text], speakers)


def _of_messages(block: list[Row], columns: ColumnsConfig) -> TurnList:
    """The turns of rows that are messages.

    Raises:
        UnusableError: a message is no text.
    """
    said = [row.get(columns.text) for row in block]
    speakers = [row.get(columns.speakers) for row in block] if columns.speakers else None
    if not all(isinstance(text, str) for text in said):
        raise UnusableError("no_text", f"expected text in {columns.text}, found {shown(said)}")
    return parse_turns(said, speakers)


def _knowledge(row: Row, columns: ColumnsConfig) -> list[str]:
    return [text for name in _names(columns.knowledge) for text in knowledge_of(row.get(name))]
