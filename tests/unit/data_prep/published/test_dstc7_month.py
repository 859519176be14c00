from pathlib import Path

import pytest

from data_prep.published.dstc7_month import ListFiles, read_pages
from dialogpt.command_line import UserError

KEY, A, B = (letter * 56 for letter in "0ab")


def test_pages_are_those_of_the_month(tmp_path: Path) -> None:
    path = tmp_path / "pages"
    path.write_text("http://a/#b\t2017-04\t2017-06\nhttp://c/#d\t2017-05\t2017-05\n")
    assert read_pages(path, "2017-04") == {"http://a/#b"}


def test_a_page_without_a_month_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pages"
    path.write_text("http://a/#b\t2017-04\t2017-06\nhttp://c/#d\n")
    with pytest.raises(UserError, match=r"pages:2: expected an address, a month"):
        read_pages(path, "2017-04")


def test_keys_are_looked_for_as_well_because_they_tell_the_contexts(tmp_path: Path) -> None:
    (tmp_path / "hashes").write_text(f"{A}\n")
    (tmp_path / "sets").write_text(f"{KEY}\t1|{B}\n")
    lists = ListFiles(
        hashes=tmp_path / "hashes",
        sets=tmp_path / "sets",
        subreddits=None,
        domains=None,
        pages=None,
    )
    assert lists.wanted() == {A, KEY}
