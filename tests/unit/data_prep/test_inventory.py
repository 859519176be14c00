from pathlib import Path

import pytest

from data_prep.inventory import take_inventory
from dialogpt.command_line import UserError


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).write_bytes(b"{}\n")
    return tmp_path


def test_dumps_are_ordered_by_kind_and_month_whatever_their_suffix(tmp_path: Path) -> None:
    names = [
        "RS_2015-02.zst",
        "RC_2015-03",
        "RC_2015-02.json.gz",
        "RC_2014-12.bz2",
        "RS_v2_2015-03",
    ]
    inventory = take_inventory(folder_of(tmp_path, *names))
    assert [(dump.kind, dump.month, dump.size) for dump in inventory.dumps] == [
        ("RC", "2014-12", 3),
        ("RC", "2015-02", 3),
        ("RC", "2015-03", 3),
        ("RS", "2015-02", 3),
        ("RS", "2015-03", 3),
    ]
    assert [dump.name for dump in inventory.comment_dumps] == [
        "RC_2014-12.bz2",
        "RC_2015-02.json.gz",
        "RC_2015-03",
    ]
    assert inventory.notes == (
        "no comment dumps (RC) of months in between: 2015-01",
        "no submission dumps (RS): 2014-12",
    )


def test_what_is_not_a_dump_is_listed(tmp_path: Path) -> None:
    strangers = ["RC_2015-01.zst.part", "RC_2015-13.zst", "._RC_2015-01.zst", "sha256sums.txt"]
    (tmp_path / "RC_2015-05").mkdir()
    inventory = take_inventory(folder_of(tmp_path, "RC_2015-01.zst", *strangers))
    assert [dump.name for dump in inventory.dumps] == ["RC_2015-01.zst"]
    assert sorted(inventory.skipped) == sorted([*strangers, "RC_2015-05"])


def test_a_dump_that_is_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "RC_2015-02.zst").symlink_to("/not/there.zst")
    with pytest.raises(UserError, match=r"RC_2015-02\.zst: .* a link to /not/there\.zst"):
        take_inventory(folder_of(tmp_path, "RC_2015-01.zst"))


def test_a_long_gap_is_named_by_its_ends(tmp_path: Path) -> None:
    inventory = take_inventory(folder_of(tmp_path, "RC_2005-12", "RC_2006-02", "RC_2015-02"))
    assert inventory.notes[0].endswith("2006-01, 2006-03 to 2015-01")


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["RS_2015-01.zst"]])
def test_a_folder_without_comments_is_an_error(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=names[0] if names else "found nothing"):
        take_inventory(folder_of(tmp_path, *names))


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--dumps"):
        take_inventory(tmp_path / "absent")


def test_one_month_twice_is_an_error_that_names_both_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "RC_2015-02.zst", "RC_2015-02.bz2")
    with pytest.raises(UserError, match=r"RC_2015-02\.bz2 and RC_2015-02\.zst"):
        take_inventory(folder)
