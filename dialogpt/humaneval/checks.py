"""Items whose answer is known: they tell who reads and who clicks.

From a file of the user's, or made from the data: the reply of a person to another context, its
words in random order. It fits nothing and is no sentence, so against the reply of a person to the
context itself it loses in relevance and human-likeness, and by itself it gets the lowest points.
How informative word salad is nobody can say, so nothing is expected there.

Where single replies are rated, every other check is a person's reply to the context itself, which
does not get the lowest points: else who gives them always would pass.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import Kind, MakeConfig
from dialogpt.humaneval.items import Item, Purpose, Shown, balanced_coins
from dialogpt.humaneval.kinds import FIRST, KINDS, Answer
from dialogpt.humaneval.systems import clean_turns, read_lines
from dialogpt.text import clean_turn

SHUFFLED = "shuffled"
"""System of a reply made of shuffled words."""
FROM_FILE = "check"
"""System of a reply out of the user's file."""

_FEWEST_WORDS = 6  # different ones; fewer may be a sentence in any order
_MOST_WORDS = 40
_FEWEST_GOOD_WORDS = 3
_TRIES = 20

_EXPECTED: dict[Kind, dict[str, tuple[Answer, ...]]] = {
    "pairwise": {"relevance": (FIRST,), "human_likeness": (FIRST,)},
    "rating_0_2": {"fluency": (0, 1), "coherence": (0,), "overall": (0,)},
    "rating_1_5": {"relevance": (1, 2)},
}
_EXPECTED_OF_PEOPLE: dict[Kind, dict[str, tuple[Answer, ...]]] = {
    "rating_0_2": {"fluency": (1, 2)},
    "rating_1_5": {"relevance": (2, 3, 4, 5)},
}


def draw_checks(
    config: MakeConfig,
    contexts: Sequence[tuple[str, ...]],
    good: Sequence[str] | None,
    context_indices: Sequence[int],
) -> list[Item]:
    """The qualification items and then the spam checks, the same for all judges.

    Args:
        config: how many, and the user's file.
        contexts: turns of all contexts.
        good: the reply of a person to each context; None where there is none.
        context_indices: contexts to make checks of, in the order in which they are taken.

    Raises:
        UserError: the file has mistakes, or too little is there to make checks of.
    """
    generator = random.Random(f"{config.seed} checks")
    number = config.num_qualification + config.num_spam_checks
    items = []
    if config.checks:
        items = _from_file(Path(config.checks), config.kind, first_index=len(contexts))
    generator.shuffle(items)
    items = items[:number]
    if len(items) < number:
        made = _made(config.kind, contexts, good, context_indices, generator)
        items += [item for item, _ in zip(made, range(number - len(items)), strict=False)]
    if len(items) < number:
        raise UserError(
            f"expected {number} items with known answers (num_qualification + num_spam_checks), "
            f"found what makes {len(items)}: {_why(good)}; name a file with --human or --checks, "
            "or lower the numbers"
        )
    generator.shuffle(items)  # of both sources among both purposes
    if KINDS[config.kind].num_shown > 1:
        coins = balanced_coins(number, generator)
        items = [item.swapped() if c else item for item, c in zip(items, coins, strict=True)]
    purposes: list[Purpose] = ["qualification"] * config.num_qualification
    purposes += ["spam_check"] * config.num_spam_checks
    return [replace(item, purpose=p) for item, p in zip(items, purposes, strict=True)]


def _why(good: Sequence[str] | None) -> str:
    if good is None:
        return "no system is called human"
    return (
        f"few contexts have a reply of a person of {_FEWEST_GOOD_WORDS} words or more, or few such "
        f"replies have {_FEWEST_WORDS} to {_MOST_WORDS} different words"
    )


def _made(
    kind: Kind,
    contexts: Sequence[tuple[str, ...]],
    good: Sequence[str] | None,
    context_indices: Sequence[int],
    generator: random.Random,
) -> Iterator[Item]:
    """One check a context, as long as there are any that serve."""
    if good is None:
        return
    donors = [i for i, r in enumerate(good) if _FEWEST_WORDS <= len({*r.split()}) <= _MOST_WORDS]
    generator.shuffle(donors)
    is_pair = KINDS[kind].num_shown > 1
    is_persons_turn = False
    for index in context_indices:
        person = Shown(system="human", text=good[index])
        if is_persons_turn and len(person.text.split()) >= _FEWEST_GOOD_WORDS:
            yield _check_of(index, contexts, (person,), _EXPECTED_OF_PEOPLE[kind])
            is_persons_turn = False
            continue
        # Not a reply to the same words: a question may stand in the data twice.
        place = next((n for n, d in enumerate(donors) if contexts[d] != contexts[index]), None)
        if place is None:
            return
        if is_pair and len(person.text.split()) < _FEWEST_GOOD_WORDS:
            continue
        salad = Shown(system=SHUFFLED, text=_shuffled(good[donors.pop(place)], generator))
        shown = (person, salad) if is_pair else (salad,)
        yield _check_of(index, contexts, shown, _EXPECTED[kind])
        is_persons_turn = not is_pair


def _check_of(
    index: int,
    contexts: Sequence[tuple[str, ...]],
    shown: tuple[Shown, ...],
    expected: dict[str, tuple[Answer, ...]],
) -> Item:
    return Item(
        purpose="spam_check",
        context_index=index,
        turns=contexts[index],
        shown=shown,
        expected=expected,
    )


def _shuffled(text: str, generator: random.Random) -> str:
    """The words in the most random of some orders: that with the fewest neighbours of before."""
    words = text.split()
    before = {*pairwise(words)}
    orders = [generator.sample(words, len(words)) for _ in range(_TRIES)]
    return " ".join(min(orders, key=lambda order: sum(p in before for p in pairwise(order))))


def _from_file(file: Path, kind: Kind, *, first_index: int) -> list[Item]:
    return [
        _check(value, kind, context_index=index, where=f"{file}: line {number}")
        for index, (number, value) in enumerate(read_lines(file, "--checks"), first_index)
    ]


def _check(value: Any, kind: Kind, *, context_index: int, where: str) -> Item:
    """One line of the user's file."""
    wanted = KINDS[kind].num_shown
    keys = value if isinstance(value, dict) else {}
    replies, expected = keys.get("replies"), keys.get("expected")
    if (
        not isinstance(replies, list)
        or len(replies) != wanted
        or not all(isinstance(reply, str) for reply in replies)
    ):
        raise UserError(
            f"{where}: expected {wanted} texts under 'replies' for {kind}, found "
            f"{repr(replies)[:60]}"
        )
    if not isinstance(expected, dict) or not expected:
        raise UserError(
            f"{where}: expected the right answers of some aspects under 'expected', found "
            f"{repr(expected)[:60]}"
        )
    return Item(
        purpose="spam_check",
        context_index=context_index,
        turns=clean_turns(keys.get("turns"), where=where),
        shown=tuple(Shown(system=FROM_FILE, text=clean_turn(reply)) for reply in replies),
        expected={
            str(aspect): _accepted(kind, aspect, values, where=where)
            for aspect, values in expected.items()
        },
    )


def _accepted(kind: Kind, aspect: str, values: Any, *, where: str) -> tuple[Answer, ...]:
    """The right answers of one aspect; one of them need not stand in a list."""
    names, possible = KINDS[kind].aspect_names, [option.value for option in KINDS[kind].options]
    if aspect not in names:
        raise UserError(f"{where}: expected an aspect of {', '.join(names)}, found {aspect!r}")
    accepted = values if isinstance(values, list) else [values]
    # `True in [0, 1, 2]` holds in Python.
    wrong = [v for v in accepted if isinstance(v, bool | float) or v not in possible]
    if wrong or not accepted:
        raise UserError(
            f"{where}: {aspect}: expected answers out of {', '.join(map(repr, possible))}, found "
            f"{repr(values)[:60]}"
        )
    return tuple(accepted)
