"""Purging what `extract` wrote: the folder is what an extraction makes that knows the ids."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support_dumps import NO_FILTERS, comment, run_extract, write_dump
from support_purge import (
    everything_in,
    run,
    tree,
)

from data_prep.ids import base36
from data_prep.purging import command
from data_prep.purging.files import Purge
from dialogpt.records import read_test_items


def threads() -> list[dict[str, Any]]:
    """Comments of some threads, many responses to the first of each, and lines that hold none."""
    records = []
    for thread in range(12):
        for row in range(9):
            name = f"x{base36(thread)}z{row}"
            parent = f"t1_x{base36(thread)}z{row - 1 - row % 2}" if row else f"t3_t{thread}"
            body = f"I say number {row} of {thread} to you" + " http://u.rl" * (row == 6)
            records.append(comment(name, parent, link_id=f"t3_t{thread}", body=body))
        for row in range(8):
            name, parent = f"m{base36(thread)}y{row}", f"t1_x{base36(thread)}z0"
            body = f"response {row} to you"
            records.append(comment(name, parent, link_id=f"t3_t{thread}", body=body))
    records += [{"id": "x1z1", "body": "no link"}, {"id": "q1", "body": "no link"}, {"no": "id"}]
    return records


OPTIONS = (
    *NO_FILTERS,
    *("--split.valid_fraction", "0.2", "--split.test_fraction", "0.5"),
    *("--num_partitions", "2", "--keep_rejects"),
)
GONE = ["t1_x1z1", "t1_x2z6", "t3_t4", *(f"t1_m{base36(thread)}y3" for thread in range(12))]


@pytest.fixture(scope="module")
def real_extraction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extraction")
    write_dump(folder / "dumps", threads()[::2], "RC_2015-01")
    write_dump(folder / "dumps", threads()[1::2], "RC_2015-02")
    assert run_extract(folder / "dumps", folder / "extracted", *OPTIONS) == 0
    return folder


def purge_extraction(folder: Path) -> None:
    (folder / "ids.txt").write_text("\n".join(GONE))
    assert run(["--ids", str(folder / "ids.txt"), "--dialogues", str(folder / "extracted")]) == 0


def test_a_purged_extraction_is_what_an_extraction_makes_that_knows_the_ids(
    real_extraction: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("purged", "anew"):
        shutil.copytree(real_extraction, tmp_path / name)
    purge_extraction(tmp_path / "purged")
    output = tmp_path / "anew" / "extracted"
    (output / "purged_ids.txt").write_text("".join(f"{name}\n" for name in sorted(GONE)))
    assert run_extract(real_extraction / "dumps", output, *OPTIONS) == 0
    expected, found = tree(output), tree(tmp_path / "purged" / "extracted")
    same = [name for name in expected if re.match(r"dialogues/|counts\.tsv|manifest", name)]
    assert len(same) == 8
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    assert json_of(tmp_path / "purged")["months"] == json_of(tmp_path / "anew")["months"]
    assert json_of(tmp_path / "purged")["months"]["total"]["paths_dropped.purged"] > 0
    total = json_of(tmp_path / "purged")["months"]["total"]
    items = [*read_test_items(tmp_path / "purged" / "extracted" / "testset" / "multiref.jsonl")]
    assert total["test_items"] == len(items) > 0
    assert total["test_items.references"] == sum(len(item.references) for item in items)
    # And so an extraction has nothing to do there.
    capsys.readouterr()
    assert run_extract(real_extraction / "dumps", tmp_path / "purged" / "extracted", *OPTIONS) == 0
    assert "nothing to do" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["lines without ids", "duplicates"])
def test_what_an_extraction_would_make_otherwise_it_makes_anew(
    what: str, real_extraction: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A duplicate of what goes may have been dropped before, and lines are not purged."""
    folder = tmp_path / "made"
    shutil.copytree(real_extraction, folder)
    output = folder / "extracted"
    if what == "duplicates":
        table = (output / "counts.tsv").read_text()
        one = table.replace("near_duplicate\t0\t0\t0", "near_duplicate\t1\t1\t0")
        assert one != table
        (output / "counts.tsv").write_text(one)
    else:
        (output / "reference").mkdir()
        (output / "reference" / "2015-01.tsv").write_text("0.0 hi\t1.0 there\n")
    (folder / "ids.txt").write_text("\n".join(GONE))
    run(["--ids", str(folder / "ids.txt"), "--dialogues", str(output)])
    capsys.readouterr()
    assert run_extract(real_extraction / "dumps", output, *OPTIONS) == 0
    assert "since the last run, purged_ids was" in capsys.readouterr().err


def json_of(folder: Path) -> Any:
    return json.loads((folder / "extracted" / "counts.json").read_bytes())


def files_holding_purged_ids(output: Path) -> set[str]:
    """Names of the files with one of GONE; not of spills, which hold all comments of the dumps."""
    # Lines of dumps spell comments without "t1_".
    names = [*GONE, *(name.removeprefix("t1_") for name in GONE)]
    traces = [re.compile(rf"\b{name}\b".encode()) for name in names]
    return {
        path.relative_to(output).as_posix()
        for path in output.rglob("*")
        if path.is_file() and path.name != "purged_ids.txt" and "work" not in path.parts
        if any(trace.search(everything_in(path)) for trace in traces)
    }


def test_nothing_of_an_extraction_holds_what_was_purged(
    real_extraction: Path, tmp_path: Path
) -> None:
    shutil.copytree(real_extraction, tmp_path / "made")
    output = tmp_path / "made" / "extracted"

    before = files_holding_purged_ids(output)
    assert {"testset/multiref.jsonl", "examples.json", "counts.json"} <= before
    assert any(name.startswith("rejects/read") for name in before)
    assert any(name.startswith("rejects/build") for name in before)
    purge_extraction(tmp_path / "made")
    assert files_holding_purged_ids(output) == set()
    items = [*read_test_items(output / "testset" / "multiref.jsonl")]
    assert items
    for item in items:
        # Eight answered, one is the human, one is gone.
        assert len(item.references) == len(item.reference_ids) == len(item.reference_scores) == 6


def names_in_dialogues(output: Path) -> set[str]:
    ids = [pq.read_table(path, columns=["turn_ids"]) for path in output.rglob("part-*.parquet")]
    return {name for table in ids for row in table.column(0).to_pylist() for name in row}


@pytest.mark.parametrize("options", [["--min_turns", "3"], ["--split.salt", "another"]])
def test_another_extraction_into_a_purged_folder_brings_nothing_back(
    options: list[str], real_extraction: Path, tmp_path: Path
) -> None:
    shutil.copytree(real_extraction, tmp_path / "made")
    purge_extraction(tmp_path / "made")
    output = tmp_path / "made" / "extracted"
    assert run_extract(real_extraction / "dumps", output, *OPTIONS, *options) == 0
    assert names_in_dialogues(output)
    assert list((output / "rejects").glob("*.parquet"))
    assert files_holding_purged_ids(output) == set()


def test_what_an_unfinished_extraction_is_purged_of_is_not_in_it_when_it_is_finished(
    real_extraction: Path, tmp_path: Path
) -> None:
    output = tmp_path / "extracted"
    output.mkdir()
    (output / "extract.json").write_text("{}")
    shutil.copytree(real_extraction / "extracted" / "work", output / "work")
    purge_extraction(tmp_path)
    assert sorted(path.name for path in output.iterdir()) == [
        *(".lock", "extract.json", "purged_ids.txt")
    ]
    assert run_extract(real_extraction / "dumps", output, *OPTIONS) == 0
    assert names_in_dialogues(output)
    assert not names_in_dialogues(output) & {*GONE}


def test_a_table_of_purged_things_names_every_place(
    real_extraction: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(real_extraction, tmp_path / "made")
    purge_extraction(tmp_path / "made")
    places = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "}
    assert {"dialogues/train", "rejects", "testset", "examples.json", "counts.json"} <= places
    assert {pattern.split("/")[0] for pattern, _ in purge_kinds()} == {
        place.split("/")[0] for place in places - {"before"}
    }


def purge_kinds() -> Sequence[tuple[str, Purge]]:
    return command.purge_dialogues.KINDS
