import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_train import byte_tokenizer
from transformers import AutoTokenizer

from dialogpt.command_line import UserError
from dialogpt.tokenization import (
    GPT2_EOS,
    SentencePieceTokenizer,
    copy_tokenizer_files,
    load_tokenizer,
    train_sentencepiece,
)

SENTENCE = "how are you doing today i am fine thanks and what about your dog cat house"
WORDS = SENTENCE.split()
TEXTS = [f"{a} {b} {c}!" for a in WORDS for b in WORDS for c in WORDS[:3]]

# Cs: lone surrogates are no text; shards never hold one.
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="module")
def sentencepiece_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    train_sentencepiece(iter(TEXTS), folder, vocab_size=370)
    return folder


@pytest.fixture(scope="module")
def gpt2():
    return load_tokenizer("gpt2")


@pytest.fixture(scope="module", params=["gpt2", "sentencepiece"])
def tokenizer(request, gpt2, sentencepiece_folder):
    return gpt2 if request.param == "gpt2" else load_tokenizer(str(sentencepiece_folder))


@settings(deadline=None)
@given(text=any_text)
def test_decoding_gives_back_the_text(tokenizer, text):
    if isinstance(tokenizer, SentencePieceTokenizer):
        text = text.replace("\u2581", "")  # SentencePiece's own mark for a blank
        text = text.replace("\0", "")
    (ids,) = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids) == text


@settings(deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from([GPT2_EOS, "</s>", "<pad>", "<unk>", " EOS ", "<0x0A>", "hi", " "]),
        max_size=6,
    )
)
def test_no_text_encodes_to_a_control_token(tokenizer, pieces):
    (ids,) = tokenizer.encode_batch(["".join(pieces)])
    assert tokenizer.eos_id not in ids
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    if isinstance(tokenizer, SentencePieceTokenizer):
        assert not {1, 2} & set(ids)  # </s> and <pad>


def test_spelled_control_tokens_come_back_as_text(tokenizer):
    text = f"a {GPT2_EOS} b </s> c <pad>"
    (ids,) = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids) == text


def test_the_end_of_a_turn_is_left_out_of_decoded_text(tokenizer):
    (ids,) = tokenizer.encode_batch(["hello there"])
    assert tokenizer.decode([*ids, tokenizer.eos_id]) == "hello there"


def test_the_packaged_vocabulary_is_gpt2s(gpt2):
    assert (gpt2.vocab_size, gpt2.eos_id) == (50257, 50256)
    # The ids that GPT-2's own tokenizer is known for.
    assert gpt2.encode_batch(["Hello world", " hello"]) == [[15496, 995], [23748]]


def test_a_saved_tokenizer_is_the_same_tokenizer(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "saved")
    copy_tokenizer_files(tmp_path / "saved", tmp_path / "copied")
    for folder in ("saved", "copied"):
        again = load_tokenizer(str(tmp_path / folder))
        assert again.fingerprint == tokenizer.fingerprint
        assert again.encode_batch(TEXTS[:50]) == tokenizer.encode_batch(TEXTS[:50])
    description = json.loads((tmp_path / "saved" / "dialogpt_tokenizer.json").read_text())
    assert description["fingerprint"] == tokenizer.fingerprint


def test_transformers_reads_a_saved_gpt2_tokenizer(gpt2, tmp_path):
    gpt2.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert [theirs.encode(text) for text in TEXTS[:50]] == gpt2.encode_batch(TEXTS[:50])


def test_a_tokenizer_json_of_transformers_is_read(gpt2, tmp_path):
    gpt2.save(tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    for extra in ("vocab.json", "merges.txt"):
        (tmp_path / "theirs" / extra).unlink(missing_ok=True)
    again = load_tokenizer(str(tmp_path / "theirs"))
    assert again.encode_batch(TEXTS[:50]) == gpt2.encode_batch(TEXTS[:50])
    assert again.fingerprint == gpt2.fingerprint


def test_other_ids_have_another_fingerprint():
    prints = {byte_tokenizer(extra).fingerprint for extra in range(3)}
    assert len(prints) == 3
    assert byte_tokenizer().fingerprint == byte_tokenizer().fingerprint


def test_training_twice_gives_the_same_tokenizer(sentencepiece_folder, tmp_path):
    train_sentencepiece(iter(TEXTS), tmp_path, vocab_size=370)
    again, first = load_tokenizer(str(tmp_path)), load_tokenizer(str(sentencepiece_folder))
    assert again.fingerprint == first.fingerprint
    assert first.vocab_size == 370


def test_too_little_text_is_an_error_and_leaves_no_model(tmp_path):
    with pytest.raises(UserError, match="expected text for a vocabulary of 8000 pieces"):
        train_sentencepiece(iter(["a few words"]), tmp_path, vocab_size=8000)
    assert list(tmp_path.glob("tokenizer.model*")) == []


def test_names_that_lead_to_no_tokenizer_are_errors(tmp_path):
    with pytest.raises(UserError, match="found nothing"):
        load_tokenizer(str(tmp_path / "absent"))
    with pytest.raises(UserError, match="found a folder without them"):
        load_tokenizer(str(tmp_path))
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        load_tokenizer(str(tmp_path))


def test_too_few_pieces_for_the_characters_name_the_least_that_works(tmp_path):
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 200)))] * 3
    with pytest.raises(UserError, match=r"--vocab_size \d+ or more") as error:
        train_sentencepiece(iter(texts), tmp_path, vocab_size=301)
    least = int(str(error.value).partition("--vocab_size ")[2].split()[0])
    train_sentencepiece(iter(texts), tmp_path, vocab_size=least)
    with pytest.raises(UserError, match="or more"):
        train_sentencepiece(iter(texts), tmp_path, vocab_size=least - 1)


@pytest.mark.parametrize(
    "files",
    [
        {"vocab.json": '{"a":', "merges.txt": ""},
        {"vocab.json": "[1]", "merges.txt": ""},
        {"vocab.json": '{"a": 0}', "merges.txt": ""},
        {"vocab.json": '{"<|endoftext|>": 0, "a": 1}', "merges.txt": "a b c"},
        {"vocab.json": '{"<|endoftext|>": 0, "a": 1}', "merges.txt": "a b"},
        {"tokenizer.json": '{"model":'},
        {"tokenizer.json": '{"model": {"type": "BPE"}, "pre_tokenizer": {"type": "ByteLevel"}}'},
    ],
)
def test_broken_files_are_named(files, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{next(iter(files))}.*fetch the files again"):
        load_tokenizer(str(tmp_path))


def test_a_byte_level_bpe_that_splits_otherwise_is_refused(gpt2, tmp_path):
    """Its ids would be others than those that its own model was trained on."""
    gpt2.save(tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    for extra in ("vocab.json", "merges.txt"):
        (tmp_path / "theirs" / extra).unlink(missing_ok=True)
    path = tmp_path / "theirs" / "tokenizer.json"
    theirs = json.loads(path.read_text())
    digits = {"type": "Digits", "individual_digits": True}
    splitters = {"type": "Sequence", "pretokenizers": [digits, theirs["pre_tokenizer"]]}
    path.write_text(json.dumps({**theirs, "pre_tokenizer": splitters}))
    with pytest.raises(UserError, match="'Sequence'"):
        load_tokenizer(str(tmp_path / "theirs"))


def test_a_tokenizer_json_of_another_model_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Unigram", "vocab": []}}')
    with pytest.raises(UserError, match="found 'Unigram'"):
        load_tokenizer(str(tmp_path))
