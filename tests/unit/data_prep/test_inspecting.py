import re
from contextlib import suppress

import numpy as np
import pytest
from support_dialogues import made_up_dialogues, write_dialogues

from data_prep import inspecting, write_shards
from data_prep.encode import encode_dialogues
from data_prep.inspecting import InspectConfig, describe_row
from dialogpt.data.features import make_features
from dialogpt.records import Dialogue
from dialogpt.tokenization import load_tokenizer

ALL = made_up_dialogues(17)
PARTS = [ALL[:9], [], ALL[9:]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Dialogues in three parts, one of them empty, and their shards."""
    folder = tmp_path_factory.mktemp("inspect")
    knowing = Dialogue(
        turns=("Héllo 🙂", "<|endoftext|>"),
        speakers=(0, -1),
        turn_ids=("t1_x", "t1_y"),
        thread_id="t3_x",
        knowledge=("i like tea.",),
    )
    write_dialogues(folder / "dialogues", {"train": PARTS, "valid": [[knowing]]})
    write_shards.main(
        [
            *("--dialogues", str(folder / "dialogues"), "--tokenizer", "gpt2"),
            *("--output", str(folder / "shards"), "--num_workers", "1", "--chunk_dialogues", "4"),
        ]
    )
    return folder


def shown(capsys, *options):
    capsys.readouterr()
    inspecting.main([str(option) for option in options])
    return capsys.readouterr().out


def without_ids(text):
    """Shards hold no ids, only hashes of them."""
    return re.sub(r"^thread .*\n|   \[\w+\]$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("index", [0, 3, 4, 8, 9, 16])
def test_files_and_shards_show_the_same_dialogue_by_its_number(index, folders, capsys):
    files = shown(capsys, "--dialogues", folders / "dialogues", "--index", index)
    shards = shown(capsys, "--shards", folders / "shards", "--index", index)
    assert without_ids(files) == without_ids(shards) == shards
    assert f"dialogue {index} of 17 in train" in files
    for text, turn_id in zip(ALL[index].turns, ALL[index].turn_ids, strict=True):
        assert f"{text}   [{turn_id}]" in files


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("max_seq_len", [4, 9, 12, 256])
def test_the_table_is_the_row_of_training_token_by_token(direction, max_seq_len, folders):
    tokenizer = load_tokenizer("gpt2")
    config = InspectConfig(dialogues="d", direction=direction, max_seq_len=max_seq_len)
    for encoded in encode_dialogues(ALL, tokenizer):
        features = make_features(
            encoded, tokenizer.eos_id, direction=direction, max_seq_len=max_seq_len
        )
        lines = list(describe_row(encoded, tokenizer, config))
        start = next(n for n, line in enumerate(lines) if line.startswith("position"))
        cells = [line.rsplit(maxsplit=4)[1:] for line in lines[start + 1 :]]
        assert [int(cell[0]) for cell in cells] == features.input_ids.tolist()
        labels = [-100 if cell[1] == "-" else int(cell[1]) for cell in cells]
        assert labels == features.labels.tolist()
        # Each turn's tokens are those of that turn of the dialogue, but for what is cut.
        for number in {int(cell[2]) for cell in cells}:
            ids = [int(cell[0]) for cell in cells if int(cell[2]) == number]
            assert ids.pop() == tokenizer.eos_id
            assert " ".join(map(str, ids)) in " ".join(map(str, encoded.turns[number].tolist()))
            assert {cell[3] for cell in cells if int(cell[2]) == number} == {
                str(encoded.speakers[number])
            }


def test_what_does_not_fit_is_said(folders):
    tokenizer = load_tokenizer("gpt2")
    (encoded,) = encode_dialogues([ALL[0]], tokenizer)
    first = np.concatenate(encoded.turns)
    assert len(encoded.turns) > 2
    config = InspectConfig(dialogues="d", max_seq_len=5)
    text = "\n".join(describe_row(encoded, tokenizer, config))
    assert "turns before turn" in text
    assert "has lost its beginning" in text or "has lost its end" in text
    config = InspectConfig(dialogues="d", max_seq_len=len(first) + 10)
    text = "\n".join(describe_row(encoded, tokenizer, config))
    assert "lost" not in text
    assert "left out" not in text


def test_knowledge_unknown_speakers_and_spelt_control_tokens_are_shown_as_they_are(folders, capsys):
    for option in (("--dialogues", folders / "dialogues"), ("--shards", folders / "shards")):
        text = shown(capsys, *option, "--split", "valid")
        assert "knowledge 0: i like tea." in text
        assert "GPT-2's row has no place" in text
        assert re.search(r"^ +1 +\?  <\|endoftext\|>", text, re.MULTILINE)
        assert text.count("<end of turn>") == 2
        assert "'<'" in text  # spelt, it is text


@pytest.mark.parametrize("place", ["dialogues", "shards"])
def test_a_dialogue_is_found_by_turn_thread_or_text(place, folders, capsys):
    option = (f"--{place}", folders / place)
    assert "dialogue 11 of" in shown(capsys, *option, "--id", ALL[11].turn_ids[-1])
    assert ALL[4].thread_id == ALL[5].thread_id  # two dialogues of one thread
    for index, number in enumerate((4, 5)):
        found = shown(capsys, *option, "--id", ALL[4].thread_id, "--index", index)
        assert f"dialogue {number} of" in found
    words = " ".join(ALL[13].turns[-1].split()[:3]).upper()
    first = next(
        n for n, d in enumerate(ALL) if any(words.lower() in turn.lower() for turn in d.turns)
    )
    assert f"dialogue {first} of" in shown(capsys, *option, "--find", words)


@pytest.mark.parametrize("index", ["0", "17"])
def test_nothing_stays_open_for_whoever_looks_next(index, folders, monkeypatch):
    """LMDB opens no file a second time in a process, whenever the first reader is forgotten."""
    kept = []
    real = inspecting.DialogueShards

    def keeping(*arguments):
        kept.append(real(*arguments))
        return kept[-1]

    monkeypatch.setattr(inspecting, "DialogueShards", keeping)
    for options in (["--index", index], ["--find", "no such text"], ["--id", "t1_none"]) * 2:
        with suppress(SystemExit):
            inspecting.main(["--shards", str(folders / "shards"), *options])
    assert len(kept) == 6
    assert all(reader._environment is None for shards in kept for _, reader in shards._shards)


@pytest.mark.parametrize("place", ["dialogues", "shards"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--index", "17"], "17 dialogues"),
        (["--id", "t1_none"], "the id t1_none in train, found 0"),
        (["--find", "no such text"], "'no such text' in train, found 0"),
        (["--split", "test"], "found 0 dialogues"),
    ],
)
def test_what_is_not_there_is_told(place, options, message, folders, capsys):
    with pytest.raises(SystemExit) as end:
        inspecting.main([f"--{place}", str(folders / place), *options])
    assert end.value.code == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--dialogues", "a", "--shards", "b"],
        ["--shards", "b", "--id", "x", "--find", "y"],
        ["--shards", "b", "--index", "-1"],
        ["--shards", "b", "--max_seq_len", "3"],
        ["--shards", "b", "--direction", "sideways"],
        ["--shards", "b", "--split", "dev"],
    ],
)
def test_options_that_do_not_go_together_end_with_code_2(options, capsys):
    with pytest.raises(SystemExit) as end:
        inspecting.main(options)
    assert end.value.code == 2


@pytest.mark.parametrize("option", ["--dialogues", "--shards"])
def test_a_folder_that_is_not_there_ends_with_code_1(option, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        inspecting.main([option, str(tmp_path / "none")])
    assert end.value.code == 1
    assert "first" in capsys.readouterr().err


def test_a_single_turn_has_no_row_and_that_is_said():
    tokenizer = load_tokenizer("gpt2")
    alone = Dialogue(turns=("hi",), speakers=(0,), turn_ids=("a",), thread_id="t")
    (encoded,) = encode_dialogues([alone], tokenizer)
    assert "nothing to learn" in "".join(
        describe_row(encoded, tokenizer, InspectConfig(dialogues="d"))
    )
