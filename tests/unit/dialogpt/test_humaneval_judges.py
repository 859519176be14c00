"""What each judge did, and who may not have looked."""

from itertools import combinations
from typing import Any

import pytest
from support_judgments import judged_by, judgment

from dialogpt.humaneval.judges import JudgeStatistics, _chance_of_fewer, judge_statistics
from dialogpt.humaneval.judgments import Judgment


def by_name(judgments: list[Judgment]) -> dict[str, JudgeStatistics]:
    return {one.judge: one for one in judge_statistics(judgments)}


def checks(judge: str, *passed: bool, purpose: str = "spam_check") -> list[Judgment]:
    """An item for each, with two aspects; the second one decides."""
    return [
        judgment(
            "first",
            judge=judge,
            item=f"{purpose}-{number}",
            purpose=purpose,
            aspect=aspect,
            passed=ok or aspect == "relevance",
        )
        for number, ok in enumerate(passed)
        for aspect in ("relevance", "human_likeness")
    ]


def test_who_fails_more_than_a_quarter_of_the_items_with_a_known_answer_is_spam() -> None:
    given = [
        *checks("fair", True, True, False, True),
        *checks("both", True, True, False, True),
        *checks("both", True, False, purpose="qualification"),
        *checks("good", True, False, False, True),
        *checks("good", True, True, True, True, purpose="qualification"),
        *checks("spam", True, False, False, True),
        *checks("late", True, False, purpose="qualification"),
    ]
    found = by_name(given)
    assert {name: one.is_spam for name, one in found.items()} == {
        "fair": False,
        "spam": True,
        "late": True,
        "both": True,
        "good": False,
    }
    assert (found["fair"].failed_spam_checks, found["fair"].num_spam_checks) == (1, 4)
    assert found["spam"].flags == ("failed 2 of 4 spam checks; 25% are allowed",)
    assert found["late"].flags == ("failed 1 of 2 qualification items; 25% are allowed",)
    assert found["fair"].num_judgments == 0


def test_place_is_as_shown_and_preference_is_of_systems() -> None:
    orders = [("a", "b"), ("b", "a")] * 10
    cast = [
        judgment("first" if shown[0] == "a" else "second", item=f"i{n}", shown=shown, judge=judge)
        for n, shown in enumerate(orders)
        for judge in ("always left",)
    ]
    cast += [
        judgment("first", item=f"i{n}", shown=shown, judge="always a")
        for n, shown in enumerate(orders)
    ]
    found = by_name(cast)
    left, fan = found["always left"], found["always a"]
    assert (left.first_shown, left.shares) == (1.0, {"first": 1.0})
    assert (fan.first_shown, fan.shares) == (0.5, {"first": 0.5, "second": 0.5})
    assert fan.flags == ()
    assert left.flags == (
        "answers 'first' in 20 of 20 judgments",
        "prefers the reply shown first in 20 of 20 preferences on 20 items, 4.5 standard errors "
        "from a half",
    )


def test_neutral_answers_say_nothing_of_the_place() -> None:
    cast = judged_by([["neutral"], ["first"], ["first"], ["second"]])
    (found,) = judge_statistics(cast)
    assert found.first_shown == pytest.approx(2 / 3)
    assert found.shares == {"first": 0.5, "neutral": 0.25, "second": 0.25}


def test_agreement_is_with_the_majority_of_the_others() -> None:
    found = by_name(
        judged_by(
            [
                ["first", "second", "second"],  # the others of 0 agree; of 1 and 2 they do not
                ["first", "first", "first"],
                ["neutral", "second", None],
            ]
        )
    )
    assert (found["judge-000"].num_compared, found["judge-000"].agreement) == (3, 1 / 3)
    assert (found["judge-001"].num_compared, found["judge-001"].agreement) == (2, 0.5)
    assert (found["judge-002"].num_compared, found["judge-002"].agreement) == (1, 1.0)


def test_who_hardly_ever_agrees_is_flagged() -> None:
    votes: list[Any] = [[n % 3, n % 3, n % 3, (n + 1 + n // 3 % 2) % 3] for n in range(30)]
    found = by_name(judged_by(votes))
    assert found["judge-003"].flags == (
        "agrees with the majority of the others in 0%, the other judges in 100%",
    )
    assert found["judge-000"].flags == ()


def test_one_dissent_where_all_others_agree_is_no_flag() -> None:
    """Of a judge with 90 judgments, three a judge on 30 items."""

    def votes(dissents: int) -> list[Judgment]:
        return [
            one
            for aspect in ("relevance", "informativeness", "human_likeness")
            for one in judged_by(
                [[1, 1, 1, 0 if n < dissents else 1] for n in range(30)], aspect=aspect
            )
        ]

    cast = votes(0)
    cast[3] = judgment(0, **as_changes(cast[3]))
    found = by_name(cast)["judge-003"]
    assert (found.num_judgments, found.num_compared, found.agreement) == (90, 90, 89 / 90)
    assert {one.flags for one in judge_statistics(votes(1)) if one.judge == "judge-003"} == {
        ("answers 1 in 87 of 90 judgments",)
    }
    assert found.flags == ("answers 1 in 89 of 90 judgments",)
    assert "agrees with the majority" in by_name(votes(12))["judge-003"].flags[-1]


def test_dissent_is_tested_exactly() -> None:
    """Against counting all ways to deal 4 dissents to 6 own and 9 other items."""
    ways = [{*chosen} for chosen in combinations(range(15), 4)]
    as_many = [chosen for chosen in ways if len(chosen & {*range(6)}) >= 3]
    assert _chance_of_fewer(6, 0.5, 9, 8 / 9) == pytest.approx(len(as_many) / len(ways))


def test_the_seconds_of_an_item_count_once() -> None:
    cast = [
        judgment("first", item="i1", seconds=2.0),
        judgment("first", item="i1", seconds=2.0, aspect="human_likeness"),
        judgment("first", item="i2", seconds=8.0),
    ]
    (found,) = judge_statistics(cast)
    assert (found.mean_seconds, found.median_seconds) == (5.0, 5.0)


def test_haste_is_seen_against_the_other_judges_and_counts_items_once() -> None:
    votes = [["first"] * 3, ["second"] * 3] * 6
    cast = [
        judgment(j.value, **{**as_changes(j), "seconds": 2.0 if j.judge.endswith("2") else 9.0})
        for aspect in ("relevance", "human_likeness")
        for j in judged_by(votes, aspect=aspect)
    ]
    found = by_name(cast)
    assert (found["judge-001"].num_items, found["judge-001"].num_judgments) == (12, 24)
    assert (found["judge-001"].mean_seconds, found["judge-002"].median_seconds) == (9.0, 2.0)
    assert found["judge-002"].flags == ("median of 2.0 s an item; half of the judges 9.0 s",)
    assert found["judge-001"].flags == ()


def as_changes(j: Judgment) -> dict[str, Any]:
    return {"judge": j.judge, "item": j.item, "context_index": j.context_index, "aspect": j.aspect}


def test_aspects_of_one_item_are_no_independent_evidence() -> None:
    """Three quarters of 60 preferences are 3.9 standard errors from a half, of 20 items 2.2."""
    aspects = ("relevance", "informativeness", "human_likeness")
    cast = [
        judgment("second" if n % 4 == 0 else "first", item=f"i{n}", aspect=aspect)
        for n in range(20)
        for aspect in aspects
    ]
    (found,) = judge_statistics(cast)
    assert found.first_shown == 0.75
    assert found.flags == ()
    alone = [judgment(j.value, item=f"{j.item} {j.aspect}") for j in cast]
    assert "3.9 standard errors" in judge_statistics(alone)[0].flags[0]
