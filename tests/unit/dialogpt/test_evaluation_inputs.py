"""Test sets and replies in step, and what is said where they are not."""

import json
from pathlib import Path

import pytest

from dialogpt.command_line import UserError
from dialogpt.evaluation.inputs import read_items, read_segments
from dialogpt.records import RecordError, TestItem

ITEMS = [
    TestItem(id="a", turns=("Hi!", "How are  you?"), references=("Fine.", "Good."), human="Well."),
    TestItem(id="b", turns=("What EOS is it?",), references=("Tea.",), human="Milk."),
]


def write(path: Path, *lines: str) -> str:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return str(path)


@pytest.fixture
def items(tmp_path: Path) -> str:
    return write(tmp_path / "items.jsonl", *(item.to_json() for item in ITEMS))


def record(item: TestItem, text: str, **changes: object) -> str:
    turns = [" ".join(turn.split()) for turn in item.turns]
    return json.dumps({"context": turns, "response": text, **changes})


def segments(items: str, *systems: str) -> list[tuple[str, ...]]:
    named = [(f"s{number}", file) for number, file in enumerate(systems)]
    found = read_segments([items], named)
    return [tuple(reply.text for reply in segment.replies) for segment in found]


def test_formats_of_systems_are_read_in_step(items: str, tmp_path: Path) -> None:
    as_json = write(tmp_path / "a.jsonl", record(ITEMS[0], "one"), "", record(ITEMS[1], ""))
    as_text = write(tmp_path / "b.txt", "\ufeffeins\u2028 zwei", "")
    as_tsv = write(
        tmp_path / "c.tsv", "Hi! EOS How are you?\tun", "What\u00a0EOS\u00a0is it?\tdeux"
    )
    assert segments(items, as_json, as_text, as_tsv) == [
        ("one", "eins\u2028 zwei", "un"),
        ("", "", "deux"),
    ]


def test_endings_count_in_any_case_and_a_tab_in_plain_text_is_refused(
    items: str, tmp_path: Path
) -> None:
    lines = ["Hi! EOS How are you?\tun", "What\u00a0EOS\u00a0is it?\tdeux"]
    assert segments(items, write(tmp_path / "c.TSV", *lines)) == [("un",), ("deux",)]
    with pytest.raises(RecordError, match=r"c.txt:1: expected a reply alone, found a tab"):
        segments(items, write(tmp_path / "c.txt", *lines))


def test_a_test_set_may_begin_with_a_mark_and_its_mistakes_are_named(tmp_path: Path) -> None:
    marked = write(tmp_path / "m.jsonl", "\ufeff" + ITEMS[0].to_json())
    assert [item.id for item in read_items([marked])] == ["a"]
    other = json.loads(ITEMS[0].to_json()) | {"human": 5}
    with pytest.raises(RecordError, match=r"n.jsonl:1: expected a text under 'human', found '5'"):
        list(read_items([write(tmp_path / "n.jsonl", json.dumps(other))]))
    (tmp_path / "u.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(RecordError, match=r"u.jsonl: expected UTF-8, found the byte 0xff"):
        list(read_items([str(tmp_path / "u.jsonl")]))


def test_references_may_be_text_files_with_gaps(tmp_path: Path) -> None:
    files = [write(tmp_path / "r0", "a b", "c"), write(tmp_path / "r1", "", "d ")]
    assert [item.references for item in read_items(files)] == [("a b",), ("c", "d ")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["one"], r"s.txt: expected a reply of s0 to item 2 of .*items.jsonl, found the end"),
        ([], r"s.txt: expected a reply of s0 to item 1 "),
        (["one", "two", "three"], r"s.txt:3: expected no more replies of s0.*found 'three'"),
        (["one", "two", ""], r"s.txt:3: expected no more replies of s0"),
    ],
)
def test_short_and_long_files_are_refused_with_their_line(
    items: str, tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        segments(items, write(tmp_path / "s.txt", *lines))


def test_replies_to_other_contexts_are_refused_with_the_first_line(
    items: str, tmp_path: Path
) -> None:
    swapped = write(tmp_path / "s.jsonl", record(ITEMS[1], "two"), record(ITEMS[0], "one"))
    with pytest.raises(UserError, match=r"s.jsonl:1: expected the reply of s0 to item 1 .*you\?'"):
        segments(items, swapped)
    later = write(tmp_path / "t.tsv", "Hi! EOS How are you?\tone", "What is it?\ttwo")
    with pytest.raises(UserError, match=r"t.tsv:2: expected the reply of s0 to item 2 "):
        segments(items, later)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("s.jsonl", "{", r"s.jsonl:1: expected one JSON object a line"),
        ("s.jsonl", '{"reply": "a"}', r"s.jsonl:1: expected an object with a text under 'resp"),
        ("s.jsonl", '{"response": 3}', r"s.jsonl:1: expected an object with a text under 'resp"),
        ("s.tsv", "no tab", r"s.tsv:1: expected a context, a tab and a reply"),
    ],
)
def test_lines_that_are_no_reply_are_named(
    items: str, tmp_path: Path, name: str, line: str, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        segments(items, write(tmp_path / name, line))


def test_what_is_not_utf_8_is_named(items: str, tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(b"fine\n\xff\n")
    with pytest.raises(RecordError, match=r"s.txt:2: expected UTF-8, found the byte 0xff"):
        segments(items, str(path))


def test_a_test_set_without_items_and_missing_files_are_refused(items: str, tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.jsonl")
    with pytest.raises(UserError, match=r"empty.jsonl: expected items of a test set, found none"):
        segments(empty)
    with pytest.raises(UserError, match=r"gone.txt: expected a file, found nothing"):
        segments(items, str(tmp_path / "gone.txt"))
    with pytest.raises(UserError, match=r": expected a file, found a folder"):
        segments(str(tmp_path))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((["a", "b"], ["c"]), r"r1:2: expected a reference, as there is one in .*r0"),
        ((["a"], ["b", "c"]), r"r0:2: expected a reference, as there is one in .*r1"),
    ],
)
def test_references_of_different_lengths_are_refused(
    tmp_path: Path, lines: tuple[list[str], list[str]], message: str
) -> None:
    files = [write(tmp_path / f"r{number}", *text) for number, text in enumerate(lines)]
    with pytest.raises(UserError, match=message):
        list(read_items(files))


def test_a_line_without_any_reference_is_refused(tmp_path: Path) -> None:
    files = [write(tmp_path / "r0", "a", " "), write(tmp_path / "r1", "b", "")]
    with pytest.raises(RecordError, match=r"r0:2: expected a reference here or in another file"):
        list(read_items(files))


def test_items_and_text_do_not_mix(items: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected text beside other text files, found JSON"):
        list(read_items([write(tmp_path / "r0", "a"), items]))
