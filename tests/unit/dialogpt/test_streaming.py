"""The reply while it is drawn."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_decode import save_model_folder, tiny_tokenizer

from dialogpt.config.decoding import DecodeConfig, GenerationConfig
from dialogpt.decode.filters import PhraseFilter
from dialogpt.decode.respond import Responder, build_responder
from dialogpt.decode.streaming import TextStream, settled
from dialogpt.text import clean_turn

TOKENIZER = tiny_tokenizer()  # every byte is a token: most ends are within a character

# Letters whose accents follow, syllables in pieces, blanks, emoji of several parts, controls.
texts = st.text(
    alphabet="abe \n\t\u0301\u0327\u200d\u200b\x1bé漢👍🏽\u1112\u1161\u11ab\u09c7\u09be\ufffd",
    max_size=30,
)


def streamed(ids: list[int]) -> list[str]:
    shown: list[str] = []
    stream = TextStream(TOKENIZER, shown.append)
    for end in range(1, len(ids) + 1):
        stream.add(ids[:end])
    stream.end(clean_turn(TOKENIZER.decode(ids)))
    return shown


@given(text=texts)
def test_each_text_begins_with_the_one_before_and_the_last_is_the_reply(text: str) -> None:
    (ids,) = TOKENIZER.encode_batch([text])
    shown = streamed(ids)
    whole = clean_turn(text)
    assert (shown[-1] if shown else "") == whole
    for before, after in itertools.pairwise(shown):
        assert after.startswith(before)
        assert len(after) > len(before)
    if "\ufffd" not in text:
        assert not any("\ufffd" in one for one in shown)


@given(ids=st.lists(st.integers(0, 255), max_size=20))
def test_bytes_that_are_no_text_break_nothing(ids: list[int]) -> None:
    shown = streamed(ids)
    for before, after in itertools.pairwise(shown):
        assert after.startswith(before)


def test_a_text_grows_letter_by_letter_as_tokens_come() -> None:
    (ids,) = TOKENIZER.encode_batch(["ab 漢!"])
    assert streamed(ids) == ["a", "ab", "ab ", "ab 漢", "ab 漢!"]
    assert settled("") == settled("\ufffd") == settled("a\u0323\u0301") == ""


@pytest.fixture(scope="module")
def responder(tmp_path_factory: pytest.TempPathFactory) -> Responder:
    folder: Path = save_model_folder(tmp_path_factory.mktemp("models") / "forward", seed=1)
    config = DecodeConfig(
        model=str(folder),
        device="cpu",
        generation=GenerationConfig(num_samples=1, max_new_tokens=24, seed=5),
    )
    return build_responder(config)[0]


@pytest.mark.parametrize("method", ["sample", "greedy"])
def test_one_hypothesis_is_streamed_and_the_reply_is_the_same(
    responder: Responder, method: str
) -> None:
    one = replace(responder, generation=replace(responder.generation, method=method))
    shown: list[str] = []
    response = one.respond(["the inn"], context_index=2, on_text=shown.append)
    assert shown[-1] == response.text
    assert len(shown) > 3
    silent = one.respond(["the inn"], context_index=2)
    assert silent.as_record() == response.as_record()


def test_where_something_is_still_to_be_chosen_nothing_is_shown(responder: Responder) -> None:
    generation = responder.generation
    for changed in (
        replace(responder, generation=replace(generation, num_samples=2)),
        replace(responder, generation=replace(generation, method="beam", beam_size=1)),
        replace(responder, filters=(PhraseFilter(["idiot"]),)),
    ):
        shown: list[str] = []
        assert changed.respond(["the inn"], on_text=shown.append).text
        assert shown == []
