"""Chat messages -> conversations: cut at long silences, messages in a row joined to turns.

Names of people go no further than this: turns know who is who by numbers, mentions are written as
"@user", and ids come from the number of the file, not from its name or that of the chat.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile
from dialogpt.text import clean_turn

MENTION = "@user"
"""What stands for the name of somebody who is addressed."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Attributes:
        speaker: tells the people of a chat apart; never written.
        text: what it says.
        time: seconds since 1970.
        id: names it in the output; holds no name of a person.
    """

    speaker: str
    text: str
    time: int
    id: str


def conversations_of(
    messages: Iterable[Message], file: InputFile, log: ImportLog, config: ImportConfig
) -> Iterator[Conversation]:
    """The conversations of one chat or thread.

    Args:
        messages: oldest first; those without readable text are dropped and counted.
        file: where they are from.
        log: counts the conversations.
        config: the longest pause, and whether messages are joined.
    """
    said = _with_text(messages, file, log)
    for block in _cut_at_pauses(said, 60.0 * config.max_pause_minutes):
        log.add("records_read")
        turns = list(_joined(block)) if config.merge_messages else block
        yield Conversation(
            turns=tuple(turn.text for turn in turns),
            speakers=tuple(turn.speaker for turn in turns),
            thread_id=turns[0].id,
            turn_ids=tuple(turn.id for turn in turns),
            times=tuple(turn.time for turn in turns),
            split=file.split,
        )


def _with_text(messages: Iterable[Message], file: InputFile, log: ImportLog) -> Iterator[Message]:
    for message in messages:
        if clean_turn(message.text):
            yield message
        else:
            log.drop("messages", "empty", file.name, f"no readable text in {message.id}")


def _cut_at_pauses(
    messages: Iterable[Message], max_pause_seconds: float
) -> Iterator[list[Message]]:
    """The messages in blocks; a clock that is put back makes no pause."""
    block: list[Message] = []
    for message in messages:
        if block and 0 < max_pause_seconds < message.time - block[-1].time:
            yield block
            block = []
        block.append(message)
    if block:
        yield block


def _joined(block: list[Message]) -> Iterator[Message]:
    """Messages in a row of one speaker as one: the id of the first, the time of the last."""
    for speaker, messages in groupby(block, key=lambda message: message.speaker):
        in_a_row = list(messages)
        text = "\n".join(message.text for message in in_a_row)
        yield Message(speaker, text, in_a_row[-1].time, in_a_row[0].id)


def seconds_of(iso_time: str) -> int:
    """Seconds since 1970 of a time like 2020-01-31T20:15:00+01:00; without a zone it is UTC's.

    Raises:
        ValueError: it is no time.
    """
    time = datetime.fromisoformat(iso_time)
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
