"""A Slack export, unpacked: a folder for each channel, and in it one JSON file a day.

The messages of a thread are a conversation of their own; those of the channel itself are cut at
long silences.
"""

import html
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_document
from data_prep.importing.messages import MENTION, Message, conversations_of
from dialogpt.command_line import UserError

_SAID = (None, "me_message", "thread_broadcast", "file_share")
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].json"
_USER = re.compile(r"<@[UWB][^>]*>")
_SPECIAL = re.compile(r"<!(?:subteam\^[^>]*|date\^[^>|]*\|([^>]*)|([a-z]+)(?:\|[^>]*)?)>")
_LABELLED = re.compile(r"<(#)?[^>|]*\|([^>]*)>")
_LINK = re.compile(r"<((?:https?|mailto):[^>|]+)>")


def read_slack(file: InputFile, log: ImportLog, config: ImportConfig) -> Iterator[Conversation]:
    """The conversations of all channels of an export.

    Raises:
        UserError: the folder is no export.
    """
    channels = sorted(
        path for path in file.path.iterdir() if path.is_dir() and any(path.glob(_DAY))
    )
    if not channels:
        raise UserError(
            f"{file.path}: expected folders of channels with files like 2020-01-31.json, found "
            "none; give the folder that the export was unpacked to"
        )
    threads_stay_whole = replace(config, max_pause_minutes=0.0)
    for number, folder in enumerate(channels):
        channel, threads = _deal(_messages(folder, number, file, log))
        yield from conversations_of(channel, file, log, config)
        for thread in threads:
            yield from conversations_of(thread, file, log, threads_stay_whole)


def _deal(
    messages: Iterator[tuple[str, Message]],
) -> tuple[list[Message], list[list[Message]]]:
    """The messages of the channel itself, and those of each thread, all oldest first."""
    threads: dict[str, list[Message]] = defaultdict(list)
    for thread, message in messages:
        threads[thread].append(message)
    of_channel = [said[0] for said in threads.values() if len(said) == 1]
    of_threads = [said for said in threads.values() if len(said) > 1]
    in_order = [sorted(said, key=_time_and_id) for said in (of_channel, *of_threads)]
    return in_order[0], in_order[1:]


def _time_and_id(message: Message) -> tuple[int, str]:
    return message.time, message.id


def _messages(
    folder: Path, channel: int, file: InputFile, log: ImportLog
) -> Iterator[tuple[str, Message]]:
    """Each message and the time stamp that names its thread."""
    for path in sorted(folder.glob(_DAY)):
        name = f"{file.name}, channel {channel}, {path.stem}"
        day = InputFile(path, name, f"{file.prefix}_{channel}", file.split)
        values = json_document(day, log)
        for number, value in enumerate(values if isinstance(values, list) else [values]):
            log.add("messages_read")
            try:
                reason, thread, message = _read(value, day)
            except (KeyError, TypeError, ValueError, AttributeError):
                expected = "expected 'type', 'user', 'text' and 'ts' of Slack's export"
                log.drop("messages", "malformed", f"{name}, message {number}", expected)
                continue
            if reason:
                said_nothing = "nothing that a person said in words"
                log.drop("messages", reason, f"{name}, message {number}", said_nothing)
            else:
                yield thread, message


def _read(value: dict[str, Any], day: InputFile) -> tuple[str, str, Message]:
    """Why a message is nothing that a person said, or ""; its thread; and the message."""
    stamp = value["ts"]
    seconds, _, fraction = stamp.partition(".")
    text, user = value["text"], value.get("user")
    message = Message(
        speaker=str(user),
        text=_plain(text),
        time=int(seconds),
        id=f"{day.prefix}_{int(seconds)}.{int(fraction or 0):06d}",
    )
    thread = str(value.get("thread_ts") or stamp)
    if value["type"] != "message" or value.get("subtype") not in _SAID:
        is_bot = value.get("subtype") == "bot_message"
        return ("bot" if is_bot else "notice"), thread, message
    if value.get("bot_id") or user is None:
        return "bot", thread, message
    return ("" if text.strip() else "media"), thread, message


def _plain(text: str) -> str:
    """Slack's markup of people, channels and links as text without names of people."""
    text = _USER.sub(MENTION, text)
    text = _SPECIAL.sub(lambda found: found[1] or f"@{found[2] or 'group'}", text)
    text = _LABELLED.sub(lambda found: (found[1] or "") + found[2], text)
    return html.unescape(_LINK.sub(r"\1", text))
