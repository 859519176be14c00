"""DialoGPT's lines of dialogue (microsoft/DialoGPT): turns joined by " EOS ", weights before them.

    i like tea . EOS so do i .<TAB>then let us have some .
    0.0 i like tea . EOS 1.0 so do i .<TAB>1.0 then let us have some .

Only whoever hands over a file can say whether weights stand in it: "7 up", "nan" and "inf" are
beginnings of sentences.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

TURN_SEPARATOR = " EOS "
_WEIGHTED_TURN = re.compile(r"\s*(\d+(?:\.\d+)?)(?: (.*))?", re.DOTALL)
_EOS = TURN_SEPARATOR.strip()
_NO_BREAK_SPACE = "\u00a0"


def split_turns(line: str) -> list[str]:
    """The turns of a source, as they stand there."""
    return line.split(TURN_SEPARATOR)


def join_turns(turns: Iterable[str]) -> str:
    """Turns as a source that `split_turns` cuts where they were joined, and nowhere else.

    A word EOS within a turn is text. Its blanks become no-break spaces, which look alike and which
    `dialogpt.text.clean_turn` makes blanks again.

    Args:
        turns: cleaned by `clean_turn`.
    """
    return TURN_SEPARATOR.join(map(_guarded, turns))


def _guarded(turn: str) -> str:
    words = turn.split(" ")
    parts = words[:1]
    for before, word in pairwise(words):
        parts += [_NO_BREAK_SPACE if _EOS in (before, word) else " ", word]
    return "".join(parts)


def weight_and_text(turn: str) -> tuple[float, str] | None:
    """The weight that a turn begins with, and its text; None if it begins with none."""
    found = _WEIGHTED_TURN.fullmatch(turn)
    return (float(found[1]), found[2] or "") if found is not None else None
