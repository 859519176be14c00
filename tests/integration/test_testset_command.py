"""`python -m data_prep testset` through its command line: the releases' files, and nothing lost."""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_dumps import run_extract

from data_prep.published import dstc7
from data_prep.published.command import main
from data_prep.published.dstc7_month import search_month
from dialogpt.records import TestItem, read_test_items

TESTS = Path(__file__).parent.parent
REFERENCE_FIXTURES, REFERENCE = TESTS / "fixtures" / "reference", TESTS / "golden" / "reference"
IDS = REFERENCE_FIXTURES / "reference-ids.txt"
FIXTURES, GOLDEN = TESTS / "fixtures" / "dstc7", TESTS / "golden" / "dstc7"
LISTS = [
    *("--hashes", str(FIXTURES / "test-multiref.hashes")),
    *("--sets", str(FIXTURES / "test-multiref.sets")),
]


def testset(*options: str) -> int:
    """The exit code of the command, run in this process."""
    try:
        main(options)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


testset.__test__ = False  # type: ignore[attr-defined]


def reddit6k(output: Path, *options: str, lines: Path = REFERENCE / "test.tsv") -> int:
    files = ["--lines", str(lines), "--ids", str(IDS)]
    return testset("--kind", "reddit6k", *files, "--output", str(output), *options)


def challenge(dumps: Path, output: Path, *options: str) -> int:
    folders = ["--dumps", str(dumps), "--output", str(output)]
    return testset("--kind", "dstc7", *folders, *LISTS, "--num_workers", "1", *options)


def report_of(output: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((output / "report.json").read_bytes())
    return report


def items_of(output: Path) -> list[TestItem]:
    return list(read_test_items(output / "multiref.jsonl"))


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    folder = tmp_path / "dumps"
    folder.mkdir()
    for path in FIXTURES.glob("R?_*.jsonl"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The months that were searched."""
    months: list[str] = []

    def noting(task: Any, report: Any) -> Any:
        months.append(task.month)
        return search_month(task, report)

    monkeypatch.setattr(dstc7, "search_month", noting)
    return months


def test_reddit6k_has_the_bytes_of_the_release(tmp_path: Path) -> None:
    assert reddit6k(tmp_path / "out") == 0
    scored = (tmp_path / "out" / "test.scored_refs.txt").read_bytes()
    assert scored == (REFERENCE / "scored_refs.txt").read_bytes()


def test_reddit6k_from_dumps_has_the_bytes_of_the_release(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    for kind in ("RC", "RS"):
        shutil.copy(REFERENCE_FIXTURES / f"{kind}_2018-01.jsonl", folder)
    keys = ["--reference.leaves_only", "false", "--reference.tsv_ids", "true"]
    keys += ["--reference.keys", str(REFERENCE_FIXTURES / "keys.tsv")]
    assert run_extract(folder, tmp_path / "extracted", "--preset", "reference", *keys) == 0
    assert reddit6k(tmp_path / "out", lines=tmp_path / "extracted" / "reference") == 0
    scored = (tmp_path / "out" / "test.scored_refs.txt").read_bytes()
    assert scored == (REFERENCE / "scored_refs.txt").read_bytes()
    assert {item.month for item in items_of(tmp_path / "out")} == {"2018-01"}


def test_items_of_reddit6k_say_what_the_lines_say(tmp_path: Path) -> None:
    reddit6k(tmp_path)
    lines = (tmp_path / "test.scored_refs.txt").read_text(encoding="utf-8").split("\n")[:-1]
    items = items_of(tmp_path)
    assert len(items) == len(lines) > 1
    for line, item in zip(lines, items, strict=True):
        scored = zip(item.reference_scores, item.references, strict=True)
        cells = [" EOS ".join(item.turns), *(f"{score}|{text}" for score, text in scored)]
        assert "\t".join(cells) == line
        assert len(item.reference_ids) == len(item.references)
    assert len({item.id for item in items}) == len(items)


def test_the_report_of_reddit6k_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reddit6k(tmp_path)
    report = report_of(tmp_path)
    items = items_of(tmp_path)
    assert report["missing_contexts"] == ["t3_a,t1_b,t1_absent"]
    assert report["missing_instances"] == ["t3_a,t1_b,t1_absent"]
    assert report["contexts"]["written"] == report["contexts"]["listed"] - 1 == len(items)
    assert report["references"]["written"] == sum(len(item.references) for item in items)
    sizes = {int(number): n for number, n in report["references_per_context"].items()}
    assert sum(number * n for number, n in sizes.items()) == report["references"]["written"]
    assert "cannot be compared with published ones" in capsys.readouterr().out


def test_human_answers_go_with_the_lines_of_the_list(tmp_path: Path) -> None:
    num_lines = IDS.read_text().count("\n")
    human = tmp_path / "human"
    human.write_text("".join(f"I say {number} .\n" for number in range(1, num_lines + 1)))
    assert reddit6k(tmp_path / "out", "--human", str(human)) == 0
    for item in items_of(tmp_path / "out"):
        assert item.human == f"I say {int(item.id.removeprefix('reddit6k-'))} ."


def test_human_answers_of_another_number_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "human").write_text("One answer .\n")
    assert reddit6k(tmp_path / "out", "--human", str(tmp_path / "human")) == 1
    assert "one for each line of ids, found 1" in capsys.readouterr().err


def test_an_absent_or_empty_folder_of_lines_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reddit6k(tmp_path / "out", lines=tmp_path / "absent") == 1
    assert "absent: expected YYYY-MM.tsv files" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert reddit6k(tmp_path / "out", lines=tmp_path / "empty") == 1
    assert "empty: expected YYYY-MM.tsv files" in capsys.readouterr().err


def test_dstc7_has_the_bytes_of_the_release(dumps: Path, tmp_path: Path) -> None:
    assert challenge(dumps, tmp_path / "out") == 0
    found = (tmp_path / "out" / "test.refs.txt").read_bytes()
    assert found == (GOLDEN / "test.refs").read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_two_processes_write_what_one_writes(dumps: Path, tmp_path: Path, compressed: bool) -> None:
    challenge(dumps, tmp_path / "one")
    if compressed:
        for path in dumps.iterdir():
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    assert challenge(dumps, tmp_path / "two", "--num_workers", "2") == 0
    for name in ("test.refs.txt", "multiref.jsonl", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_keys_choose_the_lines_that_the_release_evaluates(dumps: Path, tmp_path: Path) -> None:
    keys = FIXTURES / "test.2k.txt"
    challenge(dumps, tmp_path, "--keys", str(keys))
    wanted = set(keys.read_text().split())
    lines = (GOLDEN / "test.refs").read_bytes().splitlines(keepends=True)
    expected = [line for line in lines if line[:56].decode() in wanted]
    assert 0 < len(expected) < len(lines)
    assert (tmp_path / "test.refs.txt").read_bytes() == b"".join(expected)
    assert len(report_of(tmp_path)["absent_keys"]) == 1


def rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        key, *cells = line.split("\t")
        yield key, [cell.partition("|")[2] for cell in cells]


def test_items_of_dstc7_hold_the_responses_of_their_lines(dumps: Path, tmp_path: Path) -> None:
    challenge(dumps, tmp_path)
    items = {item.id: item for item in items_of(tmp_path)}
    assert len(items) > 10
    for key, responses in rows(tmp_path / "test.refs.txt"):
        if key not in items:
            continue
        item = items[key]
        references = list(item.references)
        if item.human is not None:
            references.insert(1, item.human)
        assert references == responses
        assert (item.human is None) == (len(responses) == 1)


def test_items_of_dstc7_have_the_contexts_of_the_release(dumps: Path, tmp_path: Path) -> None:
    """Found by another way: the hashes and texts of golden/dstc7/convos_*.txt."""
    challenge(dumps, tmp_path)
    contexts = {}
    for path in GOLDEN.glob("convos_*.txt"):
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            cells = line.split("\t")
            contexts[cells[0]] = cells[5].removeprefix("START EOS ").split(" EOS ")
    seen = 0
    for item in items_of(tmp_path):
        if item.id in contexts:
            seen += 1
            assert list(item.turns) == contexts[item.id]
    assert seen > 10


def test_the_report_of_dstc7_adds_up(dumps: Path, tmp_path: Path) -> None:
    challenge(dumps, tmp_path)
    report = report_of(tmp_path)
    listed = set((FIXTURES / "test-multiref.hashes").read_text().split())
    released = {
        line.split(b"\t")[0].decode()
        for path in GOLDEN.glob("convos_*.txt")
        for line in path.read_bytes().splitlines()
    }
    assert report["hashes"] == {"listed": len(listed), "found": len(listed & released)}
    by_month = [counts["hashes_found"] for counts in report["months"].values()]
    assert sum(by_month) == report["hashes"]["found"]
    sets = [line.split("\t") for line in (FIXTURES / "test-multiref.sets").read_text().split("\n")]
    hashes = [cell.split("|")[1] for cells in sets[:-1] for cell in cells[1:]]
    missing = [hash_ for hash_ in hashes if hash_ not in listed & released]
    assert report["missing_references"] == sorted(set(missing))
    assert report["references"]["listed"] == len(hashes)
    assert report["references"]["written"] == len(hashes) - len(missing)
    assert report["sets"]["listed"] == len(sets) - 1
    assert report["sets"]["items"] == len(items_of(tmp_path))


def test_what_is_missing_is_said(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dumps / "RS_2017-05.jsonl").unlink()
    assert challenge(dumps, tmp_path / "out") == 0
    output = capsys.readouterr().out
    assert "no submission dumps (RS): 2017-05" in output
    assert "not searched, of the months of the published lists: 2017-05, 2017-06" in output
    assert "cannot be compared with published ones" in output


def test_the_lists_of_the_challenge_lose_what_they_name_and_nothing_else(
    dumps: Path, tmp_path: Path
) -> None:
    for option, name in (
        ("subreddits", "subreddits.txt"),
        ("domains", "domains.txt"),
        ("pages", "cc-match.tsv"),
    ):
        challenge(dumps, tmp_path / name, f"--{option}", str(FIXTURES / name))
        kept = report_of(tmp_path / name)["months"]["2017-04"]
        dropped = kept[f"submissions_dropped.other_{option[:-1]}"]
        challenge(dumps, tmp_path / "all")
        assert (
            kept["submissions_kept"] + dropped
            == report_of(tmp_path / "all")["months"]["2017-04"]["submissions_kept"]
        )


def test_the_same_command_again_searches_nothing(
    dumps: Path, tmp_path: Path, searched: list[str]
) -> None:
    challenge(dumps, tmp_path / "out")
    first = (tmp_path / "out" / "multiref.jsonl").read_bytes()
    assert searched == ["2017-04", "2017-05"]
    challenge(dumps, tmp_path / "out")
    assert searched == ["2017-04", "2017-05"]
    assert (tmp_path / "out" / "multiref.jsonl").read_bytes() == first


def test_another_dump_is_searched_again_and_another_list_searches_all(
    dumps: Path, tmp_path: Path, searched: list[str]
) -> None:
    challenge(dumps, tmp_path / "out")
    with (dumps / "RC_2017-05.jsonl").open("a") as comments:
        comments.write("{}\n")
    challenge(dumps, tmp_path / "out")
    assert searched[2:] == ["2017-05"]
    challenge(dumps, tmp_path / "out", "--domains", str(FIXTURES / "domains.txt"))
    assert searched[3:] == ["2017-04", "2017-05"]


def test_a_damaged_dump_ends_with_its_own_code(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dumps / "RC_2017-04.jsonl"
    data = gzip.compress(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    assert challenge(dumps, tmp_path / "out") == 3
    assert "damaged archives, of which only a part was read: 2017-04" in capsys.readouterr().out
    assert report_of(tmp_path / "out")["damaged"] == ["2017-04"]
    assert (tmp_path / "out" / "test.refs.txt").is_file()


def test_months_without_both_dumps_are_an_error(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in dumps.glob("RS_*"):
        path.unlink()
    assert challenge(dumps, tmp_path / "out") == 1
    assert "expected RC and RS files of the same months" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["hashes", "sets", "keys", "subreddits", "pages"])
def test_a_list_that_is_absent_is_an_error(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert challenge(dumps, tmp_path / "out", f"--{option}", str(tmp_path / "absent")) == 1
    assert f"{tmp_path / 'absent'}: expected" in capsys.readouterr().err


def test_an_option_without_effect_is_a_usage_error(
    dumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert challenge(dumps, tmp_path / "out", "--ids", str(IDS)) == 2
    assert "--ids is for kind 'reddit6k'" in capsys.readouterr().err
