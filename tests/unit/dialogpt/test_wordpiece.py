"""WordPiece: BERT's ids for text, and no text for control ids."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_wordpiece import CONTROLS, PIECES, wordpiece_tokenizer
from transformers import BertTokenizer

from dialogpt.tokenization import load_tokenizer
from dialogpt.wordpiece import BOU, EOU, UNK, bert_words

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# Text that is near to control tokens, or cut and joined in a way of its own.
parts = [
    *CONTROLS,
    "[mask]",
    "##[unused1]",
    "[",
    "]",
    "[[PAD]]",
    "\uff3bMASK\uff3d",
    "\u4f60\u597d",
]
parts += [
    "Don't",
    " it ' s ",
    "'ll",
    "3.50",
    "10:30",
    "1,000",
    "...",
    "(a)",
    " ",
    "\u200d",
    "\u0301",
]
spelled = st.lists(st.one_of(st.sampled_from(parts), any_text), max_size=8).map("".join)


@pytest.fixture(scope="module")
def tokenizer():
    return wordpiece_tokenizer()


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wordpiece")
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    return BertTokenizer.from_pretrained(folder)


def longest_pieces(word: str) -> list[str]:
    """The rule of Devlin et al.: from the left, always the longest piece there is."""
    found: list[str] = []
    while word:
        mark = "##" if found else ""
        ends = (end for end in range(len(word), 0, -1) if mark + word[:end] in PIECES)
        end = next(ends, 0)
        if not end:
            return [UNK]
        found.append(mark + word[:end])
        word = word[end:]
    return found


@settings(deadline=None)
@given(text=spelled)
def test_no_text_encodes_to_a_control_token(tokenizer, text):
    (ids,) = tokenizer.encode_batch([text])
    found = {PIECES[i] for i in ids}
    assert not found & set(CONTROLS) - {UNK}
    assert not {tokenizer.eos_id, tokenizer.bou_id} & set(ids)


@settings(deadline=None)
@given(text=spelled)
def test_words_are_cut_into_the_longest_pieces(tokenizer, text):
    pieces = [piece for word in bert_words(text) for piece in longest_pieces(word)]
    assert tokenizer.encode_batch([text]) == [[PIECES.index(piece) for piece in pieces]]


@settings(deadline=None)
@given(text=spelled)
def test_transformers_gives_the_same_ids(tokenizer, theirs, text):
    text = text.replace("[", "(")  # it takes spelled control tokens for the tokens
    assert tokenizer.encode_batch([text]) == [theirs.encode(text, add_special_tokens=False)]


@settings(deadline=None)
@given(text=spelled)
def test_a_decoded_text_has_the_ids_it_was_decoded_from(tokenizer, text):
    (ids,) = tokenizer.encode_batch([text])
    ids = [i for i in ids if i != tokenizer.unk_id]
    assert tokenizer.encode_batch([tokenizer.decode(ids)]) == [ids]


@settings(deadline=None)
@given(text=spelled)
def test_the_text_of_the_first_tokens_begins_the_text_of_all(tokenizer, text):
    (ids,) = tokenizer.encode_batch([text])
    texts = [tokenizer.decode(ids[:end]) for end in range(len(ids) + 1)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("Hello , how ARE you ?", "hello, how are you?"),
        ("don ' t ; it 's I ' m we 'll we're", "don't; it's i'm we'll we're"),
        ("the dogs ' a", "the dogs' a"),
        ("don\u2019 t \u2026", "don\u2019t\u2026"),
        ("(a [ b ] { c } ) 5 %", "(a [b] {c}) 5%"),
        ("3 . 50 at 10 : 50 , 1,000 . 5 , 6", "3.50 at 10:50, 1,000.5, 6"),
        ("a . b 1 . a . 5 b , 000", "a. b 1. a. 5 b, 000"),
        ("wait . . . !", "wait...!"),
        ("well - done", "well - done"),
        ("caf\u00e9 \u4f60\u597d", "cafe \u4f60 \u597d"),
        ("a \u0416 b", "a [UNK] b"),
        ("[MASK] a", "[mask] a"),
        ("a ' b ' s (it ' s)", "a' b's (it's)"),
        ("", ""),
    ],
)
def test_decoded_text_reads_well(tokenizer, text, decoded):
    assert tokenizer.decode_batch(tokenizer.encode_batch([text])) == [decoded]


def test_contractions_in_capitals_are_joined_too():
    cased = wordpiece_tokenizer(lowercase=False)
    assert cased.decode(cased.encode_batch(["I ' M"])[0]) == "I'M"


def test_control_tokens_are_left_out_of_decoded_text(tokenizer):
    (ids,) = tokenizer.encode_batch(["hello you"])
    controls = [PIECES.index(name) for name in CONTROLS if name != UNK]
    assert tokenizer.decode([*controls, ids[0], *controls, *ids[1:], tokenizer.eos_id]) == (
        "hello you"
    )
    assert tokenizer.decode([PIECES.index("##ing")]) == "ing"


def test_the_tokens_of_plato_are_unused_ones_of_bert(tokenizer):
    assert (PIECES[tokenizer.bou_id], PIECES[tokenizer.eos_id]) == (BOU, EOU)
    gpt2 = load_tokenizer("gpt2")
    assert gpt2.bou_id == gpt2.eos_id


def test_a_word_is_unknown_from_101_characters_on(tokenizer):
    (whole,), (unknown,) = tokenizer.encode_batch(["a" * 100]), tokenizer.encode_batch(["a" * 101])
    assert (len(whole), unknown) == (100, [tokenizer.unk_id])
    assert tokenizer.unk_id not in whole
