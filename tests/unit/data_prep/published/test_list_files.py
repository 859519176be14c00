from pathlib import Path

import pytest

from data_prep.published.list_files import is_hash, list_lines, read_hashes, read_names
from dialogpt.command_line import UserError

HASH = "0123456789abcdef" * 3 + "01234567"


def test_blank_lines_are_passed_over_and_still_counted(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"a\tb \r\n\n  \nc\n")
    assert list(list_lines(path, "a list")) == [(1, "a\tb"), (4, "c")]


def test_a_file_that_is_absent_or_no_text_is_an_error_that_says_what_it_should_be(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=r"absent: expected a list, cannot read it"):
        list(list_lines(tmp_path / "absent", "a list"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"bytes: expected a list, cannot read it"):
        list(list_lines(tmp_path / "bytes", "a list"))


def test_names_are_read_without_the_blanks_around_them(tmp_path: Path) -> None:
    (tmp_path / "names").write_text(" movies \nAskReddit\n")
    assert read_names(tmp_path / "names", "names") == {"movies", "AskReddit"}


def test_a_line_that_is_no_hash_is_named_with_its_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "hashes"
    path.write_text(f"{HASH}\n{HASH[:-1]}\n")
    with pytest.raises(UserError, match=r"hashes:2: expected 56 hexadecimal digits"):
        read_hashes(path, "a list of hashes")
    path.write_text(f"{HASH}\n{HASH}\n")
    assert read_hashes(path, "a list of hashes") == {HASH}


@pytest.mark.parametrize("text", ["", HASH.upper(), HASH + "0", HASH[:-1] + "g", HASH + "\n"])
def test_other_texts_are_no_hashes(text: str) -> None:
    assert is_hash(HASH)
    assert not is_hash(text)
