"""What a file of contexts says beyond its turns: who spoke, and what the reply may draw on."""

import json
from pathlib import Path
from typing import Any

import pytest
from support_train import byte_tokenizer

from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.contexts import (
    Context,
    encode_contexts,
    read_contexts,
    read_given_contexts,
)
from dialogpt.records import RecordError, TestItem


def write(tmp_path: Path, *values: Any) -> str:
    path = tmp_path / "contexts.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return str(path)


def test_speakers_and_knowledge_of_a_test_set_are_read(tmp_path: Path) -> None:
    item = TestItem(
        id="x", turns=("a", "b"), references=("c",), speakers=(1, -1), knowledge=(" k  1 ", "l")
    )
    path = write(tmp_path, json.loads(item.to_json()), ["d"], {"context": ["e"]})
    assert read_given_contexts(path) == [
        GivenContext(turns=("a", "b"), speakers=(0, -1), knowledge=("k 1", "l")),
        GivenContext(turns=("d",)),
        GivenContext(turns=("e",)),
    ]
    assert read_contexts(path) == [["a", "b"], ["d"], ["e"]]


def test_speakers_may_be_names_and_nobody(tmp_path: Path) -> None:
    path = write(tmp_path, {"turns": ["a", "b", "c", "d"], "speakers": ["Bo", "Al", None, "Bo"]})
    assert read_given_contexts(path)[0].speakers == (0, 1, -1, 0)


@pytest.mark.parametrize(
    "wrong", [[0], [0, 1, 0], "ab", [0, True], [0, 1.5], {"a": 1}, [[0], [1]], 0, False]
)
def test_speakers_that_do_not_fit_the_turns_are_refused_by_line(
    tmp_path: Path, wrong: object
) -> None:
    path = write(tmp_path, ["fine"], {"turns": ["a", "b"], "speakers": wrong})
    with pytest.raises(RecordError, match=r'contexts.jsonl:2: expected "speakers" .* of 2 '):
        read_given_contexts(path)


@pytest.mark.parametrize("wrong", ["a sentence", [1], {"a": "b"}, 7])
def test_knowledge_that_is_no_list_of_sentences_is_refused(tmp_path: Path, wrong: object) -> None:
    path = write(tmp_path, {"turns": ["a"], "knowledge": wrong})
    with pytest.raises(RecordError, match=r'contexts.jsonl:1: expected "knowledge"'):
        read_given_contexts(path)


@pytest.mark.parametrize(
    ("speakers", "replier"),
    [
        ((), -1),
        ((0,), 1),
        ((0, 1), 0),
        ((1, 0, 0), 1),
        ((0, 1, 2), 1),
        ((0, 1, -1), -1),
        ((2, -1, 2), 3),
        ((0, -1, 1), 0),
    ],
)
def test_who_spoke_before_the_last_speaker_replies_or_somebody_new(
    speakers: tuple[int, ...], replier: int
) -> None:
    turns = ("a",) * max(1, len(speakers))
    assert Context(turns=turns, turn_ids=([0],) * len(turns), speakers=speakers).replier == replier


def test_knowledge_is_encoded_for_itself_and_blank_sentences_are_left_out() -> None:
    tokenizer = byte_tokenizer()
    given = [
        GivenContext(turns=("ab", "c"), knowledge=("de", " \u200b ", "f")),
        GivenContext(turns=("g",)),
        GivenContext(turns=("h",), knowledge=("ij",)),
    ]
    first, second, third = encode_contexts(tokenizer, given)
    assert first.knowledge == ("de", "f")
    assert [tokenizer.decode(ids) for ids in first.knowledge_ids] == ["de", "f"]
    assert [tokenizer.decode(ids) for ids in first.turn_ids] == ["ab", "c"]
    assert [ids[-1] for ids in first.turn_ids] == [tokenizer.eos_id] * 2
    assert second.knowledge_ids == ()
    assert [tokenizer.decode(ids) for ids in (*third.turn_ids, *third.knowledge_ids)] == ["h", "ij"]
