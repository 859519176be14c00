"""How the command meets its user: exit codes, messages, what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from support_dumps import (
    NO_FILTERS,
    as_lines,
    comment,
    counts_of,
    run_extract,
    turn_ids_of,
    write_dump,
)

ROOT = Path(__file__).parents[2]
TREE = [comment("a"), comment("b", "t1_a"), comment("c", "t1_b"), comment("d", "t1_a")]


def test_an_unknown_key_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_extract(tmp_path, tmp_path / "out", "--filters.max_wrods", "3") == 2
    assert "max_wrods" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_and_mistakes_do_not_wait_for_the_engine() -> None:
    """It takes half a second to import."""
    code = "import sys, data_prep.extract; print({'pyarrow', 'data_prep.posts'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    imported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert imported.stdout.strip() == "set()"


def test_an_empty_folder_ends_with_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_extract(tmp_path, tmp_path / "out") == 1
    assert "found nothing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("num_workers", ["1", "2"])
def test_a_truncated_archive_is_used_as_far_as_it_goes_and_ends_with_code_3(
    num_workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*NO_FILTERS, "--num_workers", num_workers]
    write_dump(tmp_path / "dumps", TREE, "RC_2014-12")
    tail = [comment(str(n), link_id="t3_u", body=f"{n * n:x}" * 50) for n in range(2000)]
    whole = zstandard.ZstdCompressor().compress(as_lines(tail))
    (tmp_path / "dumps" / "RC_2015-01.zst").write_bytes(whole[: len(whole) // 2])
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *options) == 3
    message = capsys.readouterr().err
    line = re.search(r"RC_2015-01\.zst: .* in line ([\d,]+)", message)
    assert line is not None
    assert "fetch the damaged files again" in message
    assert turn_ids_of(tmp_path / "out") == ["a b c", "a d"]
    counts = counts_of(tmp_path / "out")["2015-01"]
    assert counts["comments_read"] == int(line[1].replace(",", "")) > 100
    assert counts["comments_dropped.truncated_archive"] == 1
    # And so it stays known.
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *options) == 3


def test_a_finished_run_says_so_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dump(tmp_path / "dumps", TREE)
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS) == 0
    files = (tmp_path / "out" / "dialogues").glob("*/*")
    output = {path: path.stat().st_mtime_ns for path in files}
    assert len(output) == 6
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert output == {path: path.stat().st_mtime_ns for path in output}


def test_work_files_stay_unless_they_are_not_wanted(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", TREE)
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS) == 0
    assert any((tmp_path / "out" / "work" / "spills").iterdir())
    options = (*NO_FILTERS, "--no_keep_work_files")
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *options) == 0
    assert not (tmp_path / "out" / "work").exists()
    assert turn_ids_of(tmp_path / "out") == ["a b c", "a d"]


def test_a_folder_of_other_things_is_not_written_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dump(tmp_path / "dumps", TREE)
    assert run_extract(tmp_path / "dumps", tmp_path / "dumps") == 1
    assert "choose another --output" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "dumps").iterdir()] == ["RC_2015-01"]


def test_what_is_missing_or_skipped_is_told_and_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dump(tmp_path / "dumps", TREE, "RC_2014-11")
    write_dump(tmp_path / "dumps", [], "RC_2015-01")
    (tmp_path / "dumps" / "readme.txt").write_text("?")
    assert run_extract(tmp_path / "dumps", tmp_path / "out") == 0
    message = capsys.readouterr().err
    assert "no comment dumps (RC) of months in between: 2014-12" in message
    assert "readme.txt" in message
    saved = json.loads((tmp_path / "out" / "counts.json").read_bytes())
    assert saved["skipped"] == ["readme.txt"]
    assert len(saved["missing"]) == 2


def test_the_config_is_saved_as_it_was_resolved(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", TREE)
    (tmp_path / "own.yaml").write_text("min_turns: 3\nfilters: {max_words: 50}\n")
    options = ("--config", str(tmp_path / "own.yaml"), "--filters.max_words", "60")
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *options) == 0
    saved = tmp_path / "out" / "extract.yaml"
    assert "min_turns: 3" in saved.read_text()
    assert "max_words: 60" in saved.read_text()
    # And it is a config: it says of itself that the run is finished.
    assert run_extract(tmp_path / "dumps", tmp_path / "out", "--config", str(saved)) == 0


def test_the_table_and_the_files_of_counts_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dump(tmp_path / "dumps", TREE, "RC_2014-12")
    write_dump(tmp_path / "dumps", [*TREE, comment("z", body="[deleted]")], "RC_2015-01")
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS) == 0
    table = capsys.readouterr().out
    lines = (tmp_path / "out" / "counts.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["count", "total", "2014-12", "2015-01"]
    counts = counts_of(tmp_path / "out")
    for line in lines[1:]:
        name, *numbers = line.split("\t")
        assert [int(number) for number in numbers] == [
            counts[month].get(name, 0) for month in ("total", "2014-12", "2015-01")
        ]
    rows = {tuple(line.split()) for line in table.splitlines()}
    assert ("comments_read", "9", "4", "5") in rows
    assert ("-", "duplicate_id", "4", "4", "0") in rows
    assert ("-", "removed", "1", "0", "1") in rows
