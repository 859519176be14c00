"""The shards stage: what is read back is what went in, also after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_dialogues import dialogue_strategy, made_up_dialogues, write_dialogues

from data_prep.config import ShardsConfig
from data_prep.dialogues import part_files
from data_prep.encode import encode_dialogues
from data_prep.stages import key_of
from data_prep.write_shards import MARKERS_FOLDER, ORIGIN_FILE, main, shard_key, write_shards
from dialogpt.command_line import UserError
from dialogpt.data.manifest import file_sha256, read_manifest, save_manifest, verify_checksums
from dialogpt.data.shards import ShardReader
from dialogpt.records import SPLITS, EncodedDialogue
from dialogpt.tokenization import Tokenizer, load_tokenizer, train_sentencepiece

ROOT = Path(__file__).parents[3]
MANY = {"train": 4, "valid": 2, "test": 2}
"""Parts of each split of `extracted`."""


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [turn for dialogue in made_up_dialogues(50) for turn in dialogue.turns]
    train_sentencepiece(texts, folder, vocab_size=310)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return load_tokenizer(str(tokenizer_folder))


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extracted")
    write_dialogues(
        folder,
        {
            split: [made_up_dialogues(30 + 7 * part, seed=part) for part in range(num_parts)]
            for split, num_parts in MANY.items()
        },
    )
    return folder


def config(dialogues: Path, tokenizer: Path, output: Path, **changes: int) -> ShardsConfig:
    settings = {"chunk_dialogues": 16, "num_workers": 1, **changes}
    return ShardsConfig(
        dialogues=str(dialogues), tokenizer=str(tokenizer), output=str(output), **settings
    )


def read_back(folder: Path) -> Iterator[EncodedDialogue]:
    manifest = read_manifest(folder)
    verify_checksums(folder, manifest)
    for info in manifest.shards:
        reader = ShardReader(folder, info, vocab_size=manifest.vocab_size)
        for number in range(info.num_chunks):
            yield from reader.read_chunk(number).dialogues()
        reader.close()


def as_lists(dialogue: EncodedDialogue) -> list[object]:
    values = (getattr(dialogue, name) for name in EncodedDialogue.__slots__)
    return [
        [piece.tolist() for piece in value]
        if isinstance(value, tuple)
        else value.tolist()
        if isinstance(value, np.ndarray)
        else value
        for value in values
    ]


def manifests(output: Path) -> Mapping[str, object]:
    return {split: json.loads((output / split / "manifest.json").read_text()) for split in SPLITS}


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(parts=st.lists(st.lists(dialogue_strategy(), max_size=5), min_size=1, max_size=3))
def test_what_is_read_back_is_what_went_in(tmp_path_factory, tokenizer_folder, tokenizer, parts):
    folder = tmp_path_factory.mktemp("property")
    write_dialogues(folder / "extracted", {"train": parts})
    shards = config(folder / "extracted", tokenizer_folder, folder / "shards", chunk_dialogues=2)
    write_shards(shards)
    found = [as_lists(dialogue) for dialogue in read_back(folder / "shards" / "train")]
    expected = [as_lists(d) for part in parts for d in encode_dialogues(part, tokenizer)]
    assert found == expected
    assert not list(read_back(folder / "shards" / "valid"))
    assert all(tokenizer.eos_id not in ids for turns, *_ in found for ids in turns)


def test_processes_write_the_same_bytes_as_one(extracted, tokenizer_folder, tmp_path):
    write_shards(config(extracted, tokenizer_folder, tmp_path / "one"))
    write_shards(config(extracted, tokenizer_folder, tmp_path / "two", num_workers=2))
    assert manifests(tmp_path / "one") == manifests(tmp_path / "two")


def test_the_table_counts_what_the_shards_hold(extracted, tokenizer_folder, tmp_path, capsys):
    output = tmp_path / "shards"
    words = ["--dialogues", extracted, "--tokenizer", tokenizer_folder, "--output", output]
    main([*map(str, words), "--num_workers", "1"])
    dialogues = list(read_back(output / "train"))
    num_tokens = sum(len(ids) for dialogue in dialogues for ids in dialogue.turns)
    num_words = sum(int(dialogue.num_words.sum()) for dialogue in dialogues)
    num_bytes = sum(path.stat().st_size for path in (output / "train").glob("*.lmdb"))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("train"))
    assert row.replace(",", "").split() == [
        "train",
        str(len(dialogues)),
        str(sum(len(dialogue.turns) for dialogue in dialogues)),
        str(num_tokens),
        str(num_bytes),
        f"{num_tokens / num_words:.3f}",
    ]


def test_the_tokenizer_is_saved_beside_the_shards(extracted, tokenizer_folder, tokenizer, tmp_path):
    write_shards(config(extracted, tokenizer_folder, tmp_path))
    saved = load_tokenizer(str(tmp_path / "tokenizer"))
    assert saved.fingerprint == tokenizer.fingerprint
    assert read_manifest(tmp_path / "train", tokenizer=saved).split == "train"


def test_a_finished_run_does_nothing(extracted, tokenizer_folder, tmp_path):
    write_shards(config(extracted, tokenizer_folder, tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write_shards(config(extracted, tokenizer_folder, tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_shards_of_an_older_format_are_written_anew(extracted, tokenizer_folder, tmp_path):
    made, output = config(extracted, tokenizer_folder, tmp_path), tmp_path
    write_shards(made)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    origin = json.loads((output / ORIGIN_FILE).read_text())
    for split in SPLITS:  # as version 1 left them
        manifest = read_manifest(output / split)
        save_manifest(output / split, replace(manifest, format_version=1))
        for number, shard in enumerate(manifest.shards):
            sizes = output / split / f"{shard.name}.sizes.npy"
            np.save(sizes, np.load(sizes)[:, :2])
            marker = output / MARKERS_FOLDER / split / f"{shard.name}.json"
            part = part_files(extracted, split)[number]
            note = json.loads(marker.read_text())
            assert note["key"] == shard_key(origin, file_sha256(part))
            marker.write_text(json.dumps({**note, "key": key_of(origin, file_sha256(part))}))
    write_shards(made)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_after_a_kill_the_same_command_gives_the_same_result(tokenizer_folder, tmp_path):
    parts = [made_up_dialogues(3000, seed=part) for part in range(8)]
    write_dialogues(tmp_path / "extracted", {"train": parts, "valid": [parts[0][:9]]})
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    options = {
        "--dialogues": tmp_path / "extracted",
        "--tokenizer": tokenizer_folder,
        "--output": killed,
        "--chunk_dialogues": 16,
        "--num_workers": 2,
    }
    words = [str(word) for option in options.items() for word in option]
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep", "shards", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    while not list(killed.glob("markers/train/shard-*.json")):
        assert process.poll() is None, "the command ended before a shard was whole"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # comes back when the workers, who share stderr, are gone as well
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "train" / "manifest.json").exists()
    done = [path.stem for path in killed.glob("markers/train/*.json")]
    kept = {path: path.stat().st_mtime_ns for n in done for path in killed.glob(f"train/{n}.*")}

    again = config(tmp_path / "extracted", tokenizer_folder, killed, num_workers=2)
    write_shards(again)
    write_shards(config(tmp_path / "extracted", tokenizer_folder, whole))
    assert manifests(killed) == manifests(whole)
    for split in SPLITS:
        verify_checksums(killed / split, read_manifest(killed / split))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not list(killed.rglob("*.unfinished"))


def test_another_tokenizer_is_refused_with_both_fingerprints(
    extracted, tokenizer_folder, tokenizer, tmp_path
):
    output = tmp_path / "shards"
    write_shards(config(extracted, tokenizer_folder, output))
    gpt2 = load_tokenizer("gpt2")
    with pytest.raises(UserError, match=f"{tokenizer.fingerprint}.*{gpt2.fingerprint}"):
        write_shards(config(extracted, Path("gpt2"), output))


def test_other_dialogues_cost_the_shards_of_the_parts_that_changed(tokenizer_folder, tmp_path):
    parts = [made_up_dialogues(30, seed=part) for part in range(4)]
    dialogues, output = tmp_path / "extracted", tmp_path / "shards"
    write_dialogues(dialogues, {"train": parts})
    write_shards(config(dialogues, tokenizer_folder, output))
    before = {path: path.stat().st_mtime_ns for path in output.glob("*/shard-*.lmdb")}
    for changed in ([parts[0], parts[3], parts[2]], [*parts[:3], parts[3][:7], parts[1]]):
        shutil.rmtree(dialogues)
        write_dialogues(dialogues, {"train": changed})
        write_shards(config(dialogues, tokenizer_folder, output))
        write_shards(config(dialogues, tokenizer_folder, tmp_path / f"fresh{len(changed)}"))
        assert manifests(output) == manifests(tmp_path / f"fresh{len(changed)}")
        for split in SPLITS:
            verify_checksums(output / split, read_manifest(output / split))
        assert len(list((output / "train").glob("*.lmdb"))) == len(changed)
    first = output / "train" / "shard-00000.lmdb"
    assert first.stat().st_mtime_ns == before[first]


def test_a_split_that_is_being_rewritten_has_no_manifest(tokenizer_folder, tmp_path, monkeypatch):
    dialogues, output = tmp_path / "extracted", tmp_path / "shards"
    write_dialogues(dialogues, {"train": [made_up_dialogues(30)], "valid": [made_up_dialogues(5)]})
    write_shards(config(dialogues, tokenizer_folder, output))
    shutil.rmtree(dialogues)
    write_dialogues(dialogues, {"train": [made_up_dialogues(31)], "valid": [made_up_dialogues(5)]})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("data_prep.write_shards.read_part", fail)
    with pytest.raises(UserError, match="disk full"):
        write_shards(config(dialogues, tokenizer_folder, output))
    assert not (output / "train" / "manifest.json").exists()
    assert (output / "valid" / "manifest.json").exists()


def test_missing_or_incomplete_dialogues_say_to_run_extract(tokenizer_folder, tmp_path, capsys):
    (tmp_path / "incomplete" / "dialogues" / "train").mkdir(parents=True)
    words = ["--tokenizer", str(tokenizer_folder), "--output", str(tmp_path / "shards")]
    for name in ("absent", "incomplete"):
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--dialogues", str(tmp_path / name)])
        assert stopped.value.code == 1
        assert "data_prep extract" in capsys.readouterr().err
        assert not (tmp_path / "shards").exists()


def test_a_damaged_part_is_named(tokenizer_folder, tmp_path):
    write_dialogues(tmp_path / "extracted", {"train": [made_up_dialogues(9)]})
    part = tmp_path / "extracted" / "dialogues" / "train" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"part-00000\.parquet: not a whole Parquet file"):
        write_shards(config(tmp_path / "extracted", tokenizer_folder, tmp_path / "shards"))


def test_a_folder_of_somebody_else_is_left_alone(extracted, tokenizer_folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="other files"):
        write_shards(config(extracted, tokenizer_folder, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UserError, match="found a file"):
        write_shards(config(extracted, tokenizer_folder, tmp_path / "thesis.txt"))


def test_a_kill_before_the_first_note_has_its_name_leaves_a_folder_to_go_on_with(
    extracted, tokenizer_folder, tmp_path
):
    (tmp_path / "made_from.json.unfinished").write_text('{"dial')
    write_shards(config(extracted, tokenizer_folder, tmp_path))
    assert not list(tmp_path.rglob("*.unfinished"))
