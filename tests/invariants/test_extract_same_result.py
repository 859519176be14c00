"""One result by many routes: compressions, partitions, processes, kills and restarts."""

import bz2
import gzip
import lzma
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from support_dumps import (
    NO_FILTERS,
    REAL_DUMPS,
    all_dialogues,
    as_lines,
    comment,
    counts_of,
    needs_real_dumps,
    results_of,
    run_extract,
    turn_ids_of,
    write_dump,
)
from support_kills import run_until_killed

from data_prep import trigram_stages
from data_prep.ids import base36

WORDS = ["what", "you", "say", "is", "the", "same", "as", "I", "said"]


def random_comments(number: int, *, seed: int, first: int = 0) -> list[dict[str, Any]]:
    """Comments of a few threads; some answer what is not there, or themselves, or come twice."""
    source = random.Random(seed)
    comments = []
    for row in range(first, first + number):
        thread = row % 17
        parent = max(thread, row - 17 * source.randrange(6))  # now and then the comment itself
        record = comment(base36(row), f"t1_{base36(parent)}", link_id=f"t3_{base36(thread)}")
        if source.random() < 0.4:
            record["parent_id"] = record["link_id"]
        record["body"] = " ".join(source.choices(WORDS, k=9))
        comments += [record] * (1 + (source.random() < 0.03))
    return comments


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("suffix", ENCODERS)
def test_every_compression_gives_the_same_dialogues(suffix: str, tmp_path: Path) -> None:
    records = random_comments(400, seed=1)
    write_dump(tmp_path / "plain", records)
    (tmp_path / "packed").mkdir()
    packed = tmp_path / "packed" / f"RC_2015-01.{suffix}"
    packed.write_bytes(ENCODERS[suffix](as_lines(records)))
    results = []
    for name in ("plain", "packed"):
        assert run_extract(tmp_path / name, tmp_path / f"{name}_out", *NO_FILTERS) == 0
        results.append(results_of(tmp_path / f"{name}_out"))
    assert results[0].pop("manifest.json") != results[1].pop("manifest.json")
    assert results[0] == results[1]


@pytest.mark.parametrize("options", [("--num_partitions", "1"), ("--num_partitions", "7")])
def test_partitions_change_files_but_not_dialogues(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    for month, first in (("2014-12", 0), ("2015-01", 600)):
        records = random_comments(600, seed=first, first=first)
        write_dump(tmp_path / "dumps", records, f"RC_{month}")
    run_extract(tmp_path / "dumps", tmp_path / "two", *NO_FILTERS, "--num_partitions", "2")
    run_extract(tmp_path / "dumps", tmp_path / "other", *NO_FILTERS, *options)
    assert turn_ids_of(tmp_path / "two") == turn_ids_of(tmp_path / "other")
    assert len(turn_ids_of(tmp_path / "two")) > 100
    assert counts_of(tmp_path / "two") == counts_of(tmp_path / "other")


def command(dumps: Path, output: Path, *options: str) -> list[str]:
    argv = ["--dumps", str(dumps), "--output", str(output), *NO_FILTERS, *options]
    return [sys.executable, "-m", "data_prep", "extract", *argv]


def run_in_group(argv: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for_group_to_end(group: int) -> None:
    """Wait until no process of the group is left; the test's own time limit ends the wait."""
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of dumps, and the results of an extraction that nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    for month in range(1, 7):
        records = random_comments(3000, seed=month, first=3000 * month)
        write_dump(folder / "dumps", records, f"RC_2015-{month:02d}")
    assert run_extract(folder / "dumps", folder / "out", *NO_FILTERS, "--num_partitions", "6") == 0
    return folder / "dumps", results_of(folder / "out")


CALLS = [
    ("pathlib Path.replace 1", "with a plan that has no name yet"),
    ("data_prep.extract_stages SpillWriter.write 1", "in the middle of the first dump"),
    ("data_prep.extract_stages SpillWriter.write 4", "in the middle of the fourth dump"),
    ("data_prep.stages write_json 3", "with a spill that has no marker"),
    ("data_prep.stages write_json 7", "with a part that has no marker"),
    ("data_prep.extract_stages CandidateWriter.write 3", "in the middle of a partition"),
    ("data_prep.stages write_json 14", "with a bucket that has no marker"),
    ("data_prep.finish DialogueWriter.write_table 8", "in the middle of a part"),
    ("data_prep.extract_run merged 1", "before the counts"),
    ("data_prep.extract_run write_text 2", "between two files of counts"),
    ("data_prep.publication Path.rename 1", "before the results get their names"),
    ("data_prep.publication Path.replace 1", "before the first result has its name"),
    ("data_prep.publication Path.replace 3", "when some results have their names"),
    ("data_prep.publication Path.rmdir 1", "when all results have their names"),
    ("data_prep.extract_local shutil.rmtree 1", "before the work files go"),
]


@pytest.mark.parametrize("call", [call for call, _ in CALLS], ids=[when for _, when in CALLS])
def test_killed_at_a_call_and_started_again_is_as_never_killed(
    call: str, uninterrupted: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    dumps, expected = uninterrupted
    options = ("--num_partitions", "6", "--num_workers", "1", "--no_keep_work_files")
    argv = command(dumps, tmp_path / "out", *options)[4:]
    killed = run_until_killed("data_prep.extract", call, argv)
    _, errors = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, errors
    assert run_extract(dumps, tmp_path / "out", *NO_FILTERS, *options) == 0
    assert results_of(tmp_path / "out") == expected


def test_killed_when_the_rejects_have_their_second_names_it_goes_on(
    uninterrupted: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    dumps, _ = uninterrupted
    options = ("--num_partitions", "6", "--num_workers", "1", "--keep_rejects")
    argv = command(dumps, tmp_path / "out", *options)[4:]
    killed = run_until_killed("data_prep.extract", "data_prep.extract_run keep_out 1", argv)
    _, errors = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, errors
    for name in ("out", "fresh"):
        assert run_extract(dumps, tmp_path / name, *NO_FILTERS, *options) == 0
    assert results_of(tmp_path / "out") == results_of(tmp_path / "fresh")


def test_of_many_partitions_the_trigrams_are_those_of_few(
    uninterrupted: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps, _ = uninterrupted
    options = (*NO_FILTERS, "--num_partitions", "6", "--num_workers", "1")
    options += ("--filters.bland_share", "0.5", "--filters.bland_count", "30")
    assert run_extract(dumps, tmp_path / "few", *options) == 0
    monkeypatch.setattr(trigram_stages, "_MANY_RUNS", 4)
    assert run_extract(dumps, tmp_path / "many", *options) == 0
    assert list((tmp_path / "many" / "work" / "trigrams").glob("group-*.arrow"))
    assert results_of(tmp_path / "many") == results_of(tmp_path / "few")
    assert counts_of(tmp_path / "many")["total"]["paths_dropped.bland"] > 0


@pytest.mark.parametrize(
    "moment", ["spills", "markers/read/RC_2015-03.json", "markers/build/part-00002.json"]
)
def test_workers_end_with_a_killed_parent_and_the_next_run_is_as_never_killed(
    moment: str, uninterrupted: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    dumps, expected = uninterrupted
    options = ("--num_partitions", "6", "--num_workers", "2")
    run = run_in_group(command(dumps, tmp_path / "out", *options))
    while run.poll() is None and not (tmp_path / "out" / "work" / moment).exists():
        time.sleep(0.001)
    run.kill()  # the parent alone
    run.wait()
    wait_for_group_to_end(run.pid)
    assert run_extract(dumps, tmp_path / "out", *NO_FILTERS, *options[:2]) == 0
    assert results_of(tmp_path / "out") == expected


def test_a_kill_leaves_something_to_go_on_with(
    uninterrupted: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """The tests above would also pass if every run began anew."""
    dumps, expected = uninterrupted
    options = ("--num_partitions", "6")
    assert run_extract(dumps, tmp_path / "out", *NO_FILTERS, *options) == 0
    work = tmp_path / "out" / "work"
    (tmp_path / "out" / "manifest.json").unlink()
    done = [*work.glob("spills/*"), *work.glob("candidates/*"), *work.glob("frequent/*")]
    times = {path: path.stat().st_mtime_ns for path in done}
    (work / "markers" / "build" / "part-00003.json").unlink()
    assert run_extract(dumps, tmp_path / "out", *NO_FILTERS, *options) == 0
    again = {path for path in done if path.stat().st_mtime_ns != times[path]}
    assert again == {work / "candidates" / "part-00003.arrow"}
    results = results_of(tmp_path / "out")
    assert {name: results[name] for name in expected} == expected


@needs_real_dumps
@pytest.mark.real_data
def test_real_dumps_add_up_and_every_thread_has_one_split(tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for name in ("RC_2005-12.zst", "RC_2006-01.bz2", "RC_2006-02.bz2", "RS_2006-02.bz2"):
        (dumps / name).symlink_to(REAL_DUMPS / name)
    assert run_extract(dumps, tmp_path / "out") == 0
    counts = counts_of(tmp_path / "out")
    assert [counts[f"200{month}"]["comments_read"] for month in ("5-12", "6-01", "6-02")] == [
        1075,
        3666,
        9095,
    ]
    for numbers in counts.values():
        dropped = sum(n for name, n in numbers.items() if name.startswith("comments_dropped."))
        assert numbers["comments_read"] == numbers["comments_kept"] + dropped
        dropped = sum(n for name, n in numbers.items() if name.startswith("paths_dropped."))
        kept = sum(n for name, n in numbers.items() if name.startswith("dialogues."))
        assert numbers["paths"] == kept + dropped
    dialogues = list(all_dialogues(tmp_path / "out"))
    assert len(dialogues) == sum(
        number for name, number in counts["total"].items() if name.startswith("dialogues.")
    )
    assert all(len(dialogue.turns) >= 2 for dialogue in dialogues)
    assert len({dialogue.turn_ids for dialogue in dialogues}) == len(dialogues)
