"""Purging as its user meets it: what is gone, what stays, what is told and refused."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support_purge import (
    NOT_THERE,
    PURGED,
    ROOT,
    everything_in,
    in_parquet,
    in_shards,
    is_concerned,
    make_folder,
    make_shards,
    make_tokenizer,
    run,
    texts_of,
    times,
    tree,
    words_of,
)

from dialogpt.folders import sole_use
from dialogpt.records import SPLITS
from dialogpt.text import record_key
from dialogpt.tokenization import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tokenizer: Path) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_folder(folder, tokenizer)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


# What is gone and what stays.


def test_what_is_left_is_what_a_plain_loop_leaves(
    folder: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = in_parquet(folder)
    assert run(words_of(folder)) == 0
    expected = {split: [d for d in before[split] if not is_concerned(d)] for split in SPLITS}
    assert in_parquet(folder) == expected
    shards = in_shards(folder)
    for split in SPLITS:
        assert texts_of(shards[split], tokenizer) == [d.turns for d in expected[split]]
        assert [d.thread_key for d in shards[split]] == [
            record_key(d.thread_id) for d in expected[split]
        ]
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    for split in SPLITS:
        counts = [len(before[split]), len(before[split]) - len(expected[split])]
        counts.append(len(expected[split]))
        assert [f"dialogues/{split}", *map(str, counts)] in rows
        assert [split, *map(str, counts)] in rows
    assert 0 < len(expected["train"]) < len(before["train"])
    assert "ids: 5 given, 3 found, 2 not found anywhere: t1_zzzz, t3_zzzz" in output


def test_purged_shards_are_the_shards_of_purged_dialogues_byte_for_byte(
    folder: Path, tokenizer: Path, tmp_path: Path
) -> None:
    assert run(words_of(folder)) == 0
    shutil.copytree(folder / "extracted", tmp_path / "anew" / "extracted")
    make_shards(tmp_path / "anew", tokenizer)
    assert tree(folder / "shards") == tree(tmp_path / "anew" / "shards")


@pytest.mark.parametrize(
    "steps",
    [
        [("dialogues", "shards")],
        [("dialogues", "shards"), ("shards",)],
        [("shards",), ("dialogues", "shards")],
    ],
)
def test_shards_have_nothing_to_do_after_both_were_purged(
    steps: list[tuple[str, ...]], folder: Path, tokenizer: Path
) -> None:
    for of in steps:
        assert run(words_of(folder, of=of)) == 0
    before = times(folder / "shards")
    make_shards(folder, tokenizer)
    assert times(folder / "shards") == before


def test_shards_of_dialogues_that_were_purged_alone_are_written_anew_where_these_changed(
    folder: Path, tokenizer: Path, tmp_path: Path
) -> None:
    assert run(words_of(folder, of=["dialogues"])) == 0
    before = times(folder / "shards")
    make_shards(folder, tokenizer)
    changed = {path for path, time in times(folder / "shards").items() if before.get(path) != time}
    assert {path.name for path in changed if path.suffix == ".lmdb"} == {"shard-00000.lmdb"}
    shutil.copytree(folder / "extracted", tmp_path / "anew" / "extracted")
    make_shards(tmp_path / "anew", tokenizer)
    assert tree(folder / "shards") == tree(tmp_path / "anew" / "shards")


def test_shards_that_were_purged_alone_stay_purged(folder: Path, tokenizer: Path) -> None:
    assert run(words_of(folder, of=["shards"])) == 0
    before = tree(folder / "shards")
    make_shards(folder, tokenizer)
    assert tree(folder / "shards") == before


def test_nothing_of_what_was_purged_is_left_in_any_byte(folder: Path, tokenizer: Path) -> None:
    encode = load_tokenizer(str(tokenizer)).encode_batch
    before = [d for dialogues in in_parquet(folder).values() for d in dialogues]
    kept = {turn_id for d in before if not is_concerned(d) for turn_id in d.turn_ids}
    traces: list[bytes] = []
    for dialogue in filter(is_concerned, before):
        for text, turn_id in zip(dialogue.turns, dialogue.turn_ids, strict=True):
            if turn_id not in kept:
                traces.append(text.partition(" ")[2].encode())
                traces.append(record_key(turn_id).to_bytes(8, "little"))
                (ids,) = encode([text])
                traces.append(b"".join(number.to_bytes(2, "little") for number in ids))
    files = [*folder.rglob("*.parquet"), *folder.rglob("*.lmdb"), *folder.rglob("*.json")]

    def found() -> set[bytes]:
        content = b"\n".join(everything_in(path) for path in files)
        return {trace for trace in traces if trace in content}

    assert found() == set(traces)
    assert run(words_of(folder)) == 0
    assert found() == set()
    assert not (folder / "extracted" / "work").exists()
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {
        *(".parquet", ".lmdb", ".json", ".npy", ".txt"),
        *("", ".model"),  # locks, tokenizer
    }


def test_files_without_anything_to_purge_are_not_touched(folder: Path) -> None:
    before = times(folder)
    assert run(words_of(folder)) == 0
    changed = {path for path, time in times(folder).items() if before.get(path, time) != time}
    untouched = [path for path in before if "00001" in path.name or "test" in path.parts]
    assert len(untouched) > 10
    assert not changed & {*untouched}


def test_two_purges_are_as_one_of_all(folder: Path, made: Path, tmp_path: Path) -> None:
    assert run(words_of(folder)) == 0
    shutil.copytree(made, tmp_path / "twice")
    for ids in (PURGED[:1] + NOT_THERE, PURGED[1:]):
        words = words_of(tmp_path / "twice")
        (tmp_path / "twice" / "ids.txt").write_text("\n".join(ids))
        assert run(words) == 0
    assert tree(tmp_path / "twice") == tree(folder)


def test_what_was_purged_from_a_folder_is_noted_there_and_goes_from_others_with_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words_of(folder, of=["dialogues"])) == 0
    noted = (folder / "extracted" / "purged_ids.txt").read_text()
    assert noted == "".join(f"{name}\n" for name in sorted([*PURGED, *NOT_THERE]))
    words = words_of(folder)
    (folder / "ids.txt").write_text("t1_17\nt1_1a\n")
    capsys.readouterr()
    assert run(words) == 0
    output = capsys.readouterr().out
    assert "ids: 2 given, 2 found" in output
    noted = (folder / "extracted" / "purged_ids.txt").read_text()
    assert noted.split() == sorted([*PURGED, *NOT_THERE, "t1_17"])
    keys = {record_key(name) for name in PURGED}
    for dialogues in in_shards(folder).values():
        for dialogue in dialogues:
            assert not keys & {dialogue.thread_key, *dialogue.turn_keys.tolist()}


def test_a_folder_that_is_named_twice_is_purged_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extracted = folder / "extracted"
    words = words_of(folder, f"--dialogues={extracted / '..' / 'extracted'}")
    assert run(words) == 0
    assert capsys.readouterr().out.count("dialogues/train") == 1


# What is told, and what is refused.


def test_a_dry_run_says_the_same_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(folder)
    before = times(folder)
    assert run([*words, "--dry_run"]) == 0
    assert times(folder) == before
    dry, _, last = capsys.readouterr().out.strip().rpartition("\n")
    assert last == "this was a dry run: nothing was changed"
    assert run(words) == 0
    assert capsys.readouterr().out.strip() == dry


def test_nothing_found_is_said_and_is_no_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(folder)
    (folder / "ids.txt").write_text("# nobody\nt1_zzzz\n")
    shards = times(folder / "shards")
    assert run(words) == 0
    output = capsys.readouterr().out
    assert "ids: 1 given, 0 found, 1 not found anywhere: t1_zzzz" in output
    assert "nothing to remove" in output
    assert {
        path: time for path, time in times(folder / "shards").items() if path in shards
    } == shards
    assert run(words) == 0
    assert "1 of those not found were purged before" in capsys.readouterr().out


def test_no_ids_at_all_change_nothing(folder: Path) -> None:
    words = words_of(folder)
    (folder / "ids.txt").write_text("# nobody so far\n")
    before = tree(folder)
    assert run(words) == 0
    assert tree(folder) == before


def test_lines_without_ids_are_left_and_end_with_code_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = folder / "extracted" / "reference" / "2015-01.tsv"
    lines.parent.mkdir()
    lines.write_text("0.0 hi\t1.0 there\n")
    assert run(words_of(folder, "--dry_run")) == 0
    assert run(words_of(folder)) == 3
    message = capsys.readouterr().err
    assert "reference/2015-01.tsv: lines without ids" in message
    assert "extract" in message
    assert lines.read_text() == "0.0 hi\t1.0 there\n"
    # Nothing is found any more, but the lines are there until an extraction writes them anew.
    assert run(words_of(folder)) == 3


def test_a_work_folder_behind_a_link_is_refused_before_anything_changes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = folder / "extracted" / "work"
    work.rename(tmp_path / "elsewhere")
    work.symlink_to(tmp_path / "elsewhere")
    before = tree(folder)
    assert run(words_of(folder)) == 1
    assert f"{work}: expected a folder or file of this output, found a link" in (
        capsys.readouterr().err
    )
    assert tree(folder) == before


def test_files_that_purge_does_not_know_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "extracted" / "backup.jsonl").write_text("?")
    assert run(words_of(folder)) == 3
    assert "backup.jsonl: purge does not know" in capsys.readouterr().err


def test_the_work_folder_is_deleted_and_that_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words_of(folder)) == 0
    assert not (folder / "extracted" / "work").exists()
    assert "work holds all comments of the dumps, so it is deleted" in capsys.readouterr().err


def test_folders_that_are_named_alone_come_with_a_hint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words_of(folder, of=["dialogues"])) == 0
    assert "shards made from these dialogues are not purged" in capsys.readouterr().err
    assert run(words_of(folder, of=["shards"])) == 0
    assert "dialogues that these shards were made from are not purged" in capsys.readouterr().err


def damage_ids(folder: Path) -> str:
    (folder / "ids.txt").write_text("t1_2f\nnot an id\n")
    return r"ids\.txt:2: 'not an id'"


def damage_last_part(folder: Path) -> str:
    part = folder / "extracted" / "dialogues" / "valid" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    return r"valid/part-00000\.parquet: not a whole Parquet file"


def damage_last_shard(folder: Path) -> str:
    path = folder / "shards" / "valid" / "shard-00000.lmdb"
    content = bytearray(path.read_bytes())
    for frame in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), bytes(content)):
        content[frame.start() + 20] ^= 0xFF
    path.write_bytes(content)
    return r"shard-00000\.lmdb: chunk 0 is damaged"


def damage_pages(folder: Path) -> str:
    path = folder / "shards" / "valid" / "shard-00000.lmdb"
    path.write_bytes(bytes(path.stat().st_size))
    return r"shard-00000\.lmdb: damaged"


def leave_shards_unfinished(folder: Path) -> str:
    (folder / "shards" / "test" / "manifest.json").unlink()
    return r"test/manifest\.json: expected the manifest of finished shards"


def leave_extraction_in_between(folder: Path) -> str:
    (folder / "extracted" / "next").mkdir()
    return "an extraction was interrupted"


def take_dialogues_for_shards(folder: Path) -> str:
    shutil.rmtree(folder / "shards")
    (folder / "extracted" / "dialogues").replace(folder / "shards")
    (folder / "extracted" / "dialogues").mkdir()
    return r"train/manifest\.json"


def take_somebody_elses_folder(folder: Path) -> str:
    shutil.rmtree(folder / "extracted")
    (folder / "extracted" / "work").mkdir(parents=True)
    (folder / "extracted" / "work" / "thesis.txt").write_text("mine")
    return "expected the output folder of `python -m data_prep extract`"


def take_no_folder(folder: Path) -> str:
    shutil.rmtree(folder / "shards")
    return "shards: expected a folder of shards, found nothing"


@pytest.mark.parametrize(
    "prepare",
    [
        *(damage_ids, damage_last_part, damage_last_shard, damage_pages),
        *(leave_shards_unfinished, leave_extraction_in_between),
        *(take_dialogues_for_shards, take_somebody_elses_folder, take_no_folder),
    ],
)
@pytest.mark.parametrize("options", [(), ("--dry_run",)])
def test_what_is_not_as_it_should_be_is_named_and_nothing_is_changed(
    prepare: Callable[[Path], str],
    options: tuple[str, ...],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = words_of(folder, *options)
    message = prepare(folder)
    before = tree(folder)
    assert run(words) == 1
    assert re.search(message, capsys.readouterr().err)
    assert tree(folder) == before


def test_a_folder_that_another_run_works_in_is_left_alone(folder: Path) -> None:
    program = "import sys; from data_prep.purging.command import main; main(sys.argv[1:])"
    argv = [sys.executable, "-c", program, *words_of(folder)]
    for name in ("extracted", "shards"):
        with sole_use(folder / name):
            before = tree(folder)
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 1
            assert f"{name}: another run is at work in this folder" in done.stderr
            assert tree(folder) == before
