"""Dialogues in word pieces: shards that are read back, and shown, as what the pieces say."""

from pathlib import Path

import pytest
from support_dialogues import write_dialogues
from support_wordpiece import wordpiece_tokenizer

from data_prep.config import ShardsConfig
from data_prep.inspecting import main
from data_prep.write_shards import write_shards
from dialogpt.data.manifest import read_manifest
from dialogpt.data.shards import ShardReader
from dialogpt.records import Dialogue
from dialogpt.tokenization import load_tokenizer

TURNS = ("How are you? [unused1] [PAD]", "\u0301", "Doing it!")
SHOWN = ("how are you? [unused1] [pad]", "", "doing it!")
"""The second turn is an accent alone, of which an uncased vocabulary leaves nothing."""


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    dialogue = Dialogue(
        turns=TURNS, speakers=(0, 1, 0), turn_ids=("t1_a", "t1_b", "t1_c"), thread_id="t3_a"
    )
    split = {name: [[dialogue]] for name in ("train", "valid", "test")}
    write_dialogues(tmp_path / "extracted", split)
    wordpiece_tokenizer().save(tmp_path / "tokenizer")
    write_shards(
        ShardsConfig(
            dialogues=str(tmp_path / "extracted"),
            tokenizer=str(tmp_path / "tokenizer"),
            output=str(tmp_path / "shards"),
            num_workers=1,
        )
    )
    return tmp_path / "shards"


def test_shards_hold_the_pieces_of_each_turn(shards):
    tokenizer = load_tokenizer(str(shards / "tokenizer"))
    manifest = read_manifest(shards / "train", tokenizer=tokenizer)
    assert (manifest.tokenizer_kind, manifest.eos_id) == ("wordpiece", tokenizer.eos_id)
    reader = ShardReader(shards / "train", manifest.shards[0], vocab_size=manifest.vocab_size)
    [dialogue] = reader.read_chunk(0).dialogues()
    ids = [turn.tolist() for turn in dialogue.turns]
    assert ids == tokenizer.encode_batch(TURNS)
    assert tuple(tokenizer.decode_batch(ids)) == SHOWN


def test_inspect_shows_them_with_the_ends_of_turns(shards, capsys):
    main(["--shards", str(shards), "--split", "train"])
    shown = capsys.readouterr().out
    assert "   0        0  how are you? [unused1] [pad]" in shown
    end = str(wordpiece_tokenizer().eos_id)
    ends = [line.split() for line in shown.splitlines() if "<end of turn>" in line]
    assert [line[4] for line in ends] == [end] * 3
