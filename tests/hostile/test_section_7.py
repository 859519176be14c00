"""Every row of section 7 of the design, through the whole command with the rules of the paper."""

from pathlib import Path

import pytest
from hostile.section_7 import ROWS, as_bytes
from support_dumps import all_dialogues, counts_of, run_extract, turn_ids_of

OPTIONS = ["--split.valid_fraction", "0", "--split.test_fraction", "0"]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_costs_its_neighbours_nothing_and_is_counted(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps" / "RC_2015-01").write_bytes(row.dump(row.text))
    if row.submissions is not None:
        (tmp_path / "dumps" / "RS_2015-01").write_bytes(as_bytes(row.submissions))
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *OPTIONS) == row.code, row.should
    assert turn_ids_of(tmp_path / "out") == sorted(["a b", *row.dialogues]), row.should
    total = counts_of(tmp_path / "out")["total"]
    assert {count: total.get(count, 0) for count in row.counts} == row.counts, row.should
    if row.turns:
        (dialogue,) = (d for d in all_dialogues(tmp_path / "out") if d.thread_id == "t3_x")
        assert [*dialogue.turns] == row.turns, row.should


@pytest.mark.parametrize("kind", ["RC", "RS"])
def test_an_empty_dump_is_an_empty_result(kind: str, tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    for name in ("RC", "RS"):
        record = b'{"id": "a", "link_id": "t3_x", "body": "I"}\n'
        (tmp_path / "dumps" / f"{name}_2015-01").write_bytes(b"" if name == kind else record)
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *OPTIONS) == 0
    assert turn_ids_of(tmp_path / "out") == []
