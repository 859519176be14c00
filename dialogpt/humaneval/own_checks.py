"""Items with a known answer out of the user's file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import Kind
from dialogpt.humaneval.fields import brief
from dialogpt.humaneval.items import Item, Shown
from dialogpt.humaneval.kinds import KINDS, NEUTRAL, Answer
from dialogpt.humaneval.systems import Context, clean_turns, read_lines, speakers_of
from dialogpt.text import clean_turn

FROM_FILE = "check"
"""System of a reply out of the user's file."""
_REMEDY = "mend the line, or remove it"


def read_checks(file: Path, kind: Kind, contexts: Sequence[Context]) -> list[Item]:
    """The checks of the user's file.

    Args:
        file: JSON Lines.
        kind: of study.
        contexts: of the systems; the checks count on after them.

    Raises:
        UserError: a line is no check, or could be told from other items by its speakers; the
            message names it.
        RecordError: a line is not JSON.
    """
    items = []
    for index, (number, value) in enumerate(read_lines(file, "--checks"), len(contexts)):
        item = _check(value, kind, context_index=index, where=f"{file}: line {number}")
        _require_speakers_as(contexts, item, where=f"{file}: line {number}")
        items.append(item)
    return items


def _check(value: Any, kind: Kind, *, context_index: int, where: str) -> Item:
    """One line of the user's file."""
    keys = value if isinstance(value, dict) else {}
    replies, expected = _replies(keys, kind, where=where), keys.get("expected")
    turns = clean_turns(keys.get("turns"), where=where, remedy=_REMEDY)
    if not isinstance(expected, dict) or not expected:
        raise UserError(
            f"{where}: expected the right answers of some aspects under 'expected', found "
            f"{brief(expected)}; {_REMEDY}"
        )
    accepted = {
        str(aspect): _accepted(kind, aspect, values, where=where)
        for aspect, values in expected.items()
    }
    alike = len(replies) > len({*replies})
    sided = next((aspect for aspect in accepted if NEUTRAL not in accepted[aspect]), None)
    if alike and sided:
        raise UserError(
            f"{where}: {sided}: expected two replies of which one is better, found two that are "
            f"the same; let {NEUTRAL!r} be right, or write another reply"
        )
    return Item(
        purpose="spam_check",
        context_index=context_index,
        turns=turns,
        speakers=speakers_of(keys, turns, where=where),
        shown=tuple(Shown(system=FROM_FILE, text=reply) for reply in replies),
        expected=accepted,
    )


def _replies(keys: Mapping[str, Any], kind: Kind, *, where: str) -> tuple[str, ...]:
    wanted, replies = KINDS[kind].num_shown, keys.get("replies")
    if (
        not isinstance(replies, list)
        or len(replies) != wanted
        or not all(isinstance(reply, str) for reply in replies)
    ):
        raise UserError(
            f"{where}: expected {wanted} texts under 'replies' for {kind}, found "
            f"{brief(replies)}; {_REMEDY}"
        )
    return tuple(map(clean_turn, replies))


def _require_speakers_as(contexts: Sequence[Context], item: Item, *, where: str) -> None:
    """Raise UserError where "Person 1" beside its turns, or none, would tell a check.

    A single turn is never labelled.
    """
    labelled = {bool(one.speakers) for one in contexts if len(one.turns) > 1}
    if len(item.turns) == 1 or not labelled or bool(item.speakers) in labelled:
        return
    if item.speakers:
        raise UserError(
            f"{where}: expected no 'speakers', as no context of the systems has them, found some, "
            "which would tell the check from other items; remove the key"
        )
    raise UserError(
        f"{where}: expected one number a turn under 'speakers', as all contexts of the systems "
        "have, found none, which would tell the check from other items; add the key, such as "
        f'"speakers": {[place % 2 for place in range(len(item.turns))]}'
    )


def _accepted(kind: Kind, aspect: str, values: Any, *, where: str) -> tuple[Answer, ...]:
    """The right answers of one aspect; one of them need not stand in a list."""
    names, possible = KINDS[kind].aspect_names, [option.value for option in KINDS[kind].options]
    if aspect not in names:
        raise UserError(
            f"{where}: expected an aspect of {', '.join(names)}, found {brief(aspect)}; {_REMEDY}"
        )
    accepted = values if isinstance(values, list) else [values]
    # `True in [0, 1, 2]` holds in Python.
    wrong = [v for v in accepted if isinstance(v, bool | float) or v not in possible]
    if wrong or not accepted:
        raise UserError(
            f"{where}: {aspect}: expected answers out of {', '.join(map(repr, possible))}, found "
            f"{brief(values)}; {_REMEDY}"
        )
    if {*accepted} == {*possible}:
        raise UserError(
            f"{where}: {aspect}: expected an answer that is wrong, found that all are right; leave "
            "the aspect out"
        )
    return tuple(accepted)
