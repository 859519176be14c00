"""What judges see one at a time: a context with one reply or two, and where these come from."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from dialogpt.config.humaneval import MakeConfig
from dialogpt.humaneval.kinds import FIRST, SECOND, Answer
from dialogpt.humaneval.systems import SystemReplies

Purpose = Literal["judged", "qualification", "spam_check"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One reply of an item.

    Attributes:
        system: whose it is; the key that judges never see.
        text: what they see.
    """

    system: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """What a judge is shown, and what for.

    Attributes:
        id: names it in the files; "" until all items are drawn.
        purpose: judged, or one of the two uses of an item with a known answer.
        context_index: number of the context in the systems' files, from 0; contexts of the user's
            checks count on.
        turns: the context, oldest first.
        speakers: who says each turn, numbered from 0; empty where not known.
        shown: the replies in the order of the page.
        expected: aspect -> the answers that are right; None for judged items.
    """

    id: str = ""
    purpose: Purpose
    context_index: int
    turns: tuple[str, ...]
    speakers: tuple[int, ...] = ()
    shown: tuple[Shown, ...]
    expected: dict[str, tuple[Answer, ...]] | None = None

    def swapped(self) -> "Item":
        """The same with its two replies the other way round, and what is right with them."""
        other: dict[Answer, Answer] = {FIRST: SECOND, SECOND: FIRST}
        expected = self.expected and {
            aspect: tuple(other.get(value, value) for value in values)
            for aspect, values in self.expected.items()
        }
        return replace(self, shown=self.shown[::-1], expected=expected)

    def as_record(self) -> dict[str, Any]:
        """What stands in plan.json."""
        return {
            "id": self.id,
            "purpose": self.purpose,
            "context_index": self.context_index,
            "turns": list(self.turns),
            "speakers": list(self.speakers),
            "shown": [{"system": one.system, "text": one.text} for one in self.shown],
            "expected": self.expected and {name: list(v) for name, v in self.expected.items()},
        }


def draw_judged(
    config: MakeConfig,
    contexts: Sequence[tuple[str, ...]],
    systems: Sequence[SystemReplies],
    context_indices: Sequence[int],
) -> list[Item]:
    """The items to be judged: of each drawn context one for every pair, or for every system.

    Of a pair's items the first system stands first in half, drawn at random; where their number is
    odd, a coin decides about the last one.

    Args:
        config: kind, pairs and seed.
        contexts: turns of all contexts.
        systems: with a reply to each context.
        context_indices: the drawn ones.
    """
    by_name = {system.name: system.replies for system in systems}
    items = []
    for names in _groups(config, list(by_name)):
        drawn = [
            Item(
                purpose="judged",
                context_index=index,
                turns=contexts[index],
                shown=tuple(Shown(system=name, text=by_name[name][index]) for name in names),
            )
            for index in context_indices
        ]
        if len(names) > 1:
            coins = balanced_coins(len(drawn), random.Random(f"{config.seed} order {names}"))
            drawn = [item.swapped() if c else item for item, c in zip(drawn, coins, strict=True)]
        items += drawn
    return items


def _groups(config: MakeConfig, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The systems that an item shows."""
    if config.kind != "pairwise":
        return [(name,) for name in names]
    if config.pairs:
        return [tuple(pair.split(":")) for pair in config.pairs]
    return list(combinations(names, 2))


def balanced_coins(number: int, generator: random.Random) -> list[bool]:
    """As many heads as tails in random order; one more of either where the number is odd."""
    coins = [n % 2 == 0 for n in range(number // 2 * 2)]
    if number % 2:
        coins.append(generator.random() < 0.5)
    generator.shuffle(coins)
    return coins


def with_ids(items: Sequence[Item], generator: random.Random) -> list[Item]:
    """The items in random order under ids that count up, so that an id tells nothing."""
    shuffled = list(items)
    generator.shuffle(shuffled)
    width = len(str(len(shuffled)))
    return [
        replace(item, id=f"item-{number:0{width}}") for number, item in enumerate(shuffled, start=1)
    ]
