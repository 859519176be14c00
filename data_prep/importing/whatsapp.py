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
from data_prep.importing.inputs import InputFile, numbered_bytes
from data_prep.importing.messages import Message, conversations_of
from data_prep.importing.whatsapp_texts import MARKS, TypedText, typed_text
from dialogpt.command_line import UserError

_MORNING = "a.m. ص ق.ظ 上午 凌晨 早上 清晨 오전 午前 π.μ. पूर्वाह्न"
_AFTERNOON = "p.m. م ب.ظ 下午 中午 晚上 오후 午後 μ.μ. अपराह्न"
_HALVES = "|".join(
    sorted(
        (
            re.escape(half).replace(r"\.", r"\.?\s?").removesuffix(r"\s?")
            for half in f"{_MORNING} {_AFTERNOON}".split()
        ),
        key=len,
        reverse=True,
    )
)
_IS_AFTERNOON = frozenset(_AFTERNOON.replace(".", "").split())
_M = f"[{MARKS}]*"
_BLANK = "[ \u00a0\u202f]"
_HEAD = re.compile(
    rf"{_M}(?P<open>\[)?"
    rf"(?P<date>(?P<spaced>\d{{1,4}}\. \d{{1,2}}\. \d{{1,4}})"
    rf"|\d{{1,4}}{_M}[./-]{_M}\d{{1,2}}{_M}[./-]{_M}\d{{1,4}})\.?[,،]?{_M}{_BLANK}{_M}"
    # Chinese and Korean say the half of the day first; Finnish "klo", French "à".
    rf"(?:(?P<before>{_HALVES})\s?|(?:[^\W\d_]{{1,6}}\.? ){{0,2}})"
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?"
    rf"(?:\s?{_M}(?P<after>{_HALVES}))?{_M}"
    r"(?(open)\] ?|(?(spaced)(?: - |, )| - ))(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
KNOWN_HEADS = (
    "31/12/2019, 21:45 - ",
    "12/31/19, 9:45 PM - ",
    "[31.12.19, 21:45:10] ",
    "2019-12-31 21:45 - ",
    "31.12.2019 klo 21.45 - ",
    "2019. 12. 31. 21:45 - ",
    "2019. 12. 31. 오후 9:45, ",
    "2019/12/31 下午9:45 - ",
    "٣١/١٢/٢٠١٩، ٩:٤٥ م - ",
)
"""An example of each kind of head that is read."""
_SAID = re.compile(r"(?P<name>[^:]{1,100}): ?(?P<text>.*)", re.DOTALL)
# Notices with a colon in them: Ann changed the subject from "a" to "b: c".
_NOTICE = re.compile(r" (changed (the|this|their|to)|created (group|this)|added|removed|pinned) ")
_SHOWN_OF_LINE = 40


@dataclass(slots=True)
class _Entry:
    """A message or notice as the file has it.

    Attributes:
        line: number of its first line.
        date: three numbers in the order of the file.
        time: hour, minute and second.
        rest: what follows the time, over all lines.
        is_damaged: whether a line of it is not UTF-8.
    """

    line: int
    date: tuple[int, int, int]
    time: tuple[int, int, int]
    rest: list[str]
    is_damaged: bool = False


def read_whatsapp(file: InputFile, log: ImportLog, config: ImportConfig) -> Iterator[Conversation]:
    """The conversations of one exported chat.

    Raises:
        UserError: no line begins with a date and time of a known format.
    """
    entries = list(_entries(file, log))
    day_first = _is_day_first(entries, config.date_order)
    yield from conversations_of(_messages(entries, file, log, day_first), file, log, config)


def _entries(file: InputFile, log: ImportLog) -> Iterator[_Entry]:
    entry: _Entry | None = None
    first_line = ""
    for number, data in numbered_bytes(file, log):
        line = data.decode("utf-8", "replace")
        first_line = first_line or line
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
        if entry is not None and "\ufffd" in line:
            entry.is_damaged = entry.is_damaged or not _is_utf8(data)
    if entry is not None:
        yield entry
    elif first_line:
        raise _no_known_head(file, first_line)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _no_known_head(file: InputFile, line: str) -> UserError:
    """What to say of a file in which no message begins; letters may name people, and are masked."""
    masked = re.sub(r"[^\W\d_]", "x", line[:_SHOWN_OF_LINE])
    return UserError(
        f"{file.path}: expected lines that begin with a date and time in a known format "
        f"({', '.join(repr(head) for head in KNOWN_HEADS)}), found {masked!r}, with x for each "
        "letter; if this is a chat, its date format is not known: export it with the phone set to "
        "another region; else leave the file out"
    )


def _date(text: str) -> tuple[int, int, int]:
    first, second, third = (int(part) for part in re.findall(r"\d+", text))
    return first, second, third


def _time(found: re.Match[str]) -> tuple[int, int, int]:
    hour = int(found["hour"])
    half = found["before"] or found["after"]
    if half:  # 12 AM is midnight and 12 PM is noon
        is_afternoon = re.sub(r"[.\s]", "", half).lower() in _IS_AFTERNOON
        is_afternoon = is_afternoon and not (half == "中午" and hour == 11)  # 11:30 at noon
        hour = hour % 12 + (12 if is_afternoon else 0)
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
        name, typed = _read_entry(entry)
        reason, message = typed.reason, "nothing that was said"
        if time is None:
            reason = "no_such_time"
        if entry.is_damaged:
            reason, message = "not_utf8", "expected UTF-8, found other bytes in a line of it"
        if reason:
            log.drop("messages", reason, f"{file.name}:{entry.line}", message)
            continue
        if typed.is_cut:
            log.add("messages_cut")
        yield Message(name, typed.text, time or 0, f"{file.prefix}_{entry.line}")


def _read_entry(entry: _Entry) -> tuple[str, TypedText]:
    """Who says it, and what; a notice is said by nobody."""
    said = _SAID.fullmatch("\n".join(entry.rest))
    if said is None or _NOTICE.search(said["name"]) or _cuts_quotation(said["name"]):
        return "", TypedText(reason="notice")
    return said["name"].strip(MARKS + " "), typed_text(said["text"])


def _cuts_quotation(name: str) -> bool:
    """Whether a quotation is left open, as in the notice: Ann hat den Betreff zu "Ferien: ..."."""
    pairs = (("«", "»"), ("「", "」"), ("『", "』"))
    if any(name.count(first) != name.count(last) for first, last in pairs):
        return True
    return bool(name.count('"') % 2 or sum(map(name.count, "„“”")) % 2)
