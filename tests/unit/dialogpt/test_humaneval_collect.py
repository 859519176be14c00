"""Judges' files -> judgments: what is checked, what is undone, what is never lost."""

import json
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from support_judgments import EXPORTED, answer, answers_record, plan_item, plan_record, save

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import CollectConfig
from dialogpt.humaneval.__main__ import main
from dialogpt.humaneval.collect import collect
from dialogpt.humaneval.judgments import Judgment, read_judgments
from dialogpt.records import RecordError

LATER = "2026-02-01T08:00:00.000Z"
ITEMS = [
    plan_item("item-1", ["b", "a"], context_index=7),
    plan_item("item-2", ["a", "b"], context_index=8),
    plan_item(
        "item-3",
        ["human", "salad"],
        purpose="spam_check",
        context_index=9,
        expected={"relevance": ["first", "neutral"]},
    ),
]
PLAN = plan_record(
    ITEMS, {"judge-001": ["item-2", "item-1", "item-3"], "judge-002": ["item-1", "item-3"]}
)


def collected(folder: Path, *words: Path, output: str = "out.jsonl") -> list[Judgment]:
    plan = save(folder / "plan.json", PLAN)
    answers = tuple(map(str, words or [folder]))
    config = CollectConfig(plan=str(plan), answers=answers, output=str(folder / output))
    assert collect(config) == 0
    return read_judgments(folder / output)


def file_of(path: Path, judge: str, answers: Sequence[dict[str, Any]], **changes: Any) -> Path:
    return save(path, answers_record(judge, answers, plan=PLAN, **changes))


def test_the_order_on_the_page_is_undone(tmp_path: Path) -> None:
    answers = [answer("item-1", "first", "neutral"), answer("item-2", "first", "second")]
    file_of(tmp_path / "1.json", "judge-001", answers)
    found = {(j.item, j.aspect): j for j in collected(tmp_path)}
    swapped = found["item-1", "relevance"]
    assert (swapped.systems, swapped.shown, swapped.value) == (("a", "b"), ("b", "a"), "second")
    assert swapped.value_as_shown == "first"
    assert (swapped.context_index, swapped.seconds) == (7, 7.5)
    assert found["item-1", "human_likeness"].value == "neutral"
    assert found["item-2", "relevance"].value == "first"
    assert found["item-2", "human_likeness"].value_as_shown == "second"


def test_checks_are_compared_with_what_stood_on_the_page(tmp_path: Path) -> None:
    file_of(tmp_path / "1.json", "judge-001", [answer("item-3", "first", "second")])
    file_of(tmp_path / "2.json", "judge-002", [answer("item-3", "second", "first")])
    passed = {(j.judge, j.aspect): j.passed for j in collected(tmp_path)}
    assert passed == {
        ("judge-001", "relevance"): True,
        ("judge-001", "human_likeness"): None,
        ("judge-002", "relevance"): False,
        ("judge-002", "human_likeness"): None,
    }


def test_the_order_and_the_names_of_files_change_nothing(tmp_path: Path) -> None:
    first = [answer("item-2", "first", "first")]
    files = [
        file_of(tmp_path / "z.json", "judge-001", first),
        file_of(
            tmp_path / "a.json", "judge-001", [*first, answer("item-1", "second")], exported=LATER
        ),
        file_of(tmp_path / "b" / "c.json", "judge-002", [answer("item-1", "neutral")]),
    ]
    texts = set()
    for number, order in enumerate(permutations(files)):
        collected(tmp_path, *order, output=f"{number}.jsonl")
        texts.add((tmp_path / f"{number}.jsonl").read_text(encoding="utf-8"))
    renamed = tmp_path / "other"
    for number, file in enumerate(files):
        save(renamed / f"{number}.json", json.loads(file.read_text(encoding="utf-8")))
    collected(tmp_path, renamed, output="renamed.jsonl")
    texts.add((tmp_path / "renamed.jsonl").read_text(encoding="utf-8"))
    assert len(texts) == 1


def test_folders_patterns_and_files_are_taken_once_and_the_plan_is_passed_over(
    tmp_path: Path,
) -> None:
    file = file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first")])
    pattern = Path(str(tmp_path / "[0-9].json"))
    assert len(collected(tmp_path, tmp_path, pattern, file)) == 1
    with pytest.raises(UserError, match=r"none\.json: expected answers of judges, found none"):
        collected(tmp_path, tmp_path / "none.json")


def test_a_later_export_takes_the_place_of_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file_of(tmp_path / "x.json", "judge-001", [answer("item-2", "first", "first")])
    later = [answer("item-2", "second", "first"), answer("item-1", "first", "first")]
    file_of(tmp_path / "w.json", "judge-001", later, exported=LATER)
    found = collected(tmp_path)
    assert [(j.item, j.value) for j in found if j.aspect == "relevance"] == [
        ("item-2", "second"),
        ("item-1", "second"),
    ]
    assert "w.json takes the place of " in (said := capsys.readouterr().out)
    assert "x.json, 1 of its answers changed" in said


@pytest.mark.parametrize(
    ("answers", "changes", "message"),
    [
        ([answer("item-1", "first")], {}, "found none on item 'item-2', 'relevance' .1 missing"),
        ([answer("item-2")], {}, "found none on item 'item-2', 'relevance' .1 missing"),
        (
            [answer("item-2", "second")],
            {"started": LATER},
            "found 'first' and 'second' on item 'item-2', 'relevance'; two people",
        ),
    ],
)
def test_two_files_of_a_judge_that_contradict_each_other_are_refused(
    tmp_path: Path, answers: list[dict[str, Any]], changes: dict[str, str], message: str
) -> None:
    file_of(tmp_path / "x.json", "judge-001", [answer("item-2", "first")])
    file_of(tmp_path / "y.json", "judge-001", answers, exported=LATER, **changes)
    with pytest.raises(UserError, match=rf"x\.json and \S+y\.json, both of .*{message}"):
        collected(tmp_path)
    assert not (tmp_path / "out.jsonl").exists()


def test_another_session_with_the_same_answers_and_more_is_taken(tmp_path: Path) -> None:
    first = [answer("item-2", "first")]
    file_of(tmp_path / "x.json", "judge-001", first)
    more = [*first, answer("item-1", "first")]
    file_of(tmp_path / "y.json", "judge-001", more, started=LATER, exported=LATER)
    assert len(collected(tmp_path)) == 2


def changed(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: record.update(changes)


def in_answer(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: record["answers"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(format="other"), "'format': expected one of dialogpt-humaneval-answers, found"),
        (changed(version=2), "'version': expected 1, found 2"),
        (
            changed(study="study-2"),
            f"'study': expected {PLAN['study']}, found 'study-2'; it belongs to that study: leave",
        ),
        (changed(kind="rating_0_2"), "'kind': expected one of pairwise, found 'rating_0_2'"),
        (changed(judge="judge-009"), "'judge': expected one of the 2 judges of the plan, found"),
        (
            changed(exported="yesterday"),
            "'exported': expected a time such as .*, found 'yesterday'",
        ),
        (changed(exported="2026-01-31T10:00:00"), "'exported': expected a time such as"),
        (changed(answers={}), "'answers': expected a list, found {}"),
        (changed(complete="yes"), "'complete': expected true or false, found 'yes'"),
        (
            lambda record: record.pop("started"),
            "expected the key 'started', found the keys 'format'",
        ),
        (
            lambda record: record["answers"].append(record["answers"][0]),
            "2: expected each item once",
        ),
        (in_answer(item="item-9"), "item 'item-9': expected an item of the plan, found 'item-9'"),
        (in_answer(item="item-2"), "item 'item-2': expected an item that this judge was given"),
        (in_answer(values={"style": "first"}), "item 'item-1': expected aspects among relevance"),
        (
            in_answer(values={"relevance": "A"}),
            "'relevance': expected one of first, neutral, second",
        ),
        (in_answer(values={"relevance": 1}), "'relevance': expected one of first, .* found 1"),
        *(
            (in_answer(seconds=value), f"'seconds': expected a number of seconds, .*found {found}")
            for value, found in (
                (-1, "-1"),
                (True, "True"),
                (float("nan"), "nan"),
                (float("inf"), "inf"),
                (1.7e308, "1.7e.308"),
                (10**399, r"10*\.\.\.;"),
                (20 * 366 * 86_400, "632448000"),
            )
        ),
        (in_answer(comment=None), "'comment': expected a string, found None"),
    ],
)
def test_what_does_not_fit_the_plan_is_refused_with_its_place(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    record = answers_record("judge-002", [answer("item-1", "first")], plan=PLAN)
    change(record)
    save(tmp_path / "x.json", record)
    with pytest.raises(UserError, match=rf"x\.json.*{message}"):
        collected(tmp_path)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("value", [True, 1.0, 3, -1, "1", None])
def test_a_rating_is_one_of_the_integers(tmp_path: Path, value: Any) -> None:
    plan = plan_record([plan_item("item-1", ["a"])], {"judge-001": ["item-1"]}, kind="rating_0_2")
    plan_file = save(tmp_path / "plan.json", plan)
    save(tmp_path / "x.json", answers_record("judge-001", [answer("item-1", value)], plan=plan))
    config = CollectConfig(
        plan=str(plan_file), answers=(str(tmp_path),), output=str(tmp_path / "out.jsonl")
    )
    with pytest.raises(UserError, match="'relevance': expected one of 0, 1, 2, found"):
        collect(config)


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff{}", b"[]", b'{"format": 1}'])
def test_what_is_no_answers_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json"):
        collected(tmp_path)


def test_nothing_that_was_written_is_lost(tmp_path: Path) -> None:
    one = file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first", "first")])
    two = file_of(tmp_path / "2.json", "judge-002", [answer("item-1", "neutral", "first")])
    before = collected(tmp_path, one, two)
    content = (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"out\.jsonl: .* the answer of judge 'judge-002' on item"):
        collected(tmp_path, one)
    assert (tmp_path / "out.jsonl").read_bytes() == content
    more = [answer("item-1", "neutral", "first"), answer("item-3", "first", "first")]
    two = file_of(tmp_path / "2.json", "judge-002", more, exported=LATER)
    after = collected(tmp_path, one, two)
    assert {(j.key, j.value) for j in before} < {(j.key, j.value) for j in after}


@pytest.mark.parametrize(
    "changes",
    [
        {"started": LATER, "exported": LATER},  # another session
        {"exported": "2026-01-31T10:30:00.000Z"},  # an earlier export
        {},  # edited by hand
    ],
)
def test_answers_that_were_written_are_not_contradicted(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first", "first")])
    collected(tmp_path)
    content = (tmp_path / "out.jsonl").read_bytes()
    file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first", "second")], **changes)
    with pytest.raises(
        UserError,
        match=r"judge 'judge-001' on item 'item-1', 'human_likeness', as before, 'second', or a "
        r"later export of the same session, found 'first'",
    ):
        collected(tmp_path)
    assert (tmp_path / "out.jsonl").read_bytes() == content


def test_a_later_export_of_the_same_session_changes_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first", "first")])
    collected(tmp_path)
    assert "replaced" not in capsys.readouterr().out
    later = [answer("item-1", "first", "neutral")]
    file_of(tmp_path / "1.json", "judge-001", later, exported=LATER)
    assert [one.value for one in collected(tmp_path)] == ["second", "neutral"]
    said = capsys.readouterr().out
    assert "1 answers in " in said
    assert "out.jsonl are replaced by later ones of the same session" in said


def test_answers_in_files_of_other_names_are_read_and_the_rest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pasted = file_of(tmp_path / "from mail.txt", "judge-001", [answer("item-1", "first")])
    pasted.write_bytes(b"\xef\xbb\xbf\n" + pasted.read_bytes())
    (tmp_path / "no name").write_text('{"format": "other"}', encoding="utf-8")
    (tmp_path / "notes\x1b[31m.txt").write_text("{ hello", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    for _ in range(2):  # the output lies among them the second time
        assert [one.judge for one in collected(tmp_path)] == ["judge-001"]
        said = capsys.readouterr().out
        assert said.startswith(
            "no answers, passed over: no name, notes\\x1b[31m.txt, picture.png\n"
        )


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first")])
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"relevance"', '"relevance": "second", "relevance"'), "utf-8")
    with pytest.raises(
        UserError, match=r"1\.json: expected each key .* found 'relevance' twice; ta"
    ):
        collected(tmp_path)


def test_folders_within_folders_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first")])
    deeper = file_of(tmp_path / "more" / "2.json", "judge-002", [answer("item-1", "first")])
    assert len(collected(tmp_path)) == 1
    said = capsys.readouterr().out
    assert f"folders within folders, not looked into: {deeper.parent}; name them as well" in said
    assert len(collected(tmp_path, tmp_path, deeper.parent)) == 2


def test_names_of_files_do_not_act_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a\x1b[31m\nerror: b.json"
    plan = save(tmp_path / "plan.json", PLAN)
    words = ["collect", "--plan", str(plan), "--answers", str(tmp_path), "--output"]
    file.write_text("{", encoding="utf-8")
    with pytest.raises(SystemExit):
        main([*words, str(tmp_path / "out.jsonl")])
    said = capsys.readouterr().err
    assert r"/a\x1b[31m\nerror: b.json: expected JSON" in said
    assert "\x1b" not in said
    assert said.count("\n") == 1
    save(file, answers_record("judge-001", [answer("item-1", "first")], plan=PLAN))
    later = [answer("item-1", "first", "first")]
    file_of(tmp_path / "c.json", "judge-001", later, exported=LATER)
    main([*words, str(tmp_path / "o\x1b.jsonl")])
    said = capsys.readouterr().out
    assert r"a\x1b[31m\nerror: b.json" in said
    assert "\x1b" not in said


def test_checks_that_are_half_answered_are_counted_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of 2 judges fails the one check; one leaves out the aspect where nothing is expected."""
    file_of(tmp_path / "1.json", "judge-001", [answer("item-3", "second")])
    file_of(tmp_path / "2.json", "judge-002", [answer("item-3", "second", "first")])
    collected(tmp_path)
    said = capsys.readouterr().out
    assert "judge-001: 0 of 3 items, 3 to go, 1 of 1 spam checks failed" in said
    assert "judge-002: 1 of 2 items, 1 to go, 1 of 1 spam checks failed" in said


def test_checks_that_nobody_answered_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unscored = {**answer("item-3"), "values": {"human_likeness": "first"}}
    file_of(tmp_path / "1.json", "judge-001", [unscored])
    file_of(tmp_path / "2.json", "judge-002", [answer("item-1", "first", "first")])
    collected(tmp_path)
    said = capsys.readouterr().out
    assert said.count("0 of 1 items with a known answer answered") == 2


def test_a_plan_that_was_edited_is_refused(tmp_path: Path) -> None:
    items = [{**ITEMS[0], "shown": ITEMS[0]["shown"][::-1]}, *ITEMS[1:]]
    answers = file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first")])
    config = CollectConfig(
        plan=str(save(tmp_path / "plan.json", {**PLAN, "items": items})),
        answers=(str(answers),),
        output=str(tmp_path / "out.jsonl"),
    )
    with pytest.raises(UserError, match=r"plan\.json, 'study': expected an id that ends in .*chan"):
        collect(config)


@pytest.mark.parametrize("content", ["my notes\n", '{"some": "other"}\n', "[1]\n"])
def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    file_of(tmp_path / "1.json", "judge-001", [answer("item-1", "first", "first")])
    (tmp_path / "out.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises((UserError, RecordError), match=r"out\.jsonl:1: expected"):
        collected(tmp_path)
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == content


def test_what_is_missing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = [answer("item-1", "first", "first"), answer("item-3", "second", "first")]
    answers.append(answer("item-2", "first", comment="\x1b[31mhm"))
    file_of(tmp_path / "1.json", "judge-001", answers)
    collected(tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert said[:5] == [
        f"study {PLAN['study']} (pairwise): 1 of 2 judges sent answers",
        "  judge-001: 2 of 3 items, 1 to go, 1 of 1 spam checks failed",
        "  no answers from judge-002",
        "0 of 2 judged items have all answers that were planned",
        "  fewer: item-1 (1 of 2), item-2 (0 of 1)",
    ]
    assert said[5].startswith("5 judgments written to ")
    assert "\x1b" not in (tmp_path / "out.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(kind="ranking"), "'kind': expected one of pairwise, rating_0_2, rating_1_5"),
        (changed(kind="rating_0_2"), "item 1, 'shown': expected 1 replies, found 2"),
        (changed(items=[*ITEMS, ITEMS[0]]), "item 4: expected an id of its own, found 'item-1'"),
        (
            changed(judges=[{"name": "j", "items": ["item-8"]}]),
            "judge 1, 'items': expected ids of items of the plan, found 'item-8'",
        ),
        (
            changed(items=[plan_item("i", ["a", "b"], expected={"relevance": ["A"]})]),
            "item 1, 'expected', 'relevance': expected one of first, neutral, second, found 'A'",
        ),
        (
            changed(items=[plan_item("i", ["a", "b"], purpose="fun")]),
            "item 1, 'purpose': expected one of judged, qualification, spam_check, found 'fun'",
        ),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    plan = dict(PLAN)
    change(plan)
    config = CollectConfig(
        plan=str(save(tmp_path / "plan.json", plan)),
        answers=(str(file_of(tmp_path / "1.json", "judge-001", [], exported=EXPORTED)),),
        output=str(tmp_path / "out.jsonl"),
    )
    with pytest.raises(UserError, match=rf"plan\.json, {message}"):
        collect(config)
