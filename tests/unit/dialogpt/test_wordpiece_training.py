"""Training a WordPiece vocabulary: whole, ordered, the same every time."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from dialogpt.command_line import UserError
from dialogpt.tokenization import load_tokenizer
from dialogpt.wordpiece import UNK, WordPieceTokenizer
from dialogpt.wordpiece_training import FIRST_PIECES, train_wordpiece

WORDS = ["how", "are", "you", "doing", "today", "walking", "walker", "talking", "talker", "jumping"]
WORDS += ["jumper", "hello", "help", "helper", "question", "questions", "asking", "wonderful"]
TEXTS = [
    f"{a.title()} {b}, don't [MASK] caf\u00e9 {c}" for a in WORDS for b in WORDS for c in "xyz"
]
VOCAB_SIZE = 100


def trained(texts: Sequence[str], folder: Path, vocab_size: int = VOCAB_SIZE) -> WordPieceTokenizer:
    train_wordpiece(iter(texts), folder, vocab_size=vocab_size)
    tokenizer = load_tokenizer(str(folder))
    assert isinstance(tokenizer, WordPieceTokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return trained(TEXTS, tmp_path_factory.mktemp("trained"))


def test_control_tokens_come_first_and_characters_next(tokenizer):
    assert tokenizer.vocab_size == VOCAB_SIZE
    assert tuple(tokenizer.pieces[:7]) == FIRST_PIECES
    assert FIRST_PIECES[0] == "[PAD]"
    assert (tokenizer.bou_id, tokenizer.eos_id) == (1, 2)
    single = sorted({c for text in TEXTS for c in text.lower().replace("\u00e9", "e")} - {" "})
    assert tokenizer.pieces[7 : 7 + len(single)] == single


def test_frequent_words_become_pieces_and_no_word_of_the_texts_is_unknown(tokenizer):
    assert {"walking", "talk", "##ing"} <= set(tokenizer.pieces)
    assert all(tokenizer.unk_id not in ids for ids in tokenizer.encode_batch(TEXTS))
    (ids,) = tokenizer.encode_batch(TEXTS[:1])
    assert tokenizer.decode(ids) == TEXTS[0].lower().replace("\u00e9", "e")


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_texts_does_not_matter(tokenizer, tmp_path, seed):
    texts = list(TEXTS)
    random.Random(seed).shuffle(texts)
    assert trained(texts, tmp_path).fingerprint == tokenizer.fingerprint


def test_too_little_text_names_the_largest_vocabulary_that_works(tmp_path):
    with pytest.raises(UserError, match=r"found enough for \d+; give --vocab_size") as error:
        trained(TEXTS, tmp_path, 5000)
    assert not list(tmp_path.iterdir())
    largest = int(str(error.value).partition("found enough for ")[2].partition(";")[0])
    assert trained(TEXTS, tmp_path, largest).vocab_size == largest
    with pytest.raises(UserError, match="found enough for"):
        trained(TEXTS, tmp_path, largest + 1)


def test_too_few_pieces_for_the_characters_name_the_least_that_works(tmp_path):
    with pytest.raises(UserError, match=r"--vocab_size \d+ or more") as error:
        trained(TEXTS, tmp_path, 20)
    least = int(str(error.value).partition("--vocab_size ")[2].split()[0])
    assert trained(TEXTS, tmp_path, least).vocab_size == least
    with pytest.raises(UserError, match=f"--vocab_size {least} or more"):
        trained(TEXTS, tmp_path, least - 1)


def test_rare_characters_and_endless_words_are_left_out(tmp_path):
    common = "".join(map(chr, range(0x4E00, 0x4E00 + 998)))  # a word each
    rare = ["zu\u0416", "z" * 101]
    pieces = trained([*[f"{common} zu"] * 2, *rare], tmp_path, 1009).pieces
    assert pieces[7:] == ["u", "z", *common, "##u", "zu"]


def test_what_stands_once_becomes_no_piece(tmp_path):
    with pytest.raises(UserError, match="found enough for 14;"):
        trained(["ab ab cd"], tmp_path, 15)
    assert trained(["ab ab cd"], tmp_path, 14).pieces[7:] == [
        "a",
        "b",
        "c",
        "d",
        "##b",
        "##d",
        "ab",
    ]


def test_an_unknown_character_makes_its_word_unknown(tokenizer):
    (ids,) = tokenizer.encode_batch(["walking w\u0416ing walking"])
    assert [tokenizer.pieces[i] for i in ids] == ["walking", UNK, "walking"]
