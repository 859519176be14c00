"""What travels through Spark is what was sent; no cluster is needed to see that."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.dialogues import DIALOGUE_SCHEMA
from data_prep.rejects import REJECT_SCHEMA
from data_prep.spark.dump_bytes import as_file, file_pieces
from data_prep.spark.parcels import (
    PARCEL_COLUMNS,
    PARCEL_SCHEMA,
    Parcel,
    from_batches,
    pack,
    pieces_of,
    to_batches,
    unpack,
)
from dialogpt.command_line import UserError


def as_spark_reads(content: bytes, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """The "lines" of a file in batches, without their ends and a mark at the beginning."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1] and len(lines) > 1:
        lines.pop()
    for start in range(0, len(lines), batch_rows):
        values = pa.array(lines[start : start + batch_rows], pa.binary())
        yield pa.record_batch([values], names=["value"])


@given(
    content=st.lists(st.sampled_from([b"\n", b"a", b"\r\n", b"\xef\xbb\xbf", b"\x00"])).map(
        b"".join
    ),
    batch_rows=st.integers(1, 3),
)
def test_the_lines_of_any_file_give_its_bytes(content: bytes, batch_rows: int) -> None:
    pieces = file_pieces(
        as_spark_reads(content, batch_rows),
        "x",
        size=len(content),
        begins_with_mark=content.startswith(b"\xef\xbb\xbf"),
    )
    assert b"".join(pieces) == content


def test_a_file_that_changed_while_it_was_read_is_an_error() -> None:
    pieces = file_pieces(as_spark_reads(b"a\nb\n", 2), "x", size=9, begins_with_mark=False)
    with pytest.raises(UserError, match="x: expected 9 bytes, got 3"):
        list(pieces)


@pytest.mark.parametrize("is_compressed", [True, False])
@given(pieces=st.lists(st.binary(max_size=9)), sizes=st.lists(st.integers(1, 12)))
def test_pieces_read_as_a_file(is_compressed: bool, pieces: list[bytes], sizes: list[int]) -> None:
    expected = io.BytesIO(b"".join(pieces))
    with as_file(iter(pieces), "x", is_compressed=is_compressed) as file:
        for size in [*sizes, 100]:
            assert file.read(size) == expected.read(size)


def test_a_compressed_file_can_go_back_to_what_it_has_read() -> None:
    content = bytes(range(256)) * 20_000
    pieces = (content[start : start + 999] for start in range(0, len(content), 999))
    with as_file(pieces, "x", is_compressed=True) as file:
        file.read(3_000_000)
        for start in (0, 1_234_567):
            file.seek(start)
            assert file.read(1_000_000) == content[start : start + 1_000_000]
        file.seek(3_000_000)
        assert file.read() == content[3_000_000:]


def test_parcels_come_out_as_they_went_in() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    parcels = [
        Parcel("note", 3, "n", 1 << 40, 7, b""),
        Parcel("candidates", 0, "", 0, 1, pack(table)),
    ]
    found = list(from_batches(to_batches(parcels)))
    assert [parcel.place for parcel in found] == [("n", 1 << 40, 7), ("", 0, 1)]
    assert [parcel.kind for parcel in found] == ["note", "candidates"]
    assert found[0].payload.to_pybytes() == b""
    assert unpack(found[1].payload).equals(table)


@given(st.binary(max_size=40))
def test_pieces_make_the_whole(content: bytes) -> None:
    assert b"".join(pieces_of(content)) == content


def test_the_columns_that_spark_is_told_are_those_of_the_schemas() -> None:
    pytest.importorskip("pyspark")
    from pyspark.sql.pandas.types import from_arrow_schema

    from data_prep.spark.remote_output import DIALOGUE_COLUMNS, REJECT_COLUMNS

    for columns, schema in (
        (PARCEL_COLUMNS, PARCEL_SCHEMA),
        (DIALOGUE_COLUMNS, DIALOGUE_SCHEMA),
        (REJECT_COLUMNS, REJECT_SCHEMA),
    ):
        told = [
            column.replace(" ", ":").replace("long", "bigint") for column in columns.split(", ")
        ]
        assert f"struct<{','.join(told)}>" == from_arrow_schema(schema).simpleString()
