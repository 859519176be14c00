"""A JSON value with turns in it, in any of the usual forms, as turns, speakers and knowledge.

    ["hi", "hello"]
    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
    [{"speaker": "Ann", "text": "hi"}, {"speaker": "Bob", "text": "hello"}]

System messages are knowledge. Messages of tools, and those that hold no text, are left out.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_prep.importing.conversations import UnusableError
from data_prep.importing.inputs import shown

_SPEAKER_KEYS = ("role", "from", "speaker", "author", "user")
_TEXT_KEYS = ("content", "value", "text", "utterance", "message")
_SYSTEM_ROLES = frozenset({"system", "developer"})
_TOOL_ROLES = frozenset({"tool", "function", "observation", "function_call", "tool_call"})
_SAME_ROLE = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""Role -> the one that it is another word for."""


@dataclass(slots=True)
class TurnList:
    """What a value says.

    Attributes:
        turns: texts.
        speakers: one a turn, None where it is not said.
        knowledge: texts of system messages.
        left_out: why, for each message that is no turn.
    """

    turns: list[str] = field(default_factory=list)
    speakers: list[Hashable] = field(default_factory=list)
    knowledge: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def parse_turns(value: Any, speakers: Any = None) -> TurnList:
    """The turns that a value holds.

    Args:
        value: a list of texts or of messages.
        speakers: where the value is a list of texts, who says each; None if that is not known.

    Raises:
        UnusableError: the value is something else, or there is not one speaker a turn.
    """
    if not isinstance(value, list) or not value:
        raise UnusableError(
            "no_turns", f"expected a list of turns, oldest first, found {shown(value)}"
        )
    if all(isinstance(turn, str) for turn in value):
        return TurnList(turns=list(value), speakers=_speakers(speakers, len(value)))
    if speakers is not None:
        raise UnusableError(
            "speakers_twice", "expected speakers in the messages or beside them, found both"
        )
    found = TurnList()
    for message in value:
        _add_message(found, message)
    if not found.turns:
        raise UnusableError("no_turns", f"expected messages with text, found {shown(value)}")
    return found


def _speakers(speakers: Any, num_turns: int) -> list[Hashable]:
    if speakers is None:
        return [None] * num_turns
    known = isinstance(speakers, list) and all(_is_name(who) for who in speakers)
    if not known or len(speakers) != num_turns:
        raise UnusableError(
            "wrong_speakers",
            f"expected {num_turns} speakers (numbers, names or null), one a turn, found "
            f"{shown(speakers)}",
        )
    return [_nobody_is_none(who) for who in speakers]


def _is_name(who: Any) -> bool:
    return who is None or (isinstance(who, (int, str)) and not isinstance(who, bool))


def _nobody_is_none(who: Any) -> Hashable:
    """A speaker; what our own files write for an unknown one, -1, is None."""
    return None if who in (-1, "") else who


def _add_message(found: TurnList, message: Any) -> None:
    if not isinstance(message, dict):
        raise UnusableError(
            "no_message", f"expected texts, or messages and nothing else, found {shown(message)}"
        )
    text_key = _only_key(message, _TEXT_KEYS)
    if text_key is None:
        raise UnusableError(
            "no_message",
            f"expected a message with one of {', '.join(_TEXT_KEYS)}, found the keys "
            f"{shown(list(message))}",
        )
    speaker_key = _only_key(message, _SPEAKER_KEYS)
    speaker = message[speaker_key] if speaker_key is not None else None
    if not _is_name(speaker):
        raise UnusableError(
            "wrong_speakers", f"expected a speaker's name or number, found {shown(speaker)}"
        )
    text = _text_of(message[text_key])
    is_role = speaker_key in ("role", "from") and isinstance(speaker, str)
    role = str(speaker).lower() if is_role else ""
    if role in _TOOL_ROLES:
        found.left_out.append("tool")
    elif text is None:
        found.left_out.append("no_text")
    elif role in _SYSTEM_ROLES:
        found.knowledge.append(text)
    else:
        found.turns.append(text)
        found.speakers.append(_SAME_ROLE.get(role, role) if role else _nobody_is_none(speaker))


def _only_key(message: dict[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in message), None)


def _text_of(content: Any) -> str | None:
    """The text of a message; of one in parts, that of its text parts; None if there is none."""
    if isinstance(content, list):
        parts = [
            part if isinstance(part, str) else part.get("text")
            for part in content
            if isinstance(part, (str, dict))
        ]
        return "\n".join(part for part in parts if isinstance(part, str)) or None
    if content is None or isinstance(content, str):
        return content
    raise UnusableError("no_text", f"expected text in a message, found {shown(content)}")
