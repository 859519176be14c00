"""What fuzzing and hostile files once broke."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile.section_7 import CONTROL
from support_dumps import as_lines, comment, run_extract

from data_prep.dump import LineBlock
from data_prep.posts import COMMENTS, parse_block


@pytest.mark.parametrize(
    ("written", "value"),
    [("+7", 7), ("7.", 7), ("-7.", -7), ("+7.5", 7), ("00000000000012", 12), ("-012", -12)],
)
def test_numbers_may_be_written_as_people_write_them(written: str, value: int) -> None:
    line = json.dumps(comment("c", score=written)).encode()
    assert parse_block(LineBlock(1, line), COMMENTS).posts.column("score").to_pylist() == [value]


def test_unusable_lines_are_noted_a_block_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps" / "RC_2015-01").write_bytes(b"x\n" * 200 + as_lines(CONTROL))
    assert run_extract(tmp_path / "dumps", tmp_path / "out", "--keep_rejects") == 0
    rejects = pq.ParquetFile(tmp_path / "out" / "rejects" / "read-RC_2015-01.parquet")
    assert rejects.metadata.num_rows == 200
    assert rejects.metadata.num_row_groups < 10
