import shutil
from pathlib import Path

import pytest

from data_prep.published.config import TestsetConfig
from data_prep.published.reddit6k import (
    ListedContext,
    read_contexts,
    read_instances,
    write_context,
    write_reddit6k,
)
from data_prep.reference.multiref import multi_reference_lines
from dialogpt.command_line import UserError

TESTS = Path(__file__).parents[3]
LINES = TESTS / "golden" / "reference" / "test.tsv"
IDS = TESTS / "fixtures" / "reference" / "reference-ids.txt"
FIRST = "multiref\t9,t3_a,t1_a,t1_b\t2,t3_a,t1_a,t1_c\t1,t3_a,t1_a,t1_d\t1,t3_a,t1_a,t1_gone"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "2018-03.tsv"
    path.write_text(
        "t3_a,t1_a,t1_b\tIs it ? EOS Or “so” ?\tYes .\n"
        "t3_a,t1_a,t1_c\tIs it ? EOS Or “so” ?\tNo 7|8 .\n"
        "t3_a,t1_a,t1_d\tOr not ?\tMaybe so .\n"
        "t3_z,t1_z,t1_z\tOr not ?\tNot wanted .\n"
    )
    return path


def context(line: str = FIRST) -> ListedContext:
    ids = tuple(cell.split(",", 1)[1] for cell in line.split("\t")[1:])
    return ListedContext(1, line, ids)


def test_context_by_context_gives_what_all_at_once_give() -> None:
    contexts = read_contexts(IDS)
    instances = read_instances([LINES], {id_ for of_line in contexts for id_ in of_line.ids})
    written = [write_context(of_line, instances).found for of_line in contexts]
    with LINES.open(encoding="utf-8") as all_lines, IDS.open(encoding="utf-8") as ids:
        at_once = multi_reference_lines(all_lines, ids)
    for name in ("lines", "missing_contexts", "missing_references", "other_contexts"):
        one_by_one = [value for of_line in written for value in getattr(of_line, name)]
        assert one_by_one == getattr(at_once, name)


def test_an_item_says_what_the_line_says(lines: Path) -> None:
    written = write_context(context(), read_instances([lines], set(context().ids)))
    assert written.found.lines == ['Is it ? EOS Or "so" ?\t9|Yes .\t2|No 7|8 .\n']
    item = written.item
    assert item is not None
    assert item.id == "reddit6k-0001"
    assert item.turns == ("Is it ?", 'Or "so" ?')
    assert item.references == ("Yes .", "No 7|8 .")
    assert item.reference_scores == (9, 2)
    assert item.reference_ids == ("t1_b", "t1_c")
    assert (item.thread_id, item.month, item.human) == ("t3_a", "2018-03", None)


def test_the_human_answer_is_that_of_the_same_line(lines: Path) -> None:
    instances = read_instances([lines], set(context().ids))
    second = ListedContext(2, FIRST, context().ids)
    item = write_context(second, instances, ["Not I .", "I ."]).item
    assert item is not None
    assert item.human == "I ."


def test_without_its_first_instance_a_context_is_left_out() -> None:
    written = write_context(context(), {})
    assert (written.found.lines, written.item) == ([], None)
    assert written.found.missing_contexts == ["t3_a,t1_a,t1_b"]


def test_of_equal_ids_the_last_line_of_the_last_file_counts(lines: Path) -> None:
    again = lines.with_name("2018-04.tsv")
    again.write_text("t3_a,t1_a,t1_b\tWell ?\tSo .\n")
    instances = read_instances([lines, again], {"t3_a,t1_a,t1_b"})
    assert list(instances) == ["t3_a,t1_a,t1_b"]
    assert instances["t3_a,t1_a,t1_b"].month == "2018-04"


@pytest.mark.parametrize("line", ["1.0 Is it ?\tYes .", "a\tb\tc\td"])
def test_lines_of_another_form_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "2018-03.tsv"
    path.write_text(f"t3_a,t1_a,t1_b\tIs it ?\tYes .\n{line}\n")
    with pytest.raises(UserError, match=r"2018-03\.tsv:2: expected ids, context and response"):
        read_instances([path], set())


@pytest.mark.parametrize(
    "line", ["multiref", "multiref\tx", "multiref\t9,a,b", "multiref\tx,a,b,c"]
)
def test_a_list_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(f"{FIRST}\n{line}\n")
    with pytest.raises(UserError, match=r"ids\.txt:2: expected multiref, SCORE,ID,ID,ID"):
        read_contexts(path)


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    """What an extraction leaves: lines of a month, and other tables in the folder above them."""
    folder = tmp_path / "extracted"
    (folder / "reference").mkdir(parents=True)
    shutil.copy(LINES, folder / "reference" / "2018-01.tsv")
    for name in ("counts.tsv", "frequent_trigrams.tsv"):
        (folder / name).write_text("a\tb\tc\n")
    return folder


def config_of(lines: Path, output: Path) -> TestsetConfig:
    return TestsetConfig(kind="reddit6k", lines=str(lines), ids=str(IDS), output=str(output))


def test_the_folder_above_the_lines_is_no_folder_of_lines(extracted: Path, tmp_path: Path) -> None:
    expected = r"found counts\.tsv, frequent_trigrams\.tsv; let --lines name .* `reference`"
    with pytest.raises(UserError, match=expected):
        write_reddit6k(config_of(extracted, tmp_path))
    assert not (tmp_path / "report.json").exists()
    report = write_reddit6k(config_of(extracted / "reference", tmp_path))
    assert report["months"] == ["2018-01"]


def test_only_months_are_read_of_a_folder_of_lines(extracted: Path, tmp_path: Path) -> None:
    lines = extracted / "reference"
    for name in ("2018-01.tsv.part", "2018-01-old.tsv", "x2018-02.tsv", "notes.tsv"):
        (lines / name).write_text("no line of an extraction\n")
    report = write_reddit6k(config_of(lines, tmp_path))
    assert report["months"] == ["2018-01"]
