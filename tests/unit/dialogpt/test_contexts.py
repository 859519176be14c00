import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_decode import tiny_tokenizer

from dialogpt.command_line import UserError
from dialogpt.decode.contexts import (
    encode_contexts,
    latest_turns,
    read_contexts,
    typed_contexts,
)
from dialogpt.records import RecordError
from dialogpt.text import clean_turn

TOKENIZER = tiny_tokenizer()
EOS = TOKENIZER.eos_id


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_three_ways_to_write_a_context_mean_the_same(tmp_path: Path) -> None:
    lines = ['{"turns": ["a", "b  c"]}', '{"context": ["a", "b\\tc"]}', "", '["a", " b c "]']
    source = write(tmp_path / "contexts.jsonl", "\ufeff" + "\r\n".join(lines))
    assert read_contexts(source) == [["a", "b c"]] * 3


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", "found '{'"),
        ('"a"', 'found "a"'),
        ("null", "found null"),
        ('{"text": ["a"]}', "an object with the keys 'text'"),
        ('{"turns": ["a"], "context": ["b"]}', "of turns and context, found both"),
        ('{"turns": "hello"}', 'found {"turns": "hello"}'),
        ('["a", 7]', 'found ["a", 7]'),
        ("[]", "found no turns"),
        ('["a", " \\u200b "]', "nothing readable in turn 2 of 2"),
    ],
)
def test_a_bad_line_is_named_with_what_was_found(tmp_path: Path, line: str, found: str) -> None:
    source = write(tmp_path / "contexts.jsonl", f'["fine"]\n\n{line}\n["fine"]\n')
    with pytest.raises(RecordError) as error:
        read_contexts(source)
    assert f"{source}:3: expected" in str(error.value)
    assert found in str(error.value)


def test_a_byte_that_is_no_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "contexts.jsonl"
    path.write_bytes(b'["fine"]\n["caf\xe9"]\n')
    with pytest.raises(RecordError, match=r"contexts.jsonl:2: expected UTF-8, found the byte 0xe9"):
        read_contexts(str(path))


def test_no_file_a_folder_and_an_empty_file_are_errors(tmp_path: Path) -> None:
    for source in (str(tmp_path / "none.jsonl"), str(tmp_path)):
        with pytest.raises(UserError, match=f"{source}: expected a file of contexts"):
            read_contexts(source)
    with pytest.raises(UserError, match="found no line"):
        read_contexts(write(tmp_path / "empty.jsonl", "\n\n"))


def test_standard_input_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'["a"]\n["b"')))
    with pytest.raises(RecordError, match="standard input:2: expected"):
        read_contexts("-")


def test_each_turn_is_encoded_alone_and_ended_by_the_separator() -> None:
    (context,) = encode_contexts(TOKENIZER, [["the  in", "th"]])
    the, in_, th = (TOKENIZER.encode_batch([text])[0] for text in ("the", " in", "th"))
    assert context.turns == ("the in", "th")
    assert context.turn_ids == ([*the, *in_, EOS], [*th, EOS])


@given(text=st.text(max_size=20), spelled=st.sampled_from(["<|endoftext|>", "</s>", " EOS "]))
def test_a_separator_that_a_user_types_is_text(text: str, spelled: str) -> None:
    (context,) = encode_contexts(TOKENIZER, [[text + spelled + text, "x"]])
    ids = context.turn_ids[0]
    assert ids.index(EOS) == len(ids) - 1
    assert TOKENIZER.decode(ids) == clean_turn(text + spelled + text)


@pytest.mark.parametrize("turns", [[], ["a", ""], ["\u200b"]])
def test_a_context_without_text_is_refused(turns: list[str]) -> None:
    with pytest.raises(ValueError, match="context 1: expected turns of readable text"):
        encode_contexts(TOKENIZER, [["fine"], turns])


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    budget=st.integers(1, 40),
)
def test_the_latest_turns_that_fit_are_kept_whole(lengths: list[int], budget: int) -> None:
    turn_ids = [[100 * n + place for place in range(size)] for n, size in enumerate(lengths)]
    kept, num_dropped = latest_turns(turn_ids, budget)
    assert len(kept) == len(turn_ids) - num_dropped
    assert sum(map(len, kept)) <= budget
    if sum(lengths[num_dropped:]) <= budget:
        assert kept == turn_ids[num_dropped:]
    else:  # not even one whole turn: its end is kept
        assert num_dropped == len(lengths) - 1
        assert kept == [turn_ids[-1][-budget:]]
    if num_dropped:  # one more would have been too many
        assert sum(lengths[num_dropped - 1 :]) > budget


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("hi\nhow are you\n\nbye\n\n", [["hi", "how are you"], ["bye"]]),
        ("hi\n  \n\n\nbye", [["hi"], ["bye"]]),  # Ctrl-D asks for the last reply
        ("", []),
        ("\n\n", []),
        ("a \x1b[31m b\n", [["a [31m b"]]),
    ],
)
def test_typed_lines_become_contexts(typed: str, expected: list[list[str]]) -> None:
    prompts = io.StringIO()
    assert list(typed_contexts(io.StringIO(typed), prompts)) == expected
    assert prompts.getvalue() == ""  # nobody waits at a pipe


def test_demo_contexts_are_read(pytestconfig: pytest.Config) -> None:
    path = pytestconfig.rootpath / "configs" / "decode" / "demo_contexts.jsonl"
    contexts = read_contexts(str(path))
    assert contexts == [json.loads(line)["turns"] for line in path.read_text().splitlines()]
    assert {len(turns) for turns in contexts} == {1, 2, 3}
