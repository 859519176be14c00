"""Items whose answer is known: they tell who reads and who clicks.

From a file of the user's (`own_checks.py`), or made from the data: the reply of a person to another
context, its words in random order. It fits nothing and is no sentence, so against the reply of a
person to the context itself it loses in relevance and human-likeness, and by itself it gets the
lowest points. How informative word salad is nobody can say, so nothing is expected there.

Where single replies are rated, half of the checks are a person's reply to the context itself, which
gets other points. So no answer is right everywhere: whoever gives the same one always fails half of
the made checks (rounded down) or more: of the qualification items, of the spam checks, and of both
together.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import Kind, MakeConfig
from dialogpt.humaneval.items import Item, Purpose, Shown, balanced_coins
from dialogpt.humaneval.kinds import FIRST, KINDS, SECOND, Answer

SHUFFLED = "shuffled"
"""System of a reply made of shuffled words."""

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
    "rating_0_2": {"fluency": (1, 2), "coherence": (1, 2)},
    "rating_1_5": {"relevance": (3, 4, 5)},
}


_PURPOSES: tuple[Purpose, ...] = ("qualification", "spam_check")


def draw_checks(
    config: MakeConfig,
    contexts: Sequence[tuple[str, ...]],
    good: Sequence[str] | None,
    context_indices: Sequence[int],
    own: Sequence[Item] = (),
) -> list[Item]:
    """The qualification items and then the spam checks, the same for all judges.

    Args:
        config: how many.
        contexts: turns of all contexts.
        good: the reply of a person to each context; None where there is none.
        context_indices: contexts to make checks of, in the order in which they are taken.
        own: checks of the user's, used first.

    Raises:
        UserError: too little is there to make checks of.
    """
    generator = random.Random(f"{config.seed} checks")
    places = (config.num_qualification, config.num_spam_checks)
    hands = _dealt(own, places, generator)
    free = [number - len(hand) for number, hand in zip(places, hands, strict=True)]
    is_person = _coins(free, generator)
    sources = _Sources(config.kind, contexts, good, context_indices)
    num_persons = 0 if _is_pair(config.kind) else sum(map(sum, is_person))
    persons, salads = sources.draw(num_persons, sum(free) - num_persons, generator)
    num_found = sum(map(len, hands)) + len(persons) + len(salads)
    if num_found < sum(places):
        raise UserError(
            f"expected {sum(places)} items with known answers (num_qualification + "
            f"num_spam_checks), found what makes {num_found}: {_why(good)}; name a file with "
            "--human or --checks, or lower the numbers"
        )
    for hand, coins in zip(hands, is_person, strict=True):
        hand += [(persons if c and persons else salads).pop() for c in coins]
    if _is_pair(config.kind):
        hands = _turned(hands, generator)
    return [
        replace(item, purpose=purpose)
        for purpose, hand in zip(_PURPOSES, hands, strict=True)
        for item in hand
    ]


def _is_pair(kind: Kind) -> bool:
    return KINDS[kind].num_shown > 1


def _dealt(
    own: Sequence[Item], places: Sequence[int], generator: random.Random
) -> list[list[Item]]:
    """As many for each purpose, as long as there are places; spam checks get an odd one."""
    hands: list[list[Item]] = [[] for _ in places]
    for item in generator.sample(own, min(len(own), sum(places))):
        open_ = [n for n, hand in enumerate(hands) if len(hand) < places[n]]
        hands[min(open_, key=lambda n: (len(hands[n]), -n))].append(item)
    return hands


def _coins(numbers: Sequence[int], generator: random.Random) -> list[list[bool]]:
    """Coins for each of two purposes, balanced within each and over both."""
    first, second = (balanced_coins(number, generator) for number in numbers)
    if abs(2 * sum(first + second) - len(first + second)) > 1:
        second = [not coin for coin in second]  # both are odd, with the same odd one
    return [first, second]


def _turned(hands: Sequence[Sequence[Item]], generator: random.Random) -> list[list[Item]]:
    """Of each purpose the right reply first in half; where none is right, a coin decides."""
    sided = [[item for item in hand if _right_side(item)] for hand in hands]
    turned = []
    for hand, coins in zip(hands, _coins([*map(len, sided)], generator), strict=True):
        left = iter(coins)
        turned.append(
            [
                item.swapped()
                if ((side == FIRST) != next(left) if side else generator.random() < 0.5)
                else item
                for item, side in ((item, _right_side(item)) for item in hand)
            ]
        )
    return turned


def _right_side(item: Item) -> Answer | None:
    """The reply that is preferred in the first aspect where the other one is wrong."""
    for values in (item.expected or {}).values():
        sides = {*values} & {FIRST, SECOND}
        if len(sides) == 1:
            return sides.pop()
    return None


def _why(good: Sequence[str] | None) -> str:
    if good is None:
        return "no system is called human"
    return (
        f"few contexts have a reply of a person of {_FEWEST_GOOD_WORDS} words or more, or few such "
        f"replies have {_FEWEST_WORDS} to {_MOST_WORDS} different words"
    )


@dataclass(frozen=True, slots=True)
class _Sources:
    """What checks are made of; the names are those of `draw_checks`."""

    kind: Kind
    contexts: Sequence[tuple[str, ...]]
    good: Sequence[str] | None
    context_indices: Sequence[int]

    def draw(
        self, num_persons: int, num_salads: int, generator: random.Random
    ) -> tuple[list[Item], list[Item]]:
        """Checks that show a person's reply alone, and others; fewer where no more can be made."""
        persons: list[Item] = []
        salads: list[Item] = []
        if self.good is None:
            return persons, salads
        donors = [
            i for i, r in enumerate(self.good) if _FEWEST_WORDS <= len({*r.split()}) <= _MOST_WORDS
        ]
        generator.shuffle(donors)
        for index in self.context_indices:
            person = Shown(system="human", text=self.good[index])
            is_good = len(person.text.split()) >= _FEWEST_GOOD_WORDS
            if is_good and len(persons) < num_persons and len(persons) <= len(salads):
                expected = _EXPECTED_OF_PEOPLE[self.kind]
                persons.append(_check_of(index, self.contexts, (person,), expected))
                continue
            if len(salads) == num_salads or (_is_pair(self.kind) and not is_good):
                continue
            # Not a reply to the same words: a question may stand in the data twice.
            turns = self.contexts[index]
            place = next((n for n, d in enumerate(donors) if self.contexts[d] != turns), None)
            if place is None:
                continue
            salad = Shown(system=SHUFFLED, text=_shuffled(self.good[donors.pop(place)], generator))
            shown = (person, salad) if _is_pair(self.kind) else (salad,)
            salads.append(_check_of(index, self.contexts, shown, _EXPECTED[self.kind]))
        return persons, salads


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
