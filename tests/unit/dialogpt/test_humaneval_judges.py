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
    assert (found["fair"].known.failed_spam_checks, found["fair"].known.num_spam_checks) == (1, 4)
    assert found["spam"].flags == ("failed 2 of 4 spam checks; 25% are allowed",)
    assert found["late"].flags == ("failed 1 of 2 qualification items; 25% are allowed",)
    assert found["fair"].num_judgments == 0


def unscored(judge: str) -> list[Judgment]:
    """Answers to a check only where nothing is expected."""
    return [judgment("first", judge=judge, item="spam_check-0", purpose="spam_check", passed=None)]


def test_checks_without_a_scored_answer_are_neither_passed_nor_failed() -> None:
    given = [
        *checks("reads", True, True, False, True),
        *judged_by([["first"]]),
        *unscored("talks"),
        judgment("second", judge="talks"),
    ]
    found = by_name([*given, *checks("one", True), *unscored("one")])
    assert (found["one"].known.num, found["one"].is_spam) == (1, False)
    assert (found["reads"].known.num, found["reads"].known.num_known) == (4, 4)
    for judge in ("talks", "judge-000"):
        assert found[judge].is_spam
        assert found[judge].flags[0] == "answered 0 of 4 items with a known answer"


def test_where_no_check_is_answered_by_anyone_nobody_is_left_out() -> None:
    assert not judge_statistics(judged_by([["first"]]))[0].is_spam


def test_who_does_not_count_sets_no_measure_for_those_who_do() -> None:
    """Two of four click while they do something else; the others read, and agree."""
    votes: list[list[int | str | None]] = [
        ["first", "first", "second", "second"] if n % 2 else ["second", "second", "first", "first"]
        for n in range(20)
    ]
    votes.append(["first", None, "first", None])
    cast = [
        judgment(j.value, **{**as_changes(j), "seconds": 90.0 if j.judge > "judge-001" else 9.0})
        for j in judged_by(votes)
    ]
    for judge in range(4):
        cast += checks(f"judge-{judge:03}", *[judge < 2] * 4)
    found = by_name(cast)
    assert [one.is_spam for one in found.values()] == [False, False, True, True]
    # Of the last item, judge-002 has another judge who counts, and judge-000 has none.
    assert [one.num_compared for one in found.values()] == [20, 20, 21, 20]
    assert [one.agreement for one in found.values()] == [1, 1, 1 / 21, 0]
    assert found["judge-000"].flags == ()
    assert found["judge-003"].flags[-1] == (
        "agrees with the majority of the others in 0%, the other judges in 100%"
    )
    everyone = {one.judge: one for one in judge_statistics(cast, exclude_spam=False)}
    assert [one.num_compared for one in everyone.values()] == [21, 20, 21, 20]
    assert everyone["judge-001"].agreement == 0
    assert everyone["judge-001"].flags == ("median of 9.0 s an item; half of the judges 49.5 s",)


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
