import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogpt.command_line import UserError
from dialogpt.config.decoding import DecodeConfig
from dialogpt.decode.contexts import read_contexts
from dialogpt.dialogue_text import join_turns, split_turns
from dialogpt.records import RecordError
from dialogpt.text import clean_turn

HASH = "0123456789abcdef" * 3 + "01234567"


def read(folder: Path, text: str, *, name: str = "contexts", **options: Any) -> list[list[str]]:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return read_contexts(str(path), **options)


@pytest.mark.parametrize(
    ("line", "turns"),
    [
        ("i like tea .\tso do i .", ["i like tea ."]),
        ("a EOS b  c\tone reply\tanother", ["a", "b c"]),
        ("a EOS b", ["a", "b"]),
        ("t3_a,t1_b,t1_c\ta EOS b\tc", ["a", "b"]),
        ("t3_a\tan answer", ["t3_a"]),  # somebody's words: nothing else stands in the line
        (f"{HASH}\tsub\tid\t3\t2\tSTART EOS the title EOS a\tb", ["the title", "a"]),
        ("START EOS the title\tb", ["START", "the title"]),
        ("7 up EOS nan EOS 1.0\tinf", ["7 up", "nan", "1.0"]),
        ("a\u2028b\tc", ["a b"]),
    ],
)
def test_the_source_of_a_line_is_the_context(tmp_path: Path, line: str, turns: list[str]) -> None:
    assert read(tmp_path, f"{line}\r\n\n{line}", contexts_format="tsv") == [turns, turns]


def test_weights_are_taken_off_where_the_option_says_that_they_are_there(tmp_path: Path) -> None:
    text = "0.0 7 up EOS 1.0 nan\t1.0 yes\n1 inf\t0.0 no\n"
    assert read(tmp_path, text, has_weights=True) == [["7 up", "nan"], ["inf"]]
    with pytest.raises(RecordError, match=r"contexts:2: expected a turn with its weight.*'nan'"):
        read(tmp_path, "0.0 a\tb\n1.0 a EOS nan\tb\n", has_weights=True)


def test_what_looks_like_weights_is_text_and_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(tmp_path, "0.0 a EOS 1.0 b\t1.0 c\n") == [["0.0 a", "1.0 b"]]
    assert "say --has_weights" in caplog.text
    caplog.clear()
    assert read(tmp_path, "0.0 a EOS 7 up\t1.0 c\n") == [["0.0 a", "7 up"]]
    assert "has_weights" not in caplog.text


def test_plain_text_is_a_turn_a_line_or_a_context_a_line(tmp_path: Path) -> None:
    lines = "\n\nhi\n  hello  there \r\n\n \t\nbye"
    assert read(tmp_path, lines) == [["hi", "hello there"], ["bye"]]
    assert read(tmp_path, "hi|hello\n\nbye\n", turn_separator="|") == [["hi", "hello"], ["bye"]]
    assert read(tmp_path, '["a"]\tb\n', turn_separator="\t") == [['["a"]', "b"]]


@pytest.mark.parametrize(
    ("text", "options", "where"),
    [
        ("hi\n\n\u200b\n", {}, "contexts:3: expected text .* in turn 1 of 1"),
        ("hi|there\nhi||there\n", {"turn_separator": "|"}, "contexts:2: .* in turn 2 of 3"),
        ("a\tb\na EOS  EOS b\tc\n", {}, "contexts:2: .* in turn 2 of 3"),
        ("a\tb\n\tc\n", {}, "contexts:2: .* in turn 1 of 1"),
        ('["a"]\n["b"\n', {}, "contexts:2: expected one JSON value"),
    ],
)
def test_a_line_without_a_context_is_named(
    tmp_path: Path, text: str, options: dict[str, Any], where: str
) -> None:
    with pytest.raises(RecordError, match=where):
        read(tmp_path, text, **options)


@pytest.mark.parametrize("contexts_format", ["auto", "jsonl", "tsv", "text"])
def test_a_file_without_contexts_is_an_error(tmp_path: Path, contexts_format: Any) -> None:
    with pytest.raises(UserError, match="contexts: expected contexts, found no line"):
        read(tmp_path, "\n \n\n", contexts_format=contexts_format)


@pytest.mark.parametrize(
    ("name", "text", "found", "turns"),
    [
        ("a.tsv", '["hi"]\n', "tsv, by its ending .tsv", ['["hi"]']),
        ("a.JSONL", '["hi\\ta"]\n', "jsonl, by its ending .jsonl", ["hi a"]),
        ("a.txt", '\n{"turns": ["hi"]}\n', "jsonl, by its first line", ["hi"]),
        ("a.txt", "hi EOS you\tno\n", "tsv, by the tab", ["hi", "you"]),
        ("a", "hi EOS you\n", "text, because its first line", ["hi EOS you"]),
        ("a.txt", "[sighs] hi\n", "text, because its first line", ["[sighs] hi"]),
    ],
)
def test_auto_says_what_it_took_and_why(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    text: str,
    found: str,
    turns: list[str],
) -> None:
    caplog.set_level(logging.INFO)
    assert read(tmp_path, text, name=name) == [turns]
    assert f"{name}: read as {found}" in caplog.text
    caplog.clear()
    assert read(tmp_path, text, name=name, contexts_format="text")[0] == [
        clean_turn(text.strip("\n"))
    ]
    assert not caplog.text


def test_an_option_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="has_weights is for contexts_format tsv"):
        DecodeConfig(contexts_format="text", has_weights=True)
    with pytest.raises(ValueError, match="turn_separator is for contexts_format text"):
        DecodeConfig(contexts_format="jsonl", turn_separator="|")
    with pytest.raises(ValueError, match="give one of them"):
        DecodeConfig(has_weights=True, turn_separator="|")


def test_an_object_that_is_no_context_is_named_shortly(tmp_path: Path) -> None:
    def fails(value: object) -> str:
        with pytest.raises(RecordError, match=r"contexts:1: expected") as error:
            read(tmp_path, json.dumps(value), contexts_format="jsonl")
        return str(error.value)

    many = {f"{'long' * 30} {number}": 1 for number in range(20_000)}
    assert fails(many).endswith(" and 19995 more")
    assert len(fails(many)) < 1_000
    assert fails({"text": [], "id": 1}).endswith("found an object with the keys 'text', 'id'")
    assert fails({}).endswith("found an empty object")
    both = {"turns": ["a"], "context": ["a"]}
    assert "expected one of turns and context, found both" in fails(both)


words = st.sampled_from(["EOS", "a", "7", "eos", "EOS,", "1.0", "\u200d", "é"])
cleaned_turns = st.lists(words, min_size=1, max_size=5).map(" ".join)


@given(st.lists(cleaned_turns, min_size=1, max_size=4))
def test_turns_that_say_eos_are_cut_where_they_were_joined(turns: list[str]) -> None:
    line = join_turns(turns)
    assert [clean_turn(turn) for turn in split_turns(line)] == turns
