"""Which judge sees which items, in which order; which options make no study."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import MakeConfig
from dialogpt.humaneval.dealing import deal, number_of_judges, page_order
from dialogpt.humaneval.items import Item, Shown, balanced_coins


def an_item(number: int, purpose: Any = "judged") -> Item:
    shown = (Shown(system="a", text="x"), Shown(system="b", text="y"))
    return Item(
        id=str(number), purpose=purpose, context_index=number, turns=("hello",), shown=shown
    )


@given(
    num_items=st.integers(0, 60),
    num_judges=st.integers(1, 9),
    seed=st.integers(0, 1000),
    data=st.data(),
)
@settings(max_examples=60)
def test_every_item_is_dealt_to_so_many_different_judges_and_loads_are_equal(
    num_items: int, num_judges: int, seed: int, data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(1, num_judges))
    items = [an_item(number) for number in range(num_items)]
    hands = deal(
        items, judges_per_item=wanted, num_judges=num_judges, generator=random.Random(seed)
    )
    assert len(hands) == num_judges
    for hand in hands:
        assert len({item.id for item in hand}) == len(hand)
    assert Counter(item.id for hand in hands for item in hand) == dict.fromkeys(
        (item.id for item in items), wanted
    )
    loads = [len(hand) for hand in hands]
    assert max(loads) - min(loads) <= 1


def test_which_judges_meet_at_an_item_is_random() -> None:
    items = [an_item(number) for number in range(300)]
    hands = deal(items, judges_per_item=2, num_judges=4, generator=random.Random(0))
    meetings = Counter(tuple(n for n, hand in enumerate(hands) if item in hand) for item in items)
    assert len(meetings) == 6
    assert min(meetings.values()) > 25  # of 50 expected


@pytest.mark.parametrize(
    ("options", "num_items", "judges"),
    [
        ({}, 100, 3),
        ({}, 101, 4),
        ({"num_judges": 7}, 2000, 7),
        ({"items_per_judge": 10}, 100, 30),
        ({"items_per_judge": 10, "num_judges": 40}, 100, 40),
        ({"items_per_judge": 1000, "judges_per_item": 5}, 10, 5),
    ],
)
def test_there_are_as_few_judges_as_can_do_the_work(
    options: dict[str, int], num_items: int, judges: int
) -> None:
    config = MakeConfig(systems=("a=x", "b=y"), output="z", **options)  # type: ignore[arg-type]
    assert number_of_judges(config, num_items) == judges


def test_too_few_judges_are_refused_with_how_many_it_takes() -> None:
    config = MakeConfig(systems=("a=x", "b=y"), output="z", num_judges=29, items_per_judge=10)
    with pytest.raises(UserError, match=r"300 judgments.*30 judges are needed"):
        number_of_judges(config, 100)


def test_a_judge_without_any_item_is_refused() -> None:
    config = MakeConfig(systems=("a=x", "b=y"), output="z", num_judges=7)
    assert number_of_judges(config, 3) == 7
    with pytest.raises(UserError, match="each of 6 judgments, found --num_judges 7; lower it"):
        number_of_judges(config, 2)


@given(num_judged=st.integers(0, 40), num_spam=st.integers(0, 6), seed=st.integers(0, 50))
@settings(max_examples=40)
def test_qualification_comes_first_and_each_part_of_a_page_has_one_spam_check(
    num_judged: int, num_spam: int, seed: int
) -> None:
    judged = [an_item(n) for n in range(num_judged)]
    checks = [an_item(100 + n, "qualification") for n in range(3)]
    checks += [an_item(200 + n, "spam_check") for n in range(num_spam)]
    page = page_order(judged, checks, random.Random(seed))
    assert Counter(item.id for item in page) == Counter(i.id for i in [*judged, *checks])
    assert [item.purpose for item in page[:3]] == ["qualification"] * 3
    before = 0
    seen = 0
    for item in page[3:]:
        if item.purpose == "spam_check":
            assert num_judged * seen // num_spam <= before <= num_judged * (seen + 1) // num_spam
            seen += 1
        else:
            before += 1
    assert seen == num_spam


def test_a_spam_check_stands_anywhere_in_its_part() -> None:
    judged = [an_item(n) for n in range(8)]
    checks = [an_item(200 + n, "spam_check") for n in range(2)]
    places = Counter(
        page.index(check) - 5 * (check is max(checks, key=page.index))
        for seed in range(60)
        for page in [page_order(judged, checks, random.Random(seed))]
        for check in checks
    )
    assert {*places} == {*range(5)}


def test_an_odd_item_falls_to_either_side() -> None:
    sides = {
        number: {sum(balanced_coins(number, random.Random(seed))) for seed in range(20)}
        for number in (1, 4, 7)
    }
    assert sides == {1: {0, 1}, 4: {2}, 7: {3, 4}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"systems": ("a=x",)}, "at least 2"),
        ({"systems": ("a=x", "a=y")}, "'a' twice"),
        ({"systems": ("a=x", "b")}, "NAME=FILE"),
        ({"systems": ("a=x", "b=")}, "NAME=FILE"),
        ({"systems": ("a=x", "b c=y")}, "NAME=FILE"),
        ({"pairs": ("a:a",)}, "NAME:NAME"),
        ({"pairs": ("a:c",)}, "NAME:NAME"),
        ({"pairs": ("a:b", "b:a")}, "twice"),
        ({"pairs": ("a:b",), "kind": "rating_1_5"}, "pairwise only"),
        ({"num_items": 0}, "num_items"),
        ({"num_judges": 2}, "judges_per_item 3"),
        ({"study": "a b"}, "study"),
    ],
)
def test_options_that_make_no_study_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MakeConfig(**{"systems": ("a=x", "b=y"), "output": "z", **options})
