from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import partitions
from data_prep.partitions import (
    DealtFile,
    SpillWriter,
    choose_num_partitions,
    partition_of,
    read_owned,
)

SCHEMA = pa.schema([pa.field("thread", pa.int64()), pa.field("text", pa.large_string())])


def posts(start: int, end: int) -> pa.RecordBatch:
    numbers = range(start, end)
    return pa.record_batch([[n * n for n in numbers], [f"post {n}" for n in numbers]], SCHEMA)


@pytest.mark.parametrize("spill_bytes", [1, 3000, 1 << 30])
def test_each_partition_holds_its_threads_in_the_order_of_the_dump(
    spill_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "SPILL_BYTES", spill_bytes)
    monkeypatch.setattr(partitions, "_BATCH_BYTES", 1)
    path = tmp_path / "spill.arrow"
    with SpillWriter(path, SCHEMA, thread_column="thread", num_partitions=5) as spill:
        for start in range(0, 1000, 100):
            spill.write(posts(start, start + 100))
        assert not path.exists()
    read = 0
    for partition in range(5):
        table = read_owned(path, partition)
        assert table.num_rows == spill.num_rows[partition]
        assert (partition_of(table["thread"].to_numpy(), 5) == partition).all()
        assert table["thread"].to_pylist() == sorted(table["thread"].to_pylist())
        assert table["text"].to_pylist() == [
            f"post {round(thread**0.5)}" for thread in table["thread"].to_pylist()
        ]
        read += table.num_rows
    assert read == 1000


def test_a_spill_of_nothing_can_be_read(tmp_path: Path) -> None:
    with SpillWriter(tmp_path / "s", SCHEMA, thread_column="thread", num_partitions=2) as spill:
        pass
    assert spill.num_rows.tolist() == [0, 0]
    assert read_owned(tmp_path / "s", 1).schema == SCHEMA
    assert read_owned(tmp_path / "s", 1).num_rows == 0


def test_a_writer_that_fails_leaves_no_spill(tmp_path: Path) -> None:
    path = tmp_path / "spill.arrow"

    def fail() -> None:
        with SpillWriter(path, SCHEMA, thread_column="thread", num_partitions=2) as spill:
            spill.write(posts(0, 9))
            raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        fail()
    assert not path.exists()


@pytest.mark.parametrize("spill_bytes", [1, 1 << 30], ids=["when more come", "at the end"])
def test_a_write_that_fails_is_told_and_leaves_no_spill(
    spill_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens in a thread, whose exception must not be lost."""
    monkeypatch.setattr(partitions, "SPILL_BYTES", spill_bytes)
    monkeypatch.setattr(partitions, "_BATCH_BYTES", 1)
    path = tmp_path / "spill.arrow"

    def no_room(*_: object) -> None:
        raise OSError("no space left")

    def fail() -> None:
        with SpillWriter(path, SCHEMA, thread_column="thread", num_partitions=2) as spill:
            monkeypatch.setattr(DealtFile, "write", no_room)
            spill.write(posts(0, 9))

    with pytest.raises(OSError, match="no space left"):
        fail()
    assert not path.exists()


def test_neighboring_threads_are_spread_evenly() -> None:
    counts = np.bincount(partition_of(np.arange(10**9, 10**9 + 80_000), 8), minlength=8)
    # Binomial(80,000, 1/8): standard deviation 94.
    assert abs(counts - 10_000).max() < 5 * 94


def test_partitions_of_threads_never_change() -> None:
    """A spill of an older run is read with the partitions of this one."""
    threads = np.array([0, 1, 36**12 - 1, 13368], dtype=np.int64)
    assert partition_of(threads, 1000).tolist() == [_splitmix(int(t)) % 1000 for t in threads]


def _splitmix(value: int) -> int:
    mask = 2**64 - 1
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & mask
    return value ^ (value >> 31)


def test_the_number_of_partitions_follows_the_size() -> None:
    sizes = [0, 20 << 20, 136 << 20, 1536 << 20, (1536 << 20) + 1, 600 << 30]
    assert [choose_num_partitions(size) for size in sizes] == [2, 4, 16, 16, 32, 8192]


@given(st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=4))
def test_each_owner_reads_back_what_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, tables: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("dealt") / "folder" / "file.arrow"
    given = [
        (owner, 10 * t + n) for t, owners in enumerate(tables) for n, owner in enumerate(owners)
    ]
    with DealtFile(path, pa.schema([pa.field("value", pa.int64())])) as file:
        for number, owners in enumerate(tables):
            values = pa.array([10 * number + n for n in range(len(owners))], pa.int64())
            file.write(pa.table({"value": values}), np.array(owners, np.int64))
    for owner in range(8):
        expected = [value for of, value in given if of == owner]
        assert read_owned(path, owner).column("value").to_pylist() == expected
    assert sum(rows for _, rows in file.batches) == len(given)
