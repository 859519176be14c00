"""WhatsApp's "Export chat", as Android and iOS write it, in most regions' date formats.

    31/12/2019, 21:45 - Ann: Happy new year!
    and many more
    [31.12.19, 21:45:10] Ann: Happy new year!
    [12/31/19, 9:45:10 PM] Ann: Happy new year!

A line that does not begin like this goes on with the message before it. Times have no zone and are
taken for UTC's; only their differences matter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, numbered_lines
from data_prep.importing.messages import MENTION, Message, conversations_of

_MARKS = "\u200e\u200f\u202a\u202c\ufeff"  # directions of writing, and a byte order mark
_HEAD = re.compile(
    rf"[{_MARKS}]*(?P<open>\[)?"
    r"(?P<date>\d{1,4}[./-]\d{1,2}[./-]\d{1,4}),? "
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?"
    r"(?(open)\] ?| - )(?P<rest>.*)",
    re.DOTALL,
)
_SAID = re.compile(r"(?P<name>[^:]{1,100}): ?(?P<text>.*)", re.DOTALL)
# Notices with a colon in them: Ann changed the subject from "a" to "b: c".
_NOTICE = re.compile(r" (changed (the|this|their|to)|created (group|this)|added|removed|pinned) ")
# Android puts <Media omitted> in angle brackets in every language; iOS marks what nobody typed.
_MEDIA = re.compile(r"<[^<>\n]+>")
_ATTACHMENT_NOTES = (
    "file attached|Datei angehängt|archivo adjunto|fichier joint|file allegato|arquivo anexado"
)
# A caption may follow.
_ATTACHED = re.compile(rf"^(?:[^\n]*\.\w+ \((?:{_ATTACHMENT_NOTES})\)|<Media omitted>)(?:\n|$)")
_NOT_TYPED = "\u200e"
_DELETED = re.compile(r"(This message was deleted|You deleted this message)\.?|null")
_EDITED = re.compile(rf"[{_MARKS}]*<This message was edited>\s*$")
_MENTIONED = re.compile("@\u2068[^\u2069]*\u2069|@\\d{6,}")

_YEAR_LENGTH = 4


@dataclass(slots=True)
class _Entry:
    """A message or notice as the file has it.

    Attributes:
        line: number of its first line.
        date: three numbers in the order of the file.
        time: hour, minute and second.
        rest: what follows the time, over all lines.
    """

    line: int
    date: tuple[int, int, int]
    time: tuple[int, int, int]
    rest: list[str]


def read_whatsapp(file: InputFile, log: ImportLog, config: ImportConfig) -> Iterator[Conversation]:
    """The conversations of one exported chat."""
    entries = list(_entries(file, log))
    day_first = _is_day_first(entries, config.date_order)
    yield from conversations_of(_messages(entries, file, log, day_first), file, log, config)


def _entries(file: InputFile, log: ImportLog) -> Iterator[_Entry]:
    entry: _Entry | None = None
    for number, line in numbered_lines(file, log):
        found = _HEAD.fullmatch(line)
        if found is not None:
            if entry is not None:
                yield entry
            entry = _Entry(number, _date(found["date"]), _time(found), [found["rest"]])
        elif entry is not None:
            entry.rest.append(line)
        else:
            log.add("messages_read")
            message = "expected a date, a time and a name, found a line without them"
            log.drop("messages", "no_head", f"{file.name}:{number}", message)
    if entry is not None:
        yield entry


def _date(text: str) -> tuple[int, int, int]:
    first, second, third = (int(part) for part in re.split("[./-]", text))
    return first, second, third


def _time(found: re.Match[str]) -> tuple[int, int, int]:
    hour = int(found["hour"])
    if found["half"]:  # 12 AM is midnight and 12 PM is noon
        hour = hour % 12 + (12 if found["half"] in "pP" else 0)
    return hour, int(found["minute"]), int(found["second"] or 0)


def _is_day_first(entries: list[_Entry], date_order: str) -> bool:
    """Whether dates are like 31/12; a file where both are possible is read so that time goes on."""
    if date_order != "guess":
        return date_order == "day_first"
    if any(entry.date[0] > 12 for entry in entries):
        return True
    if any(entry.date[1] > 12 for entry in entries):
        return False
    return _num_steps_back(entries, day_first=True) <= _num_steps_back(entries, day_first=False)


def _num_steps_back(entries: list[_Entry], *, day_first: bool) -> int:
    times = [_seconds(entry, day_first=day_first) or 0 for entry in entries]
    return sum(later < earlier for earlier, later in pairwise(times))


def _seconds(entry: _Entry, *, day_first: bool) -> int | None:
    """Seconds since 1970; None if there is no such day or time."""
    first, second, third = entry.date
    if first > 31:  # 2019-12-31
        year, month, day = first, second, third
    else:
        year = third + 2000 if third < 100 else third
        month, day = (second, first) if day_first else (first, second)
    try:
        return int(datetime(year, month, day, *entry.time, tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _messages(
    entries: list[_Entry], file: InputFile, log: ImportLog, day_first: bool
) -> Iterator[Message]:
    for entry in entries:
        log.add("messages_read")
        time = _seconds(entry, day_first=day_first)
        reason, name, text = _read_entry(entry)
        if time is None:
            reason = "no_such_time"
        if reason:
            log.drop("messages", reason, f"{file.name}:{entry.line}", "nothing that was said")
        else:
            yield Message(name, text, time or 0, f"{file.prefix}_{entry.line}")


def _read_entry(entry: _Entry) -> tuple[str, str, str]:
    """Why it is no message, or ""; who says it; and what."""
    said = _SAID.fullmatch("\n".join(entry.rest))
    if said is None or _NOTICE.search(said["name"]):
        return "notice", "", ""
    text = _EDITED.sub("", said["text"])
    bare = text.strip(_MARKS + " ")
    caption = _ATTACHED.sub("", bare)
    if _DELETED.fullmatch(bare):
        return "deleted", "", ""
    if _MEDIA.fullmatch(bare) or not caption:
        return "media", "", ""
    if text.startswith(_NOT_TYPED):
        return "not_typed", "", ""
    return "", said["name"].strip(_MARKS), _MENTIONED.sub(MENTION, caption)
