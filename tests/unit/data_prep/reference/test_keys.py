import gzip
from pathlib import Path

import numpy as np
import pytest

from data_prep.reference.keys import KeepKeys
from dialogpt.command_line import UserError

LINES = "t3_a\tt1_b\tdep\nt3_a\tt1_b\tkeep\nt3_a\tt1_c\tdep \n"


@pytest.mark.parametrize("compress", [False, True])
def test_rows_say_what_is_needed_and_what_is_wanted(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "keys"
    path.write_bytes(gzip.compress(LINES.encode()) if compress else LINES.encode())
    keys = KeepKeys.read(path)
    links, ids = np.array([10, 10, 10, 11]), np.array([11, 12, 13, 11])
    assert keys.needs(links, ids).tolist() == [True, True, False, False]
    assert keys.wants(links, ids).tolist() == [True, False, False, False]


def test_a_file_without_rows_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"")
    assert KeepKeys.read(path).needs(np.array([1]), np.array([1])).tolist() == [False]


@pytest.mark.parametrize("line", ["t3_a,t1_b,dep", "t3_a\tt1_b\tkept", "", "t1_a\tt3_b\tdep", "é"])
def test_another_line_is_an_error_that_says_where(tmp_path: Path, line: str) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{LINES}{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"keys:4: expected t3_<id>"):
        KeepKeys.read(path)


@pytest.mark.parametrize(
    "data", [None, b"\x1f\x8b broken", gzip.compress(LINES.encode(), mtime=0)[:-9], b"\xff"]
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "keys"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match="cannot read the keys"):
        KeepKeys.read(path)
