"""Plain transformers and this project must give the same ids to the same dialogue."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st
from support_train import encoded
from transformers import AutoTokenizer

from dialogpt.data.features import make_features
from dialogpt.decode.contexts import encode_contexts
from dialogpt.fast_tokenizer import write_fast_tokenizer
from dialogpt.text import clean_turn
from dialogpt.tokenization import Tokenizer, load_tokenizer, train_sentencepiece

TEXTS = ["hello there, how are you?", "the inn was out of tea", "I'd say that's fine </s> <pad>"]


@pytest.fixture(scope="module", params=["gpt2", "sentencepiece"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, Any]:
    """A tokenizer of ours, and what AutoTokenizer makes of its files."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sentencepiece":
        train_sentencepiece(TEXTS * 3, folder / "trained", vocab_size=330)
        ours = load_tokenizer(str(folder / "trained"))
    else:
        ours = load_tokenizer("gpt2")
    return ours, exported(folder / "forward", ours, "forward")


def exported(folder: Path, tokenizer: Tokenizer, direction: str) -> Any:
    tokenizer.save(folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    write_fast_tokenizer(folder, tokenizer, direction=direction, window=64)
    return AutoTokenizer.from_pretrained(folder)


def messages(turns: list[str]) -> list[dict[str, str]]:
    roles = ["user", "assistant", "system", "whoever"]
    return [{"role": roles[i % 4], "content": turn} for i, turn in enumerate(turns)]


spelled = st.sampled_from(
    ["<|endoftext|>", "</s>", "<pad>", "<unk>", "<0x41>", "\u2581", "<|endo", "ftext|>", " EOS "]
)
turns_of_text = st.lists(
    st.lists(spelled | st.text(max_size=9), min_size=1, max_size=4)
    .map(lambda parts: clean_turn("".join(parts)))
    .filter(bool),
    min_size=1,
    max_size=4,
)


@given(turns_of_text)
@example(["<|endoftext|>", "</s>", "a<|endo<|endoftext|>ftext|>b </s></s>", "<pad></s>"])
@example(["\u2581 \u2581\u2581a", "<0xE2><0x96><0x81>", "👩\u200d🚀 e\u0301té 漢"])
def test_the_template_gives_the_ids_of_the_encoded_context(
    pair: tuple[Tokenizer, Any], turns: list[str]
) -> None:
    ours, plain = pair
    (context,) = encode_contexts(ours, [turns])
    expected = [token_id for ids in context.turn_ids for token_id in ids]
    for prompt in (False, True):
        found = plain.apply_chat_template(messages(turns), add_generation_prompt=prompt)
        assert found["input_ids"] == expected
    assert plain.decode(expected, skip_special_tokens=True) == ours.decode(expected)


def test_the_template_makes_blanks_single_and_takes_marks_out(pair: tuple[Tokenizer, Any]) -> None:
    ours, plain = pair
    typed = " the\n inn\t<|endoftext\ue000|>\ue001 </s\ue000> "
    (context,) = encode_contexts(ours, [[typed]])
    found = plain.apply_chat_template(messages([typed]))
    assert found["input_ids"] == context.turn_ids[0]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_template_gives_a_row_of_training(
    pair: tuple[Tokenizer, Any], direction: Any, tmp_path: Path
) -> None:
    ours, _ = pair
    plain = exported(tmp_path, ours, direction)
    dialogue = encoded(ours.encode_batch(TEXTS))
    row = make_features(dialogue, ours.eos_id, direction=direction, max_seq_len=1000)
    assert row is not None
    found = plain.apply_chat_template(messages(TEXTS))
    np.testing.assert_array_equal(found["input_ids"], row.input_ids)


def test_without_the_template_a_spelled_control_token_is_one(pair: tuple[Tokenizer, Any]) -> None:
    # What the model's page says of plain `tokenizer(text)`; it would be wrong to promise more.
    ours, plain = pair
    assert plain(f"a{plain.eos_token}")["input_ids"][-1] == ours.eos_id == plain.eos_token_id
    assert plain.model_max_length == 64
    assert (plain.padding_side, plain.truncation_side) == ("left", "left")
    assert plain("hello there")["input_ids"] == ours.encode_batch(["hello there"])[0]


def test_pieces_never_join_to_a_control_token(tmp_path: Path) -> None:
    # Our training never joins letters and signs; a model from elsewhere may have such pieces.
    texts = ["x</ y</ z</ ,s> ?s> .s>", "a<0 b<0 x41> x41>,"] * 9
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        vocab_size=310,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        split_by_unicode_script=False,
        split_by_number=False,
        bos_id=-1,
        unk_id=0,
        eos_id=1,
        pad_id=2,
        minloglevel=2,
    )
    ours = load_tokenizer(str(tmp_path / "tokenizer.model"))
    plain = exported(tmp_path / "out", ours, "forward")
    turns = ["</s>", "<0x41>", "x</s>,"]
    pieces = ours.encode_batch(turns)
    assert len(pieces[0]) == 2  # "</" and "s>"
    expected = [token_id for ids in pieces for token_id in [*ids, ours.eos_id]]
    assert plain.apply_chat_template(messages(turns))["input_ids"] == expected
