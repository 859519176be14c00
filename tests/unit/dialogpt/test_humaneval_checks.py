"""Items with known answers: made from replies of people, and out of a file."""

import random
from collections import Counter
from itertools import pairwise, product
from math import prod
from pathlib import Path
from typing import Any

import pytest
from support_humaneval import (
    NAMES,
    WORDS,
    by_purpose,
    make_study,
    read_lines,
    write_lines,
    write_systems,
)

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import MakeConfig
from dialogpt.humaneval.checks import _shuffled, draw_checks
from dialogpt.humaneval.items import Item
from dialogpt.humaneval.kinds import KINDS, Answer
from dialogpt.humaneval.known_answers import MOST_FAILED_SHARE

KIND_NAMES = sorted(KINDS)
DOCS = Path(__file__).parents[3] / "docs" / "human-evaluation.md"


def made_checks(kind: Any, *, own: list[Item] | None = None, **options: int) -> list[Item]:
    """Checks of 24 made-up contexts."""
    generator = random.Random(0)
    contexts = [(f"what about {n}?",) for n in range(24)]
    good = [" ".join(generator.sample(WORDS, 8)) for _ in contexts]
    config = MakeConfig(systems=("a=x", "b=y"), output="z", kind=kind, **options)
    return draw_checks(config, contexts, good, range(24), own or [])


def failed_by(items: list[Item], answer: Answer) -> int:
    """Items that one answer to everything fails."""
    return sum(any(answer not in v for v in (item.expected or {}).values()) for item in items)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_no_answer_given_always_passes(kind: str) -> None:
    """Among all checks, and among those of either purpose, because a judge may stop early."""
    numbers = [(q, s) for q, s in product(range(6), range(8)) if q + s > 1]
    for seed, (q, s) in enumerate(numbers * 3):
        items = made_checks(kind, num_qualification=q, num_spam_checks=s, seed=seed)
        assert [i.purpose for i in items] == ["qualification"] * q + ["spam_check"] * s
        for part in (items, items[:q], items[q:]):
            if len(part) > 1:
                for option in KINDS[kind].options:
                    assert failed_by(part, option.value) > MOST_FAILED_SHARE * len(part)
        types = [Counter(str(item.expected) for item in part) for part in (items[:q], items[q:])]
        assert all(abs(2 * n - t.total()) <= 1 for t in types for n in t.values())


def passing(chances: list[float]) -> float:
    """The chance to fail no more than is allowed of checks that are passed with these chances."""
    failed = [1.0]
    for chance in chances:
        failed = [
            chance * same + (1 - chance) * fewer
            for same, fewer in zip([*failed, 0.0], [0.0, *failed], strict=True)
        ]
    most = int(MOST_FAILED_SHARE * len(chances))
    return sum(failed[: most + 1])


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_who_answers_at_random_is_counted_as_often_as_the_documentation_says(kind: str) -> None:
    options = len(KINDS[kind].options)
    expected = [list((item.expected or {}).values()) for item in made_checks(kind)]
    assert len(expected) == 10
    each = passing([prod(len(values) / options for values in one) for one in expected])
    same = passing([len(set.intersection(*map(set, one))) / options for one in expected])
    two = ""
    if kind == "pairwise":
        two = f"{passing([0.5] * len(expected)):.1%}"
    row = f"| `{kind}` | 0 | {two or 'n/a'} | {same:.1%} | {each:.2g} |"
    assert row in DOCS.read_text(encoding="utf-8")
    assert max(each, same) < 0.06


def test_of_shuffled_words_hardly_any_follow_one_another_as_before() -> None:
    """Of 20 orders of 8 words all but one in 10,000 have one without any such pair."""
    text = " ".join(WORDS[:8])
    before = {*pairwise(WORDS[:8])}
    for seed in range(20):
        words = _shuffled(text, random.Random(seed)).split()
        assert sorted(words) == sorted(WORDS[:8])
        assert not before & {*pairwise(words)}


def test_one_check_alone_is_refused_because_one_answer_passes_it() -> None:
    with pytest.raises(ValueError, match="0 or at least 2 together"):
        made_checks("pairwise", num_qualification=1, num_spam_checks=0)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_made_checks_show_shuffled_words_of_a_reply_to_another_context(
    tmp_path: Path, kind: str
) -> None:
    systems = write_systems(tmp_path, num_contexts=30)
    plan = make_study(
        tmp_path, systems, num_items=12, kind=kind, num_qualification=3, num_spam_checks=5
    )
    lines = read_lines(tmp_path / f"{NAMES[2]}.jsonl")
    replies = [line["human"] for line in lines]
    assert len(by_purpose(plan, "qualification")) == 3
    assert len(by_purpose(plan, "spam_check")) == 5
    first_is_right = num_people = 0
    drawn = {item["context_index"] for item in by_purpose(plan, "judged")}
    for item in by_purpose(plan, "qualification", "spam_check"):
        assert item["context_index"] not in drawn
        if kind != "pairwise" and item["shown"][0]["system"] == "human":
            assert item["shown"][0]["text"] == replies[item["context_index"]]
            lowest = KINDS[kind].options[0].value
            assert all(lowest not in values for values in item["expected"].values())
            num_people += 1
            continue
        (salad,) = (one["text"] for one in item["shown"] if one["system"] == "shuffled")
        donors = [n for n, r in enumerate(replies) if sorted(r.split()) == sorted(salad.split())]
        assert len(donors) == 1
        assert donors[0] != item["context_index"]
        assert salad != replies[donors[0]]
        if kind != "pairwise":
            lowest = KINDS[kind].options[0].value
            assert item["expected"]
            assert all(values[0] == lowest for values in item["expected"].values())
            continue
        place = [one["system"] for one in item["shown"]].index("human")
        assert item["shown"][place]["text"] == replies[item["context_index"]]
        right = ["first", "second"][place]
        assert item["expected"] == {"relevance": [right], "human_likeness": [right]}
        first_is_right += place == 0
    assert (first_is_right, num_people) == ((4, 0) if kind == "pairwise" else (0, 4))


def own_checks(number: int, **expected: Any) -> list[dict[str, Any]]:
    """Lines of a user's file, where the first reply is right."""
    return [
        {
            "turns": [f"what is {n} and 1?"],
            "replies": [f"it is {n + 1}", "cheese"],
            "expected": {"relevance": "first", **expected},
        }
        for n in range(number)
    ]


@pytest.mark.parametrize(("number", "dealt"), [(5, (2, 3)), (9, (4, 5)), (14, (4, 6))])
def test_checks_of_the_user_serve_both_purposes_and_too_many_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, dealt: tuple[int, int]
) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    checks = write_lines(tmp_path / "checks.jsonl", own_checks(number))
    plan = make_study(tmp_path, systems, num_items=5, checks=str(checks))
    for purpose, num in zip(("qualification", "spam_check"), dealt, strict=True):
        items = by_purpose(plan, purpose)
        theirs = [item for item in items if item["context_index"] >= 20]
        assert len(theirs) == num
        right = Counter(item["expected"]["relevance"][0] for item in items)
        assert right["first"] == right["second"]
    said = "checks.jsonl: 14 checks, of which 10 are used; raise --num_qualification or"
    assert (said in capsys.readouterr().out) == (number == 14)


def test_of_checks_of_the_user_each_side_is_right_in_half_whatever_their_order(
    tmp_path: Path,
) -> None:
    """Sides that alternate in the file must not meet coins that alternate too."""
    systems = write_systems(tmp_path, num_contexts=9)
    lines = [
        {
            **line,
            "expected": {"relevance": ["first", "second"][n % 2], "informativeness": "neutral"},
        }
        for n, line in enumerate(own_checks(10))
    ]
    checks = write_lines(tmp_path / "checks.jsonl", lines)
    for seed in range(8):
        plan = make_study(tmp_path / str(seed), systems, num_items=2, checks=str(checks), seed=seed)
        for purpose, half in (("qualification", 2), ("spam_check", 3)):
            right = [item["expected"]["relevance"] for item in by_purpose(plan, purpose)]
            assert right.count(["first"]) == half


def test_checks_of_the_user_come_before_made_ones_and_turn_with_the_order(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    own = own_checks(5, informativeness=["first", "neutral"])
    checks = write_lines(tmp_path / "checks.jsonl", own)
    plan = make_study(tmp_path, systems, num_items=5, checks=str(checks))
    items = by_purpose(plan, "qualification", "spam_check")
    theirs = [item for item in items if item["context_index"] >= 20]
    assert len(items) == 10
    assert sorted(item["context_index"] for item in theirs) == [20, 21, 22, 23, 24]
    for item in theirs:
        texts = [one["text"] for one in item["shown"]]
        assert {one["system"] for one in item["shown"]} == {"check"}
        right = ["second", "first"][texts.index("cheese") != 0]
        assert item["expected"] == {
            "relevance": [right],
            "informativeness": [right, "neutral"],
        }
    orders = {[one["text"] for one in item["shown"]].index("cheese") for item in theirs}
    assert orders == {0, 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"turns": ["a"], "replies": ["x"], "expected": {"relevance": "first"}}, "2 texts"),
        ({"turns": ["a"], "replies": ["x", "y"]}, "'expected'"),
        ({"turns": [], "replies": ["x", "y"], "expected": {"relevance": "first"}}, "turns"),
        ({"turns": ["a"], "replies": ["x", "y"], "expected": {"fluency": "first"}}, "an aspect"),
        ({"turns": ["a"], "replies": ["x", "y"], "expected": {"relevance": 1}}, "'neutral'"),
        ({"turns": ["a"], "replies": ["x", "y"], "expected": {"relevance": []}}, "'neutral'"),
        ([1], "2 texts"),
        (
            {
                "turns": ["a"],
                "replies": ["x", "y"],
                "expected": {"relevance": ["neutral", "first", "second"]},
            },
            "relevance: expected an answer that is wrong, found that all are right",
        ),
        (
            {
                "turns": ["a"],
                "replies": ["x", "\u200bx "],
                "expected": {"informativeness": "neutral", "relevance": ["second"]},
            },
            "relevance: expected two replies of which one is better, found two that are the same",
        ),
    ],
)
def test_a_wrong_check_is_refused_with_its_line(tmp_path: Path, line: Any, message: str) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    fine = {"turns": ["a"], "replies": ["x", "y"], "expected": {"relevance": "second"}}
    checks = write_lines(tmp_path / "checks.jsonl", [fine, line])
    with pytest.raises(UserError, match=rf"checks\.jsonl: line 2: .*{message}.*; \w+ .*") as told:
        make_study(tmp_path, systems, num_items=2, checks=str(checks))
    remedies = ("mend the line, or remove it", "leave the aspect out", "or write another reply")
    assert str(told.value).endswith(remedies)
    assert not (tmp_path / "study").exists()


def test_two_replies_that_are_the_same_may_make_no_difference(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    same = {"turns": ["a"], "replies": ["x", "x"], "expected": {"relevance": "neutral"}}
    checks = write_lines(tmp_path / "checks.jsonl", [same])
    plan = make_study(tmp_path, systems, num_items=2, checks=str(checks), num_qualification=0)
    assert {"relevance": ["neutral"]} in [item["expected"] for item in plan["items"]]


@pytest.mark.parametrize(
    ("speakers", "turns", "theirs", "message"),
    [
        ([0, 1, 0], ["a", "b"], None, r"one number a turn .* found none.*\"speakers\": \[0, 1\]"),
        ([], ["a", "b"], [0, 1], "expected no 'speakers', as no context .* remove the key"),
        ([0, 1, 0], ["a", "b"], [3, 3], None),
        ([0, 1, 0], ["a"], None, None),
        ([], ["a"], [0], None),
        ([], ["a", "b"], None, None),
    ],
)
def test_checks_of_the_user_cannot_be_told_by_their_speakers(
    tmp_path: Path, speakers: list[int], turns: list[str], theirs: list[int] | None, message: str
) -> None:
    systems = write_systems(tmp_path, num_contexts=9, num_turns=3, speakers=speakers)
    (check,) = own_checks(1)
    check |= {"turns": turns} | ({"speakers": theirs} if theirs else {})
    checks = str(write_lines(tmp_path / "checks.jsonl", [check]))
    if message:
        with pytest.raises(UserError, match=rf"checks\.jsonl: line 1: .*{message}"):
            make_study(tmp_path, systems, num_items=2, checks=checks)
        return
    plan = make_study(tmp_path, systems, num_items=2, checks=checks)
    (found,) = (item for item in plan["items"] if item["context_index"] == 9)
    assert len(found["speakers"]) == len(theirs or [])


def test_without_replies_of_people_checks_are_asked_for(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    with pytest.raises(UserError, match=r"10 items.*no system is called human.*--checks"):
        make_study(tmp_path, systems, num_items=2, human="")
    plan = make_study(
        tmp_path, systems, num_items=2, human="", num_qualification=0, num_spam_checks=0
    )
    assert {item["purpose"] for item in plan["items"]} == {"judged"}


def test_a_system_called_human_serves_for_checks(tmp_path: Path) -> None:
    first, _, people = write_systems(tmp_path, num_contexts=20)
    systems = (first, f"human={people.partition('=')[2]}")
    plan = make_study(tmp_path, systems, num_items=5, human="")
    assert len(by_purpose(plan, "qualification")) == 4


def test_a_reply_to_the_same_words_makes_no_check(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    for name in NAMES:
        file = tmp_path / f"{name}.jsonl"
        key = "turns" if name == NAMES[2] else "context"
        lines = read_lines(file)
        write_lines(file, [{**line, key: ["how are you?"]} for line in lines])
    with pytest.raises(UserError, match=r"10 items .* what makes 0"):
        make_study(tmp_path, systems, num_items=5)
