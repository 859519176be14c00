"""Telegram Desktop's export in JSON (result.json), of one chat or of all.

Of what bots write the export marks messages sent by way of one, and chats with one.
"""

from collections.abc import Iterator
from typing import Any

from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_document, shown
from data_prep.importing.messages import MENTION, Message, conversations_of, seconds_of
from dialogpt.command_line import UserError

_LISTS = ("chats", "left_chats")
_MENTIONS = ("mention", "mention_name")


def read_telegram(file: InputFile, log: ImportLog, config: ImportConfig) -> Iterator[Conversation]:
    """The conversations of every chat of an export.

    Raises:
        UserError: the file is no export.
    """
    document = json_document(file, log)
    for number, chat in enumerate(_chats(document, file)):
        said = _messages(chat, number, file, log)
        yield from conversations_of(said, file, log, config)


def _chats(document: Any, file: InputFile) -> list[dict[str, Any]]:
    """Each chat; those that were left come last, so that the numbers of the others stay."""
    values = document if isinstance(document, dict) else {}
    lists = [values[key] for key in _LISTS if key in values] or [{"list": [values]}]
    chats: list[Any] = []
    for listed in lists:
        of_list = listed.get("list") if isinstance(listed, dict) else None
        chats += of_list if isinstance(of_list, list) else [None]
    found = []
    for chat in chats:
        messages = chat.get("messages") if isinstance(chat, dict) else None
        if not isinstance(messages, list):
            raise UserError(
                f'{file.path}: expected {{"messages": [...]}} or {{"chats": {{"list": [...]}}}} of '
                f"Telegram's JSON export, found the keys {shown(list(values))}; export again, as "
                "JSON"
            )
        found.append(chat)
    return found


def _messages(
    chat: dict[str, Any], chat_number: int, file: InputFile, log: ImportLog
) -> Iterator[Message]:
    bot = f"user{chat.get('id')}" if chat.get("type") == "bot_chat" else ""
    for number, value in enumerate(chat["messages"]):
        log.add("messages_read")
        values = value if isinstance(value, dict) else {}
        reason = _reason_to_drop(values, bot)
        where = f"{file.name}, chat {chat_number}, message {number}"
        if reason:
            log.drop("messages", reason, where, "nothing that this person said in words")
            continue
        try:
            text, time = _text(values["text"]), _time(values)
        except (KeyError, TypeError, ValueError, AttributeError):
            message = "expected 'text' and 'date' of Telegram's export"
            log.drop("messages", "malformed", where, message)
            continue
        speaker = str(values.get("from_id") or values.get("from") or "")
        message_id = f"{file.prefix}_{chat_number}_{values.get('id', f'n{number}')}"
        yield Message(speaker, text, time, message_id)


def _reason_to_drop(values: dict[str, Any], bot: str) -> str:
    """Why a value is not what somebody says, or ""; `bot` is who speaks for the bot of the chat."""
    if values.get("type") != "message":
        return "notice" if values.get("type") == "service" else "malformed"
    if "forwarded_from" in values or "saved_from" in values:
        return "forwarded"
    if "via_bot" in values or (bot and values.get("from_id") == bot):
        return "bot"
    if not values.get("text"):
        return "media"
    return ""


def _text(value: Any) -> str:
    """The text of a message, which is one string or a list of plain and marked pieces."""
    if isinstance(value, str):
        return value
    pieces = []
    for piece in value:
        if isinstance(piece, str):
            pieces.append(piece)
        elif piece.get("type") in _MENTIONS:
            pieces.append(MENTION)
        else:
            pieces.append(str(piece["text"]))
    return "".join(pieces)


def _time(values: dict[str, Any]) -> int:
    return int(values["date_unixtime"]) if "date_unixtime" in values else seconds_of(values["date"])
