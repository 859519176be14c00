"""What DiscordChatExporter (Tyrrrz/DiscordChatExporter) writes as JSON, one channel a file."""

import re
from collections.abc import Iterator
from typing import Any

from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_document, shown
from data_prep.importing.messages import MENTION, Message, conversations_of, seconds_of
from dialogpt.command_line import UserError

_SAID = ("Default", "Reply")
_RAW_MENTION = re.compile(r"<@[!&]?\d+>")
# Not in bob@example.org, or in a longer word; scripts without blanks go on right after a name.
_MENTION_OF = r"(?a:(?<!\w)@(?:{0})(?!\w)|@(?:{0})(?!\w|\.\w))"
_EMOJI = re.compile(r"<a?(:\w+:)\d+>")


def read_discord(file: InputFile, log: ImportLog, config: ImportConfig) -> Iterator[Conversation]:
    """The conversations of a channel; what bots say is left out.

    Raises:
        UserError: the file is no export.
    """
    document = json_document(file, log)
    messages = document.get("messages") if isinstance(document, dict) else None
    if not isinstance(messages, list):
        raise UserError(
            f'{file.path}: expected {{"messages": [...]}} of DiscordChatExporter, found '
            f"{shown(document)}; export the channel again, as JSON"
        )
    # An export may be in reverse order. Ids are given in the order of time.
    said = sorted(_messages(messages, file, log), key=_time_and_id)
    yield from conversations_of(said, file, log, config)


def _time_and_id(message: Message) -> tuple[int, int]:
    return message.time, int(message.id.rpartition("_")[2])


def _messages(messages: list[Any], file: InputFile, log: ImportLog) -> Iterator[Message]:
    for number, value in enumerate(messages):
        log.add("messages_read")
        where = f"{file.name}, message {number}"
        try:
            reason, message = _read(value, file)
        except (KeyError, TypeError, ValueError, AttributeError):
            expected = "expected 'id', 'type', 'timestamp', 'content' and 'author' of the export"
            log.drop("messages", "malformed", where, expected)
            continue
        if reason:
            log.drop("messages", reason, where, "nothing that a person said in words")
        else:
            yield message


def _read(value: dict[str, Any], file: InputFile) -> tuple[str, Message]:
    """Why a message is nothing that a person said, or ""; and the message."""
    author, text = value["author"], value["content"]
    message = Message(
        speaker=str(author["id"]),
        text=_without_names(text, value.get("mentions") or []),
        time=seconds_of(value["timestamp"]),
        id=f"{file.prefix}_{int(value['id'])}",
    )
    if value["type"] not in _SAID:
        return "notice", message
    if author.get("isBot"):
        return "bot", message
    return ("" if text.strip() else "media"), message


def _without_names(text: str, mentions: list[dict[str, Any]]) -> str:
    """The text with "@user" for everyone mentioned; custom emoji by their names."""
    names = {
        str(person[key]) for person in mentions for key in ("nickname", "name") if person.get(key)
    }
    if names:
        longest_first = sorted(names, key=len, reverse=True)  # @Anna Lee before @Anna
        any_name = "|".join(map(re.escape, longest_first))
        text = re.sub(_MENTION_OF.format(any_name), MENTION, text)
    return _EMOJI.sub(r"\1", _RAW_MENTION.sub(MENTION, text))
