"""Another config or other dumps in the same folder: the result of a new folder, for less work."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support_dumps import (
    NO_FILTERS,
    as_lines,
    comment,
    results_of,
    run_extract,
    turn_ids_of,
    write_dump,
)

from data_prep import blocklists, extract_run, trigram_stages
from data_prep.extract_run import ExtractRun
from data_prep.presets import PRESETS

MONTHS = ("2014-11", "2014-12", "2015-01")
OPTIONS = (*NO_FILTERS, "--num_partitions", "3")
STAGES: dict[str, ModuleType] = {
    "read_dump": extract_run,
    "merge_bucket": trigram_stages,
    "finish_partition": extract_run,
}
"""What stages do -> the module that they take it from."""


def month_of(number: int) -> list[dict[str, Any]]:
    """Threads that go on from month to month, and some of the month's own."""
    records = []
    for thread in range(6):
        for row in range(number * 10, number * 10 + 10):
            parent = f"t1_x{thread}z{row - 1 - row % 3}" if row else f"t3_t{thread}"
            body = f"I say number {row} of {thread} to you"
            name = f"x{thread}z{row}"
            records.append(comment(name, parent, link_id=f"t3_t{thread}", body=body))
    return records


@pytest.fixture
def extracted(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of dumps and of what was extracted from them."""
    for number, month in enumerate(MONTHS):
        write_dump(tmp_path / "dumps", month_of(number), f"RC_{month}")
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *OPTIONS) == 0
    return tmp_path / "dumps", tmp_path / "out"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the stages that do a unit, one a unit."""
    stages: list[str] = []

    def counted(label: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            stages.append(label)
            return work(*arguments)

        return called

    for name, owner in STAGES.items():
        work = getattr(owner, name)
        monkeypatch.setattr(owner, name, counted(name.split("_")[0], work))
    paper = PRESETS["paper"]
    monkeypatch.setitem(PRESETS, "paper", replace(paper, build=counted("build", paper.build)))
    return stages


def fresh(dumps: Path, folder: Path, *options: str) -> dict[str, str]:
    assert run_extract(dumps, folder, *options) == 0
    return results_of(folder)


def same_but_for_times(results: dict[str, str], others: dict[str, str]) -> bool:
    """The manifest holds the times at which dumps were changed."""
    return {**results, "manifest.json": ""} == {**others, "manifest.json": ""}


EVERY_PARTITION = {"build": 3, "merge": 3, "finish": 3}
CHANGES: dict[str, tuple[tuple[str, ...], dict[str, int], str]] = {
    "a filter": (("--filters.max_words", "20"), EVERY_PARTITION, "filters.max_words was 200"),
    "turn limits": (("--min_turns", "3"), EVERY_PARTITION, "min_turns was 2, is 3"),
    "splits": (("--split.valid_fraction", "0.5"), EVERY_PARTITION, "split.valid_fraction"),
    "a list": (("--filters.offensive_phrases", "LIST"), EVERY_PARTITION, "offensive_phrases"),
    "when a trigram is frequent": (
        ("--filters.bland_count", "2"), {"merge": 3, "finish": 3}, "bland_count was 1000, is 2",
    ),
    "how many make a response bland": (
        ("--filters.bland_share", "0.5"), {"finish": 3}, "bland_share was 0.9, is 0.5",
    ),
    "whether responses can be bland": (
        ("--filters.bland_share", "0"), {"build": 3, "finish": 3}, "bland_share was 0.9, is 0.0",
    ),
    "partitions": (
        ("--num_partitions", "2"),
        {"read": 3, "build": 2, "merge": 2, "finish": 2}, "num_partitions was 3, is 2",
    ),
    "rejects": (
        ("--keep_rejects",),
        {"read": 3, **EVERY_PARTITION}, "keep_rejects was False, is True",
    ),
    "processes": (("--num_workers", "1"), {}, "nothing to do"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_another_config_redoes_what_depends_on_it(
    change: str,
    extracted: tuple[Path, Path],
    done: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumps, output = extracted
    (tmp_path / "phrases.txt").write_text("number 7\n")
    options, redone, message = CHANGES[change]
    options = tuple(str(tmp_path / "phrases.txt") if o == "LIST" else o for o in options)
    assert run_extract(dumps, output, *OPTIONS, *options) == 0
    assert {stage: done.count(stage) for stage in set(done)} == redone
    assert message in capsys.readouterr().err
    assert results_of(output) == fresh(dumps, tmp_path / "fresh", *OPTIONS, *options)
    done.clear()
    assert run_extract(dumps, output, *OPTIONS, *options) == 0
    assert done == []


def test_a_new_month_is_read_and_the_others_are_not(
    extracted: tuple[Path, Path],
    done: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumps, output = extracted
    odd = [{"id": "no link"}, *month_of(3)]
    write_dump(dumps, odd, "RC_2015-02")
    assert run_extract(dumps, output, *OPTIONS) == 0
    assert done.count("read") == 1
    assert done.count("build") == 3
    assert "RC_2015-02 has come" in capsys.readouterr().err
    assert results_of(output) == fresh(dumps, tmp_path / "fresh", *OPTIONS)
    (dumps / "RC_2015-02").unlink()
    done.clear()
    assert run_extract(dumps, output, *OPTIONS) == 0
    assert done.count("read") == 0
    assert "RC_2015-02 has gone" in capsys.readouterr().err
    assert results_of(output) == fresh(dumps, tmp_path / "again", *OPTIONS)


def test_a_touched_dump_is_the_same_and_a_changed_one_is_not(
    extracted: tuple[Path, Path],
    done: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumps, output = extracted
    before = results_of(output)
    os.utime(dumps / "RC_2014-12", (1, 1))
    assert run_extract(dumps, output, *OPTIONS) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert results_of(output) == before
    # Another filter, so that the stages are asked: the touched dump is not read again.
    assert run_extract(dumps, output, *OPTIONS, "--min_turns", "3") == 0
    assert done.count("read") == 0
    done.clear()
    records = month_of(1)
    records[3]["body"] = "I say number 99 of 9 to you"
    dump = dumps / "RC_2014-12"
    size = dump.stat().st_size
    dump.write_bytes(as_lines(records).ljust(size))
    assert run_extract(dumps, output, *OPTIONS) == 0
    assert "RC_2014-12 has changed" in capsys.readouterr().err
    assert done.count("read") == 1
    assert same_but_for_times(results_of(output), fresh(dumps, tmp_path / "fresh", *OPTIONS))


def test_a_list_of_another_content_is_another_list(
    extracted: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dumps, output = extracted
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("some phrase\n")
    options = (*OPTIONS, "--filters.offensive_phrases", str(phrases))
    assert run_extract(dumps, output, *options) == 0
    phrases.write_text("number 7\n")
    assert run_extract(dumps, output, *options) == 0
    assert "filters.offensive_phrases was" in capsys.readouterr().err
    assert results_of(output) == fresh(dumps, tmp_path / "fresh", *options)


def test_a_shipped_list_of_another_version_is_another_list(
    extracted: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumps, output = extracted
    options = (*OPTIONS, "--filters.offensive_phrases", "default")
    assert run_extract(dumps, output, *options) == 0
    lists = tmp_path / "lists"
    shutil.copytree(blocklists.packaged_list(""), lists)
    (lists / "offensive_phrases.txt").write_text("number 7\n")
    monkeypatch.setattr(blocklists, "_LISTS", lists)
    assert run_extract(dumps, output, *options) == 0
    assert "shipped_lists.offensive_phrases was" in capsys.readouterr().err
    assert results_of(output) == fresh(dumps, tmp_path / "fresh", *options)


def test_a_rule_on_bland_responses_that_comes_and_goes_counts_what_is_there(
    extracted: tuple[Path, Path], tmp_path: Path
) -> None:
    dumps, output = extracted
    count, other = ("--filters.bland_count", "2"), ("--filters.max_words", "30")
    off = ("--filters.bland_share", "0")
    for number, options in enumerate([off, count, (*other, *off), (*other, *count)]):
        assert run_extract(dumps, output, *OPTIONS, *options) == 0
        expected = fresh(dumps, tmp_path / f"fresh-{number}", *OPTIONS, *options)
        assert results_of(output) == expected


def test_a_dump_that_changes_while_it_is_worked_on_is_read_again(
    extracted: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumps, _ = extracted
    whole = (dumps / "RC_2014-12").read_bytes()
    (dumps / "RC_2014-12").write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\n"))

    real_finish = ExtractRun._finish

    def finish(*arguments: Any) -> Any:
        (dumps / "RC_2014-12").write_bytes(whole)
        return real_finish(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ExtractRun, "_finish", finish)
        assert run_extract(dumps, tmp_path / "late", *OPTIONS) == 0
    assert run_extract(dumps, tmp_path / "late", *OPTIONS) == 0
    assert "RC_2014-12 has changed" in capsys.readouterr().err
    assert results_of(tmp_path / "late") == fresh(dumps, tmp_path / "fresh", *OPTIONS)


def test_results_that_somebody_deleted_are_made_again(
    extracted: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dumps, output = extracted
    before = results_of(output)
    shutil.rmtree(output / "dialogues")
    (output / "counts.tsv").unlink()
    assert run_extract(dumps, output, *OPTIONS) == 0
    assert "counts.tsv has gone" in capsys.readouterr().err
    assert results_of(output) == before


@pytest.mark.parametrize("name", ["work", "dialogues"])
def test_a_link_in_the_output_is_refused_and_nothing_is_touched(
    name: str,
    extracted: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dumps, output = extracted
    (output / name).rename(tmp_path / "elsewhere")
    (output / name).symlink_to(tmp_path / "elsewhere")
    before = results_of(output)
    assert run_extract(dumps, output, *OPTIONS, "--min_turns", "3") == 1
    assert f"{output / name}: expected a folder or file of this output" in capsys.readouterr().err
    assert results_of(output) == before


def test_without_work_files_the_same_comes_out_of_the_dumps(
    extracted: tuple[Path, Path], done: list[str], tmp_path: Path
) -> None:
    dumps, output = extracted
    assert run_extract(dumps, output, *OPTIONS, "--no_keep_work_files") == 0
    assert not (output / "work").exists()
    assert run_extract(dumps, output, *OPTIONS, "--min_turns", "3") == 0
    assert done.count("read") == 3
    assert results_of(output) == fresh(dumps, tmp_path / "fresh", *OPTIONS, "--min_turns", "3")


def test_purged_comments_do_not_come_back(extracted: tuple[Path, Path], done: list[str]) -> None:
    dumps, output = extracted
    everything = turn_ids_of(output)
    (output / "purged_ids.txt").write_text("t1_x0z1\nt3_t4\n")
    assert run_extract(dumps, output, *OPTIONS) == 0
    assert {*done} == {"finish"}
    left = [ids for ids in everything if "x0z1" not in ids.split() and "x4z" not in ids]
    assert turn_ids_of(output) == left
    assert 0 < len(left) < len(everything)


@pytest.mark.parametrize("stage", ["build", "merge_bucket", "finish_partition", "publish"])
def test_what_another_config_left_unfinished_is_not_mixed_in(
    stage: str, extracted: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps, output = extracted
    before = results_of(output)
    stopped = (*OPTIONS, "--min_turns", "3", "--keep_rejects")
    for number in range(3):
        with monkeypatch.context() as patch:
            if stage == "build":
                build = stopping(PRESETS["paper"].build, number)
                patch.setitem(PRESETS, "paper", replace(PRESETS["paper"], build=build))
            else:
                owner = STAGES.get(stage, extract_run)
                patch.setattr(owner, stage, stopping(getattr(owner, stage), number))
            with pytest.raises(RuntimeError):
                run_extract(dumps, output, *stopped)
        # Nothing has touched the results so far, so they are still those of the first config.
        assert run_extract(dumps, output, *OPTIONS) == 0
        assert results_of(output) == before
        other = (*OPTIONS, "--min_turns", "4")
        assert run_extract(dumps, output, *other) == 0
        assert results_of(output) == fresh(dumps, tmp_path / f"fresh-{number}", *other)
        assert run_extract(dumps, output, *OPTIONS) == 0
        assert results_of(output) == before


def stopping(work: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The work, but for a call of it that fails."""
    calls = iter(range(100))

    def called(*arguments: Any) -> Any:
        if next(calls) == number or work.__name__ == "publish":
            raise RuntimeError("stopped by the test")
        return work(*arguments)

    return called
