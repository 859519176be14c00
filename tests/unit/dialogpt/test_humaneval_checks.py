"""Items with known answers: made from replies of people, and out of a file."""

from pathlib import Path
from typing import Any

import pytest
from support_humaneval import (
    NAMES,
    by_purpose,
    make_study,
    read_lines,
    write_lines,
    write_systems,
)

from dialogpt.command_line import UserError
from dialogpt.humaneval.kinds import KINDS

KIND_NAMES = sorted(KINDS)


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


def test_checks_of_the_user_come_before_made_ones_and_turn_with_the_order(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    own = [
        {
            "turns": [f"what is {n} and 1?"],
            "replies": [f"it is {n + 1}", "cheese"],
            "expected": {"relevance": "first", "informativeness": ["first", "neutral"]},
        }
        for n in range(5)
    ]
    checks = write_lines(tmp_path / "checks.jsonl", own)
    plan = make_study(tmp_path, systems, num_items=5, checks=str(checks))
    items = by_purpose(plan, "qualification", "spam_check")
    theirs = [item for item in items if item["context_index"] >= 20]
    assert len(items) == 8
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
    ],
)
def test_a_wrong_check_is_refused_with_its_line(tmp_path: Path, line: Any, message: str) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    fine = {"turns": ["a"], "replies": ["x", "y"], "expected": {"relevance": "second"}}
    checks = write_lines(tmp_path / "checks.jsonl", [fine, line])
    with pytest.raises(UserError, match=rf"checks\.jsonl: line 2: .*{message}"):
        make_study(tmp_path, systems, num_items=2, checks=str(checks))
    assert not (tmp_path / "study").exists()


def test_without_replies_of_people_checks_are_asked_for(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    with pytest.raises(UserError, match=r"8 items.*no system is called human.*--checks"):
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
    with pytest.raises(UserError, match=r"8 items .* what makes 0"):
        make_study(tmp_path, systems, num_items=5)
