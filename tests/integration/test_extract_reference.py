"""Preset "reference" through the whole command: the release's bytes, resumed, purged, refused."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support_dumps import (
    REAL_DUMPS,
    all_dialogues,
    counts_of,
    needs_real_dumps,
    results_of,
    run_extract,
)

from data_prep import extract_run, workforce
from data_prep.reference.build import build_instances
from dialogpt.records import SPLITS

TESTS = Path(__file__).parent.parent
FIXTURES = TESTS / "fixtures" / "reference"
GOLDEN = TESTS / "golden" / "reference"
KEYS = str(FIXTURES / "keys.tsv")
# Run of golden/reference_cases.py -> the options that do the same.
OPTIONS: dict[str, tuple[str, ...]] = {
    "train": (),
    "test": ("--reference.leaves_only", "false", "--reference.keys", KEYS),
    "title": ("--reference.use_title", "true"),
    "limits": (
        *("--reference.min_score", "0", "--reference.min_depth", "3"),
        *("--reference.max_depth", "4", "--reference.max_words", "8"),
    ),
}


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """Two months that are the same, but for their names."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    for kind in ("RC", "RS"):
        for month in ("2018-01", "2018-02"):
            shutil.copy(FIXTURES / f"{kind}_2018-01.jsonl", folder / f"{kind}_{month}.jsonl")
    return folder


def reference(dumps: Path, output: Path, *options: str) -> int:
    return run_extract(dumps, output, "--preset", "reference", *options)


def without_ids(lines: bytes) -> bytes:
    """What the release's Makefile keeps for train.tsv."""
    return b"".join(line.split(b"\t", 1)[1] + b"\n" for line in lines.splitlines())


@pytest.mark.parametrize("run", OPTIONS)
@pytest.mark.parametrize("num_partitions", ["1", "5"])
def test_the_command_writes_the_bytes_of_the_release(
    run: str, num_partitions: str, dumps: Path, tmp_path: Path
) -> None:
    expected = (GOLDEN / f"{run}.tsv").read_bytes()
    options = (*OPTIONS[run], "--num_partitions", num_partitions)
    assert reference(dumps, tmp_path / "ids", *options, "--reference.tsv_ids", "true") == 0
    assert reference(dumps, tmp_path / "out", *options) == 0
    for month in ("2018-01", "2018-02"):
        with_ids = (tmp_path / "ids" / "reference" / f"{month}.tsv").read_bytes()
        assert with_ids == expected
        lines = (tmp_path / "out" / "reference" / f"{month}.tsv").read_bytes()
        assert lines == without_ids(expected)


def line_of(turns: Sequence[str]) -> str:
    """The line that the release makes of these turns."""
    *context, response = (f"1.0 {turn}" for turn in turns)
    return f"{' EOS '.join(context)}\t{response}"


def test_dialogues_are_the_turns_of_the_lines(dumps: Path, tmp_path: Path) -> None:
    assert reference(dumps, tmp_path / "out") == 0
    lines = (tmp_path / "out" / "reference" / "2018-01.tsv").read_text().splitlines()
    found = [line_of(dialogue.turns) for dialogue in all_dialogues(tmp_path / "out")]
    assert sorted(found) == sorted([*lines, *lines])
    total = counts_of(tmp_path / "out")["total"]
    assert sum(total.get(f"dialogues.{split}", 0) for split in SPLITS) == 2 * len(lines)
    assert not (tmp_path / "out" / "testset").exists()


def test_a_new_month_leaves_the_others_as_they_are(
    dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    assert reference(dumps, output) == 0
    for kind in ("RC", "RS"):
        shutil.copy(FIXTURES / f"{kind}_2018-01.jsonl", dumps / f"{kind}_2018-03.jsonl")
    built = []

    def counted(task: Any, report: Any) -> Any:
        built.append(task.spills[0].dump.month)
        return build_instances(task, report)

    preset = extract_run.PRESETS["reference"]
    monkeypatch.setitem(extract_run.PRESETS, "reference", type(preset)(counted, preset.count_names))
    assert reference(dumps, output) == 0
    assert {*built} == {"2018-03"}
    monkeypatch.undo()
    assert reference(dumps, tmp_path / "fresh") == 0
    assert results_of(output) == results_of(tmp_path / "fresh")


def test_purged_comments_leave_the_lines(dumps: Path, tmp_path: Path) -> None:
    options = ("--reference.tsv_ids", "true", "--num_partitions", "2")
    assert reference(dumps, tmp_path / "out", *options) == 0
    path = tmp_path / "out" / "reference" / "2018-02.tsv"
    before = path.read_text().splitlines()
    purged = before[3].split("\t")[0].split(",")[2]
    (tmp_path / "out" / "purged_ids.txt").write_text(f"{purged}\n")
    assert reference(dumps, tmp_path / "out", *options) == 0
    gone = [line for line in before if line not in path.read_text().splitlines()]
    assert gone == [line for line in before if f",{purged}\t" in line]
    assert counts_of(tmp_path / "out")["2018-02"]["paths_dropped.purged"] == len(gone) > 0


@pytest.mark.parametrize("small_dumps", [0, workforce.SMALL_DUMPS])
def test_processes_and_threads_do_what_one_does(
    small_dumps: int, dumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workforce, "SMALL_DUMPS", small_dumps)
    options = ("--num_partitions", "3")
    assert reference(dumps, tmp_path / "two", *options, "--num_workers", "2") == 0
    assert reference(dumps, tmp_path / "one", *options) == 0
    assert results_of(tmp_path / "two") == results_of(tmp_path / "one")


@pytest.mark.parametrize(
    "options",
    [
        ("--filters.urls", "false"),
        ("--text.quotes", "drop"),
        ("--min_turns", "3"),
        ("--duplicates.drop", "near"),
        ("--keep-rejects",),
    ],
)
def test_options_of_the_other_preset_are_refused(
    options: tuple[str, ...], dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reference(dumps, tmp_path / "out", *options) == 2
    name = options[0].removeprefix("--").split(".")[0].replace("-", "_")
    assert f"{name} would have no effect" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_its_options_are_refused_without_it(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_extract(dumps, tmp_path / "out", "--reference.min_score", "5") == 2
    assert "under reference.* have no effect with preset 'paper'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_other_preset_in_the_same_folder_begins_anew(dumps: Path, tmp_path: Path) -> None:
    assert run_extract(dumps, tmp_path / "out") == 0
    assert reference(dumps, tmp_path / "out") == 0
    assert reference(dumps, tmp_path / "fresh") == 0
    assert results_of(tmp_path / "out") == results_of(tmp_path / "fresh")
    assert run_extract(dumps, tmp_path / "out") == 0
    assert run_extract(dumps, tmp_path / "paper") == 0
    assert results_of(tmp_path / "out") == results_of(tmp_path / "paper")


def test_test_months_are_the_test_split(dumps: Path, tmp_path: Path) -> None:
    assert reference(dumps, tmp_path / "out", "--split.test_months", "2018-02") == 0
    counts = counts_of(tmp_path / "out")
    assert {name for name in counts["2018-02"] if name.startswith("dialogues.")} == {
        "dialogues.test"
    }
    assert "dialogues.test" not in counts["2018-01"]


@needs_real_dumps
@pytest.mark.real_data
def test_a_real_month_has_the_instances_that_the_release_finds(tmp_path: Path) -> None:
    """Section 4 of the notes on extraction: 8 instances of February 2006 with its RS file."""
    (tmp_path / "dumps").mkdir()
    for name in ("RC_2006-02.bz2", "RS_2006-02.bz2", "RC_2005-12.zst"):
        (tmp_path / "dumps" / name).symlink_to(REAL_DUMPS / name)
    assert reference(tmp_path / "dumps", tmp_path / "out") == 0
    months = tmp_path / "out" / "reference"
    assert len((months / "2006-02.tsv").read_bytes().splitlines()) == 8
    assert (months / "2005-12.tsv").read_bytes() == b""
