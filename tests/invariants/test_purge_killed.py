"""A purge that is killed at any step leaves nothing half, and the same command finishes it."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_kills import run_until_killed
from support_purge import (
    config_of,
    make_folder,
    make_shards,
    make_tokenizer,
    run,
    tree,
    words_of,
)

from data_prep.purging.command import purge
from dialogpt.command_line import UserError
from dialogpt.data.manifest import read_manifest, verify_checksums
from dialogpt.records import SPLITS


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


@pytest.fixture(scope="module")
def purged(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files after a purge that nothing stopped."""
    folder = tmp_path_factory.mktemp("purged") / "made"
    shutil.copytree(made, folder)
    assert run(words_of(folder)) == 0
    return tree(folder)


class DiskStops(BaseException):
    """From here on nothing is changed on the disk, as after a kill."""


def stop_disk_after(number: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Let so many changes of names happen and then no more; the list tells which."""
    done: list[str] = []

    def limited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if len(done) == number:
                raise DiskStops(name)
            done.append(f"{name} {arguments[0]}")
            return function(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink", "rmdir"):
        patch.setattr(os, name, limited(name, getattr(os, name)))
    return done


def killed_after(number: int, folder: Path) -> tuple[bool, list[str]]:
    """Whether the purge was stopped after so many changes, and which those were."""
    with pytest.MonkeyPatch.context() as patch:
        done = stop_disk_after(number, patch)
        try:
            purge(config_of(folder))
        except DiskStops:
            return True, done
        return False, done


def check_that_nobody_reads_half(folder: Path, old: dict[str, str], new: dict[str, str]) -> None:
    """Whatever has a manifest is what the manifest says; every file is an old or a new one."""
    for split in SPLITS:
        if (folder / "shards" / split / "manifest.json").is_file():
            verify_checksums(folder / "shards" / split, read_manifest(folder / "shards" / split))
            names = [name for name in old if name.startswith(f"shards/{split}/")]
            now = tree(folder)
            assert {name: now.get(name) for name in names} in (
                {name: old[name] for name in names},
                {name: new[name] for name in names},
            )
        else:
            with pytest.raises(UserError, match="expected the manifest"):
                read_manifest(folder / "shards" / split)
    now = tree(folder)
    for name, digest in now.items():
        if name.endswith(".parquet") and name.startswith("extracted/dialogues"):
            assert digest in (old[name], new[name])
    work = {name for name in old if Path(name).parts[:2] == ("extracted", "work")}
    assert work & now.keys() in (work, set())


def nothing(folder: Path, tokenizer: Path) -> None:
    pass


@pytest.mark.parametrize("in_between", [nothing, make_shards], ids=["at once", "after shards"])
def test_killed_after_any_change_and_started_again_is_as_never_killed(
    in_between: Callable[[Path, Path], None],
    made: Path,
    purged: dict[str, str],
    tokenizer: Path,
    tmp_path: Path,
) -> None:
    old = tree(made)
    was_killed, number, states = True, 0, set()
    while was_killed:
        folder = tmp_path / "made"
        shutil.copytree(made, folder)
        was_killed, done = killed_after(number, folder)
        states.update(split for split in SPLITS if not manifest_of(folder, split).is_file())
        check_that_nobody_reads_half(folder, old, purged)
        if was_killed:
            in_between(folder, tokenizer)
            check_that_nobody_reads_half(folder, old, purged)
            purge(config_of(folder))
            # Where `shards` has encoded the old dialogues, it finds the new ones another time.
            in_between(folder, tokenizer)
        assert tree(folder) == purged, f"after {done}"
        shutil.rmtree(folder)
        number += 1
    assert number > 40
    assert states == {"train", "valid"}  # those that are refused in between


def manifest_of(folder: Path, split: str) -> Path:
    return folder / "shards" / split / "manifest.json"


def test_two_commands_killed_in_one_place_leave_no_manifest_that_says_what_is_not_there(
    folder: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(folder)
    number = 0
    while True:  # stop when a shard is in its place and the rest is not
        copied = folder.with_name("copy")
        shutil.copytree(folder, copied)
        _, done = killed_after(number, copied)
        if any(line.endswith("purged/train/shard-00000.lmdb") for line in done):
            break
        shutil.rmtree(copied)
        number += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data_prep.write_shards.write_manifest", stopped)
        with pytest.raises(DiskStops):
            make_shards(copied, tokenizer)
    words = words_of(copied)
    code = run(words)
    for split in SPLITS:
        if manifest_of(copied, split).is_file():
            verify_checksums(copied / "shards" / split, read_manifest(copied / "shards" / split))
    if code:
        assert "python -m data_prep shards" in capsys.readouterr().err
        make_shards(copied, tokenizer)
        assert run(words) == 0
    assert run(words_of(folder)) == 0
    assert tree(copied) == tree(folder)


def stopped(*arguments: Any, **options: Any) -> None:
    raise DiskStops


CALLS = [
    ("data_prep.purging.files pq.ParquetWriter.write_table 2", "in the middle of a part"),
    ("data_prep.purging.shards ShardWriter.add 3", "in the middle of a shard"),
    ("data_prep.purging.shards ShardWriter.close 2", "with one shard written"),
    (
        "data_prep.purging.command purge_dialogues.save_ids 1",
        "when all is written and nothing in place",
    ),
    ("data_prep.purging.command purge_places.put_in_place 1", "when the ids are noted"),
    ("data_prep.purging.command purge_places.put_in_place 2", "when the shards are in place"),
    ("data_prep.purging.places file_sha256 4", "while the manifests are noted"),
    ("data_prep.purging.command purge_dialogues.delete_work 1", "before the work files go"),
    ("data_prep.purging.dialogues shutil.rmtree 2", "while the work files go"),
]


@pytest.mark.parametrize("call", [call for call, _ in CALLS], ids=[when for _, when in CALLS])
def test_killed_by_the_system_at_a_call_and_started_again_is_as_never_killed(
    call: str, folder: Path, made: Path, purged: dict[str, str]
) -> None:
    words = words_of(folder)
    killed = run_until_killed("data_prep.purging.command", call, words)
    _, errors = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, errors
    check_that_nobody_reads_half(folder, tree(made), purged)
    assert run(words) == 0
    assert tree(folder) == purged


def test_a_dry_run_does_not_look_at_a_purge_that_was_killed_in_between(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(folder)
    (folder / "shards" / "purged").mkdir()
    before = tree(folder)
    assert run([*words, "--dry_run"]) == 1
    assert "a purge was interrupted here" in capsys.readouterr().err
    assert tree(folder) == before
