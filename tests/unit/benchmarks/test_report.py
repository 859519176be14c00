from pathlib import Path

import pytest

from benchmarks.growth import line_through
from benchmarks.reference_release import first_difference
from benchmarks.report import shown_command, write_section


def test_a_section_is_replaced_and_all_else_is_left(tmp_path: Path):
    path = tmp_path / "docs" / "benchmarks.md"
    write_section(path, "extraction", "b", "old b", preface="What it is")
    before = path.read_text()
    path.write_text(f"{before}\nMore by hand\n")
    write_section(path, "extraction", "a", "first", preface="What it is")
    write_section(path, "training", "a", "another benchmark's", preface="Training")
    write_section(path, "extraction", "b", "new b", preface="What it is now")
    text = path.read_text()
    assert "old b" not in text
    assert text.count("What it is now") == text.count("new b") == text.count("More by hand") == 1
    assert text.index("first") < text.index("new b") < text.index("<!-- extraction:end -->")
    assert "another benchmark's" in text


def test_writing_the_same_section_again_changes_nothing(tmp_path: Path):
    path = tmp_path / "benchmarks.md"
    write_section(path, "extraction", "a", "text", preface="What it is")
    once = path.read_text()
    write_section(path, "extraction", "a", "text", preface="What it is")
    assert path.read_text() == once


def test_a_lost_end_marker_is_an_error_that_leaves_the_file(tmp_path: Path):
    path = tmp_path / "benchmarks.md"
    path.write_text("<!-- extraction:begin -->\n")
    with pytest.raises(ValueError, match="extraction:end"):
        write_section(path, "extraction", "a", "text", preface="What it is")
    assert path.read_text() == "<!-- extraction:begin -->\n"


def test_the_command_shows_no_path_of_this_machine():
    arguments = ["/home/me/benchmarks/extraction.py", "compare", "--work", "/tmp/x", "--runs", "3"]
    expected = "python benchmarks/extraction.py compare --work PATH --runs 3"
    assert shown_command(arguments) == expected


def test_the_line_goes_through_points_that_lie_on_one():
    sizes = [1.0, 2.0, 4.0, 8.0]
    assert line_through(sizes, [3 + 2 * size for size in sizes]) == pytest.approx((3, 2))


@pytest.mark.parametrize(
    ("ours", "where"),
    [
        ("s\tt\nu\tv\n", None),
        ("s\tt\nu\tw\n", "line 2"),
        ("s\tt\n", "line 2"),
        ("s\tt\nu\tv\nx\ty\n", "line 3"),
        ("s\tt\nu\tv", "line 2"),
    ],
)
def test_the_first_line_that_differs_is_named(tmp_path: Path, ours: str, where: str | None):
    (tmp_path / "theirs").write_text("id,id,id\ts\tt\nid,id,id\tu\tv\n")
    (tmp_path / "ours").write_text(ours)
    num_lines, difference = first_difference(tmp_path / "theirs", tmp_path / "ours")
    assert num_lines == 2
    assert (difference or "").partition(":")[0] == (where or "")
