"""Test items with several references: against a naive search, and away from training."""

import json
from pathlib import Path
from typing import Any

import pytest
from support_dumps import (
    NO_FILTERS,
    REAL_DUMPS,
    all_dialogues,
    comment,
    counts_of,
    needs_real_dumps,
    run_extract,
    write_dump,
)

from data_prep.dialogues import dialogues_of, read_dialogues
from dialogpt.decode.contexts import read_contexts
from dialogpt.records import RecordError, TestItem, read_test_items

TEST = (*NO_FILTERS[:-4], "--split.test_months", "2015-02", "--split.valid_fraction", "0")


def answers(parent: str, names: str, **values: Any) -> list[dict[str, Any]]:
    return [comment(name, f"t1_{parent}", **values) for name in names]


def items_of(output: Path) -> list[TestItem]:
    return list(read_test_items(output / "testset" / "multiref.jsonl"))


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """A thread of January, one that goes on in February, one of February with six answers."""
    folder = tmp_path / "dumps"
    january = [comment("a"), *answers("a", "bcdefgh")]
    crossing = [comment("i", link_id="t3_u"), *answers("i", "jklmno", link_id="t3_u")]
    write_dump(folder, [*january, *crossing], "RC_2015-01")
    late = [comment("p", "t1_j", link_id="t3_u")]
    february = [
        comment("q", link_id="t3_v"),
        comment("r", "t1_q", link_id="t3_v", score=9),
        *answers("r", "stuvw", link_id="t3_v"),
        comment("x", "t1_r", link_id="t3_v", body="see http://a.b/c"),
        comment("y", "t1_r", link_id="t3_v", score=5),
        *answers("q", "z", link_id="t3_v"),
        comment("aa", "t1_s", link_id="t3_v"),
    ]
    write_dump(folder, [*late, *february], "RC_2015-02")
    return folder


def test_contexts_with_enough_responses_become_items(dumps: Path, tmp_path: Path) -> None:
    assert run_extract(dumps, tmp_path / "out", *TEST) == 0
    by_id = {item.id: item for item in items_of(tmp_path / "out")}
    # r has six answers without the one with a link; i has six, and is of February by its reply p.
    assert {*by_id} == {"t1_r", "t1_i"}
    item = by_id["t1_r"]
    assert item.turns == ("This is q", "This is r")
    assert item.turn_ids == ("t1_q", "t1_r")
    assert item.thread_id == "t3_v"
    assert item.month == "2015-02"
    assert {item.human_id, *item.reference_ids} == {f"t1_{name}" for name in "stuvwy"}
    assert len(item.references) == len(item.reference_scores) == 5
    assert item.human_id not in item.reference_ids
    assert [*item.reference_scores] == sorted(item.reference_scores, reverse=True)
    names = [text.removeprefix("This is ") for text in (item.human or "", *item.references)]
    assert [item.human_id, *item.reference_ids] == [f"t1_{name}" for name in names]
    counts = counts_of(tmp_path / "out")["total"]
    assert counts["test_items"] == 2
    assert counts["test_items.references"] == 10


def test_training_sees_no_thread_with_a_comment_of_the_test_months(
    dumps: Path, tmp_path: Path
) -> None:
    assert run_extract(dumps, tmp_path / "out", *TEST) == 0
    threads = {
        split: {
            dialogue.thread_id
            for batch in read_dialogues(tmp_path / "out", split)
            for dialogue in dialogues_of(batch)
        }
        for split in ("train", "valid", "test")
    }
    assert threads == {"train": {"t3_t"}, "valid": set(), "test": {"t3_u", "t3_v"}}


@pytest.mark.parametrize(
    ("options", "num_references"),
    [
        (("--multiref.min_responses", "7"), []),
        (("--multiref.min_responses", "6", "--multiref.max_references", "2"), [2, 2]),
        (("--multiref.min_responses", "2"), [1, 5, 5]),
        (("--max_turns", "2"), [5, 5]),
    ],
)
def test_limits(
    options: tuple[str, ...], num_references: list[int], dumps: Path, tmp_path: Path
) -> None:
    assert run_extract(dumps, tmp_path / "out", *TEST, *options) == 0
    items = items_of(tmp_path / "out")
    assert sorted(len(item.references) for item in items) == num_references
    if "--max_turns" in options:
        assert all(len(item.turns) == 1 for item in items)


def test_without_a_minimum_no_test_set_is_written(dumps: Path, tmp_path: Path) -> None:
    assert run_extract(dumps, tmp_path / "out", *TEST, "--multiref.min_responses", "0") == 0
    assert not (tmp_path / "out" / "testset").exists()


def test_the_decoder_reads_the_items_as_contexts(dumps: Path, tmp_path: Path) -> None:
    assert run_extract(dumps, tmp_path / "out", *TEST) == 0
    path = tmp_path / "out" / "testset" / "multiref.jsonl"
    assert read_contexts(str(path)) == [list(item.turns) for item in items_of(tmp_path / "out")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "expected a JSON object"),
        ('{"id": "a", "turns": "b", "references": ["c"]}', "expected a list of str under 'turns'"),
        ('{"id": "a", "turns": ["b"], "references": []}', "expected an item with 'references'"),
        ('{"turns": ["b"], "references": ["c"]}', "expected an item with 'id'"),
    ],
)
def test_a_line_that_is_no_item_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    good = TestItem(id="x", turns=("a",), references=("b",))
    path.write_text(f"{good.to_json()}\n{line}\n")
    items = read_test_items(path)
    assert next(items) == good
    with pytest.raises(RecordError, match=rf"items\.jsonl:2: {message}"):
        next(items)


@needs_real_dumps
@pytest.mark.real_data
def test_items_of_a_real_month_are_those_of_a_naive_search(tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    for name in ("RC_2006-01.bz2", "RC_2006-02.bz2"):
        (tmp_path / "dumps" / name).symlink_to(REAL_DUMPS / name)
    options = ("--split.test_months", "2006-02", "--multiref.min_responses", "3", "--min_turns")
    # With one turn a dialogue may be a lone comment: so every comment of the trees stands in one.
    assert run_extract(tmp_path / "dumps", tmp_path / "all", *NO_FILTERS, *options, "1",
                       "--filters.max_words", "0", "--filters.urls", "false",
                       "--filters.markup", "false", "--filters.max_word_run", "0") == 0  # fmt: skip
    children: dict[str, set[str]] = {}
    for dialogue in all_dialogues(tmp_path / "all"):
        for parent, child in zip(dialogue.turn_ids, dialogue.turn_ids[1:], strict=False):
            children.setdefault(parent, set()).add(child)
    test_threads = {
        dialogue.thread_id
        for batch in read_dialogues(tmp_path / "all", "test")
        for dialogue in dialogues_of(batch)
    }
    items = items_of(tmp_path / "all")
    found = {item.id: {item.human_id, *item.reference_ids} for item in items}
    in_test = {
        turn_id
        for dialogue in all_dialogues(tmp_path / "all")
        if dialogue.thread_id in test_threads
        for turn_id in dialogue.turn_ids
    }
    expected = {
        parent: names for parent, names in children.items() if len(names) >= 3 and parent in in_test
    }
    assert found == expected
    assert len(found) > 50
    assert json.loads(items[0].to_json())["id"] == items[0].id
