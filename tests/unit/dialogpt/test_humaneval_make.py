"""A study's folder: what is drawn, from which texts, and what its pages must not tell."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support_humaneval import (
    HOSTILE,
    MARKUP,
    NAMES,
    by_purpose,
    make_study,
    read_lines,
    write_lines,
    write_systems,
)

from dialogpt.command_line import UserError
from dialogpt.humaneval.kinds import KINDS
from dialogpt.records import RecordError
from dialogpt.text import clean_turn

KIND_NAMES = sorted(KINDS)


def page_data(page: str) -> dict[str, Any]:
    """The block of JSON of a page, read as a browser does: up to the end of the element."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_each_pair_stands_on_the_same_contexts_and_each_order_in_half_of_them(
    tmp_path: Path,
) -> None:
    plan = make_study(tmp_path, write_systems(tmp_path, num_contexts=40), num_items=31)
    orders: dict[frozenset[str], Counter[str]] = {}
    contexts: dict[frozenset[str], set[int]] = {}
    for item in by_purpose(plan, "judged"):
        names = [one["system"] for one in item["shown"]]
        orders.setdefault(frozenset(names), Counter())[names[0]] += 1
        contexts.setdefault(frozenset(names), set()).add(item["context_index"])
    assert len(orders) == 3
    assert {tuple(sorted(order.values())) for order in orders.values()} == {(15, 16)}
    assert len({frozenset(indices) for indices in contexts.values()}) == 1
    assert {len(indices) for indices in contexts.values()} == {31}


def test_given_pairs_alone_are_drawn(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    pair = f"{NAMES[2]}:{NAMES[0]}"
    plan = make_study(tmp_path, systems, num_items=5, pairs=(pair,))
    judged = by_purpose(plan, "judged")
    assert len(judged) == 5
    assert {frozenset(one["system"] for one in i["shown"]) for i in judged} == {
        frozenset({NAMES[0], NAMES[2]})
    }


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_texts_in_the_plan_are_those_of_the_files(tmp_path: Path, kind: str) -> None:
    systems = write_systems(tmp_path, num_contexts=20, hostile=True)
    plan = make_study(tmp_path, systems, num_items=12, kind=kind)
    lines = {name: read_lines(tmp_path / f"{name}.jsonl") for name in NAMES}
    assert len(by_purpose(plan, "judged")) == 36
    for item in by_purpose(plan, "judged"):
        assert item["expected"] is None
        assert item["turns"] == lines[NAMES[0]][item["context_index"]]["context"]
        for one in item["shown"]:
            line = lines[one["system"]][item["context_index"]]
            assert one["text"] == clean_turn(line.get("response", line.get("human")))


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_the_same_seed_makes_the_same_folder_and_another_one_does_not(
    tmp_path: Path, kind: str
) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    folders = {}
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        make_study(tmp_path / name, systems, num_items=9, kind=kind, seed=seed)
        folder = tmp_path / name / "study"
        folders[name] = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert folders["first"] == folders["again"]
    assert "instructions.md" in folders["first"]
    for file, content in folders["other"].items():
        if file.endswith(".html"):
            assert content != folders["first"][file]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_page_tells_neither_systems_nor_purposes(tmp_path: Path, kind: str) -> None:
    systems = write_systems(tmp_path, num_contexts=30)
    plan = make_study(tmp_path, systems, num_items=15, kind=kind, num_judges=5)
    secret = [*NAMES, "qualification", "spam_check", "shuffled", "expected", "context_index"]
    for judge in plan["judges"]:
        page = (tmp_path / "study" / f"{judge['name']}.html").read_text(encoding="utf-8")
        assert [word for word in secret if word in page] == []
        data = page_data(page)
        assert [item["id"] for item in data["items"]] == judge["items"]
        assert {frozenset(item) for item in data["items"]} == {
            frozenset({"id", "turns", "speakers", "replies"})
        }
        by_id = {item["id"]: item for item in plan["items"]}
        for item in data["items"]:
            assert item["replies"] == [one["text"] for one in by_id[item["id"]]["shown"]]
    instructions = (tmp_path / "study" / "instructions.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if name in instructions] == []


def test_all_items_of_a_test_set_say_who_speaks(tmp_path: Path) -> None:
    """Checks as well, or they could be told by that."""
    systems = write_systems(tmp_path, num_contexts=20, num_turns=3, speakers=[5, 2, 5])
    plan = make_study(tmp_path, systems, num_items=5, num_judges=3)
    assert {tuple(item["speakers"]) for item in plan["items"]} == {(0, 1, 0)}
    page = (tmp_path / "study" / "judge-001.html").read_text(encoding="utf-8")
    assert {tuple(item["speakers"]) for item in page_data(page)["items"]} == {(0, 1, 0)}
    assert (tmp_path / f"{NAMES[2]}.jsonl").read_text(encoding="utf-8").count("speakers") == 20


@pytest.mark.parametrize("speakers", [[0], [0, 1, True], [0, 1, "x"], [0, 1, 2, 3], "abc"])
def test_speakers_are_one_number_a_turn(tmp_path: Path, speakers: Any) -> None:
    systems = write_systems(tmp_path, num_contexts=9, num_turns=3, speakers=speakers)
    with pytest.raises(
        UserError, match=r"frobozz=.*line 1: expected one number a turn.*'speakers'"
    ):
        make_study(tmp_path, systems, num_items=2)


def test_questions_do_not_punish_disagreement() -> None:
    asked = {
        (kind, aspect.name): aspect.question for kind in KINDS for aspect in KINDS[kind].aspects
    }
    assert "fits better to what was said before" in asked["pairwise", "relevance"]
    assert "contradicting itself or what both know" in asked["rating_0_2", "coherence"]
    assert "may well disagree" in asked["rating_0_2", "coherence"]


def test_ids_do_not_tell_what_an_item_is(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=60)
    plan = make_study(tmp_path, systems, num_items=50, kind="rating_1_5", num_qualification=20)
    ids = sorted(item["id"] for item in plan["items"])
    groups: dict[str, list[int]] = {}
    for item in plan["items"]:
        key = item["shown"][0]["system"] if item["purpose"] == "judged" else item["purpose"]
        groups.setdefault(key, []).append(ids.index(item["id"]))
    # Means of places of 20 to 50 out of 174 items: six standard errors at the least.
    middle = (len(ids) - 1) / 2
    for key in (*NAMES, "qualification"):
        assert abs(sum(groups[key]) / len(groups[key]) - middle) < 50, key
    # No group is a run of neighbours.
    for key in (*NAMES, "qualification"):
        assert max(groups[key]) - min(groups[key]) > len(ids) // 2, key


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_hostile_texts_end_no_element_and_fill_no_mark(tmp_path: Path, kind: str) -> None:
    systems = write_systems(tmp_path, num_contexts=12, hostile=True)
    plan = make_study(tmp_path, systems, num_items=12, kind=kind)
    page = (tmp_path / "study" / "judge-001.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script") == 2
    assert "<img" not in page
    assert "<!--" not in page
    assert "\u2028" not in page
    assert "\u202e" not in page
    texts = [text for item in page_data(page)["items"] for text in item["replies"]]
    assert {clean_turn(text) for text in HOSTILE} <= {*texts}
    assert MARKUP in texts
    assert plan["study"] in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: [*lines[:4], {**lines[4], "context": ["else"]}, *lines[5:]],
            r"quuxlet=.*line 5: expected the context of zorkmid, \[.*, found \['else'\]",
        ),
        (lambda lines: lines[:6], r"quuxlet=.*line after 6: .*found the end of the file"),
        (lambda lines: [*lines, lines[0]], r"line 10: .*zorkmid, the end of the file, found"),
        (lambda lines: [], r"line after 0"),
        (lambda lines: [{"text": "x"}], r"line 1: expected 'context' and 'response'.*\['text'\]"),
        (lambda lines: [["x"]], r"line 1: expected 'context'"),
        (lambda lines: [{**lines[0], "response": 3}], r"line 1: expected a reply as text, found 3"),
        (lambda lines: [{**lines[0], "context": "hi"}], r"line 1: expected a list of readable"),
        (lambda lines: [{**lines[0], "context": ["\u200b"]}], r"line 1: expected a list of reada"),
        (lambda lines: [{"id": "1", "turns": ["a"], "references": ["b"]}], r"line 1: .*'human'"),
    ],
)
def test_a_system_on_other_contexts_is_refused_with_the_first_line(
    tmp_path: Path, change: Any, message: str
) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    file = tmp_path / f"{NAMES[1]}.jsonl"
    write_lines(file, change(read_lines(file)))
    with pytest.raises(UserError, match=message):
        make_study(tmp_path, systems, num_items=2)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    file = tmp_path / f"{NAMES[1]}.jsonl"
    file.write_bytes(b'{"context": ["\xff"]}')
    with pytest.raises(UserError, match=r"quuxlet=.*UTF-8"):
        make_study(tmp_path, systems, num_items=2)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(RecordError, match=r"quuxlet\.jsonl:1"):
        make_study(tmp_path, systems, num_items=2)
    file.unlink()
    with pytest.raises(UserError, match=r"quuxlet=.*found nothing"):
        make_study(tmp_path, systems, num_items=2)


def test_the_mark_of_an_encoding_is_no_text(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    plan = make_study(tmp_path / "plain", systems, num_items=2)
    for name in NAMES:
        file = tmp_path / f"{name}.jsonl"
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert make_study(tmp_path / "marked", systems, num_items=2) == plan


@pytest.mark.parametrize("number", [0, 2])
def test_judges_are_told_of_checks_where_there_are_any(tmp_path: Path, number: int) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    make_study(tmp_path, systems, num_items=2, num_qualification=number, num_spam_checks=0)
    for name in ("judge-001.html", "instructions.md"):
        said = (tmp_path / "study" / name).read_text(encoding="utf-8")
        assert ("Some items have a clear answer" in said) == (number > 0)
        assert "Do not hurry" in said
        assert "Go on in the same browser" in said


def test_more_items_than_contexts_are_refused(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=9)
    with pytest.raises(UserError, match=r"at least 10 contexts .*found 9"):
        make_study(tmp_path, systems, num_items=10)
