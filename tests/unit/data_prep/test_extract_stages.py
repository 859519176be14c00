"""What a dump is read into does not depend on how many threads read it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support_dumps import as_lines, comment
from zstandard import ZstdCompressor

from data_prep import dump
from data_prep.config import ExtractConfig
from data_prep.extract_stages import ReadTask, read_dump
from data_prep.inventory import take_inventory
from data_prep.partitions import read_owned


@pytest.mark.parametrize("share", [1.0, 0.6], ids=["whole", "truncated"])
@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_several_threads_read_what_one_reads(
    preset: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "BLOCK_BYTES", 1)  # a block a frame
    records = [comment(f"{n}", body=f"{n * n} is a square" * (n % 5)) for n in range(1, 2000)]
    records.insert(900, {"id": "no comment"})
    parts = [records[start : start + 30] for start in range(0, len(records), 30)]
    data = b"".join(ZstdCompressor().compress(as_lines(part)) for part in parts)
    (tmp_path / "RC_2015-01.zst").write_bytes(data[: int(len(data) * share)])
    config = ExtractConfig(dumps=str(tmp_path), output="", preset=preset)
    (source,) = take_inventory(tmp_path).dumps

    def read_by(num_threads: int) -> tuple[dict[str, Any], list[pa.Table]]:
        task = ReadTask(
            dump=source,
            spill=tmp_path / "spill.arrow",
            num_partitions=3,
            num_threads=num_threads,
            examples=tmp_path / "examples.json",
            rejects=None,
            config=config,
        )
        result = read_dump(task, lambda _: None)
        del result["peak_memory"]
        return result, [read_owned(task.spill, partition) for partition in range(3)]

    alone = read_by(1)
    assert sum(alone[0]["num_rows"]) > 500
    assert bool(alone[0]["damage"]) == (share < 1)
    assert read_by(3) == alone
