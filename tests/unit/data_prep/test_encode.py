"""Dialogue -> EncodedDialogue: nothing is lost, and no control token can be typed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_dialogues import CONTROL_TEXTS, dialogue_strategy

from data_prep.encode import encode_dialogues
from dialogpt.records import Dialogue
from dialogpt.text import record_key
from dialogpt.tokenization import Tokenizer, load_tokenizer


class CountingTokenizer:
    """Bytes as ids; remembers what it was asked to encode."""

    kind = "bytes"
    vocab_size = 257
    eos_id = 256
    fingerprint = "0"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode_batch(self, texts):
        self.seen += texts
        return [list(text.encode()) for text in texts]


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return load_tokenizer("gpt2")


@given(dialogues=st.lists(dialogue_strategy(), max_size=4))
def test_every_field_of_every_dialogue_is_there(gpt2, dialogues):
    encoded = encode_dialogues(dialogues, gpt2)
    assert len(encoded) == len(dialogues)
    for dialogue, ours in zip(dialogues, encoded, strict=True):
        assert tuple(gpt2.decode(ids.tolist()) for ids in ours.turns) == dialogue.turns
        assert tuple(gpt2.decode(ids.tolist()) for ids in ours.knowledge) == dialogue.knowledge
        assert tuple(ours.speakers.tolist()) == dialogue.speakers
        assert ours.num_words.tolist() == [len(turn.split()) for turn in dialogue.turns]
        assert ours.num_chars.tolist() == [len(turn) for turn in dialogue.turns]
        assert ours.turn_keys.tolist() == [record_key(name) for name in dialogue.turn_ids]
        assert ours.thread_key == record_key(dialogue.thread_id)


def test_arrays_have_the_types_of_the_record(gpt2):
    [encoded] = encode_dialogues([talk("hello", "you")], gpt2)
    assert {ids.dtype for ids in encoded.turns} == {np.dtype(np.uint16)}
    dtypes = [encoded.speakers.dtype, encoded.num_words.dtype, encoded.turn_keys.dtype]
    assert dtypes == [np.int8, np.uint32, np.uint64]


def test_a_text_that_stands_in_many_dialogues_is_encoded_once():
    tokenizer = CountingTokenizer()
    encode_dialogues([talk("hi", "a"), talk("hi", "b"), talk("b", "hi")], tokenizer)
    assert sorted(tokenizer.seen) == ["a", "b", "hi"]


@pytest.mark.parametrize("text", CONTROL_TEXTS)
def test_text_that_spells_a_control_token_is_text(gpt2, text):
    [encoded] = encode_dialogues([talk(text, f"so {text} it is")], gpt2)
    assert all(gpt2.eos_id not in ids for ids in encoded.turns)
    assert gpt2.decode(encoded.turns[0].tolist()) == text


def talk(*turns: str) -> Dialogue:
    numbers = range(len(turns))
    return Dialogue(
        turns=turns,
        speakers=tuple(numbers),
        turn_ids=tuple(f"t1_{i}" for i in numbers),
        thread_id="t3_0",
    )
