"""Which judge sees which items, in which order."""

import random
from collections.abc import Sequence

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import MakeConfig
from dialogpt.humaneval.items import Item

_ITEMS_PER_JUDGE = 100
# Where neither option says how many: about an hour.


def number_of_judges(config: MakeConfig, num_items: int) -> int:
    """As configured, or as few as can do the work.

    Args:
        config: judges_per_item, num_judges and items_per_judge.
        num_items: judged items of the study.

    Raises:
        UserError: the judges may not see as many items as there are to see, or some would see
            none.
    """
    judgments = num_items * config.judges_per_item
    most = config.items_per_judge or (0 if config.num_judges else _ITEMS_PER_JUDGE)
    needed = max(config.judges_per_item, -(-judgments // most)) if most else config.num_judges
    if config.num_judges and config.num_judges < needed:
        raise UserError(
            f"expected judges for {judgments:,} judgments ({num_items:,} items of "
            f"{config.judges_per_item} judges each), found --num_judges {config.num_judges} of "
            f"--items_per_judge {config.items_per_judge}; {needed:,} judges are needed, or fewer "
            "--num_items"
        )
    if config.num_judges > judgments:
        raise UserError(
            f"expected at most a judge for each of {judgments:,} judgments, found --num_judges "
            f"{config.num_judges:,}; lower it, or draw more --num_items"
        )
    return config.num_judges or needed


def deal(
    items: Sequence[Item], *, judges_per_item: int, num_judges: int, generator: random.Random
) -> list[list[Item]]:
    """The items of each judge: every item for so many different judges, loads equal within one.

    Each item takes the next judges of a shuffled deck; when the deck runs out, a new one begins,
    out of which first come the judges who do not have the item yet. So which judges meet at an item
    is random, and nobody is a whole deck ahead of another.

    Args:
        items: in any order.
        judges_per_item: at most num_judges.
        num_judges: judges.
        generator: decides who gets what.
    """
    hands: list[list[Item]] = [[] for _ in range(num_judges)]
    deck: list[int] = []
    for item in generator.sample(items, len(items)):
        taken: list[int] = []
        while len(taken) < judges_per_item:
            if not deck:
                deck = generator.sample(range(num_judges), num_judges)
            place = next(n for n in reversed(range(len(deck))) if deck[n] not in taken)
            taken.append(deck.pop(place))
        for judge in taken:
            hands[judge].append(item)
    return hands


def page_order(
    judged: Sequence[Item], checks: Sequence[Item], generator: random.Random
) -> list[Item]:
    """A judge's items as they come: qualification, then the rest with spam checks strewn in.

    The judged items are cut into as many equal parts as there are spam checks, and each part gets
    one at a random place, so that every stretch of the page is watched.

    Args:
        judged: the judge's own.
        checks: those of all judges.
        generator: decides the order.
    """
    first = [item for item in checks if item.purpose == "qualification"]
    spam = [item for item in checks if item.purpose == "spam_check"]
    generator.shuffle(first)
    generator.shuffle(spam)
    rest = generator.sample(judged, len(judged))
    strewn: list[Item] = []
    for number, check in enumerate(spam):
        start, end = (len(rest) * n // len(spam) for n in (number, number + 1))
        place = generator.randint(start, end)
        strewn += [*rest[start:place], check, *rest[place:end]]
    return [*first, *(strewn if spam else rest)]
