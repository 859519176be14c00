"""The tokenizer stage: exact round trips, no forged control tokens, the same bytes every time."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_dialogues import CONTROL_TEXTS, clean_texts, made_up_dialogues, write_dialogues

from data_prep.config import TokenizerConfig
from data_prep.train_tokenizer import count_turns, main, train_tokenizer, training_turns
from dialogpt.command_line import UserError
from dialogpt.records import Dialogue
from dialogpt.tokenization import Tokenizer, load_tokenizer

VOCAB_SIZE = 320


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts of training dialogues, with turns that spell control tokens."""
    folder = tmp_path_factory.mktemp("extracted")
    forged = Dialogue(
        turns=(" ".join(CONTROL_TEXTS * 9), "</s></s> <pad> <|endoftext|> <0x41> caf\u00e9 \u2581"),
        speakers=(0, 1),
        turn_ids=("t1_x", "t1_y"),
        thread_id="t3_x",
    )
    dialogues = made_up_dialogues(200)
    write_dialogues(folder, {"train": [dialogues[:120], [*dialogues[120:], forged]]})
    return folder


@pytest.fixture(scope="module")
def tokenizer(extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("trained") / "tokenizer"
    train_tokenizer(config(extracted, folder))
    return load_tokenizer(str(folder))


def config(dialogues: Path, output: Path, *, vocab_size: int = VOCAB_SIZE) -> TokenizerConfig:
    return TokenizerConfig(dialogues=str(dialogues), output=str(output), vocab_size=vocab_size)


@given(text=clean_texts)
def test_decoding_gives_back_every_clean_text(tokenizer, text):
    [ids] = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids) == text


@given(texts=st.lists(st.lists(st.sampled_from(CONTROL_TEXTS)).map("".join), max_size=4))
def test_text_never_gives_a_control_token(tokenizer, texts):
    control_ids = {0, 1, 2}  # <unk>, </s>, <pad>
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert not control_ids & set(ids)
        assert tokenizer.eos_id not in ids
        assert tokenizer.decode(ids) == text


def test_the_folder_has_the_size_that_was_asked_for(tokenizer):
    assert tokenizer.kind == "sentencepiece"
    assert tokenizer.vocab_size == VOCAB_SIZE
    assert tokenizer.eos_id == 1


def test_the_same_dialogues_give_the_same_tokenizer(extracted, tokenizer, tmp_path):
    train_tokenizer(config(extracted, tmp_path / "again"))
    assert load_tokenizer(str(tmp_path / "again")).fingerprint == tokenizer.fingerprint


def test_a_second_run_does_nothing_and_another_size_is_refused(extracted, tmp_path):
    output = tmp_path / "tokenizer"
    train_tokenizer(config(extracted, output))
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    assert "nothing to do" in train_tokenizer(config(extracted, output))
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before
    with pytest.raises(UserError, match="'vocab_size': 330"):
        train_tokenizer(config(extracted, output, vocab_size=330))


def test_too_large_a_vocabulary_names_the_largest_that_works(extracted, tmp_path):
    with pytest.raises(UserError, match=r"found enough for \d+") as error:
        train_tokenizer(config(extracted, tmp_path / "tokenizer", vocab_size=50_000))
    largest = int(str(error.value).partition("found enough for ")[2].partition(";")[0])
    assert not (tmp_path / "tokenizer").exists()
    train_tokenizer(config(extracted, tmp_path / "tokenizer", vocab_size=largest))
    with pytest.raises(UserError, match="found enough for"):
        train_tokenizer(config(extracted, tmp_path / "larger", vocab_size=largest + 1))


def test_a_shared_turn_is_counted_once(extracted):
    # 200 dialogues in 100 threads: each thread's first turn stands in two of them.
    num_replies = sum(len(dialogue.turns) - 1 for dialogue in made_up_dialogues(200))
    assert count_turns(extracted) == 100 + num_replies + 2


@settings(max_examples=20)
@given(max_turns=st.integers(1, 800))
def test_a_limited_choice_is_exact_and_even(extracted, max_turns):
    num_distinct = count_turns(extracted)
    everything = list(training_turns(extracted, max_turns=num_distinct, num_distinct=num_distinct))
    chosen = list(training_turns(extracted, max_turns=max_turns, num_distinct=num_distinct))
    assert len(everything) == num_distinct
    assert len(chosen) == min(max_turns, num_distinct)
    if len(chosen) >= 2:
        # An even choice has half of its turns in the first half.
        first_half = list(everything[: num_distinct // 2])
        rest = iter(first_half)
        num_in_first_half = sum(1 for text in chosen[: len(chosen) // 2 - 1] if text in rest)
        assert num_in_first_half == len(chosen) // 2 - 1


def test_dialogues_without_turns_and_missing_folders_say_what_to_run(tmp_path, capsys):
    write_dialogues(tmp_path / "empty", {"train": [[]]})
    with pytest.raises(UserError, match="expected turns in the training split, found none"):
        train_tokenizer(config(tmp_path / "empty", tmp_path / "tokenizer"))
    with pytest.raises(SystemExit) as stopped:
        main(["--dialogues", str(tmp_path / "absent"), "--output", str(tmp_path / "tokenizer")])
    assert stopped.value.code == 1
    assert "data_prep extract" in capsys.readouterr().err


def test_a_word_piece_vocabulary_can_be_trained(extracted, tmp_path):
    output = tmp_path / "tokenizer"
    wanted = TokenizerConfig(
        dialogues=str(extracted), output=str(output), kind="wordpiece", vocab_size=85
    )
    assert ": 85 pieces from" in train_tokenizer(wanted)
    assert load_tokenizer(str(output)).kind == "wordpiece"
    assert "nothing to do" in train_tokenizer(wanted)
    with pytest.raises(UserError, match="'kind': 'wordpiece'"):
        train_tokenizer(config(extracted, output, vocab_size=320))


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'sentencepiece' or 'wordpiece', got 'bpe'"):
        TokenizerConfig(dialogues="a", output="b", kind="bpe")
