"""Arrow tables on their way through Spark: each is one row, a parcel, which Spark need not open.

A comment a row would cost Spark more than all the rest of the work. So what a task says to the
tasks of a partition is dealt out and packed, as it is in the spills of the local engine, and Spark
carries the parcels. Whatever a task has to report (counts, examples, drops) is a parcel as well:
then it is there exactly once, however often Spark had to repeat or duplicate the task.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from data_prep.stages import JsonObject

COMMENTS, SUBMISSIONS, CANDIDATES = "comments", "submissions", "candidates"
"""Kinds of parcels that hold tables."""
NOTE, TEST_ITEMS, REJECTS = "note", "test_items", "rejects"
"""Kinds that hold JSON, JSON Lines, and pieces of a Parquet file."""

PARCEL_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("name", pa.string()),
        pa.field("block", pa.int64()),
        pa.field("number", pa.int64()),
        pa.field("payload", pa.binary()),
    ]
)
PARCEL_COLUMNS = "kind string, partition int, name string, block long, number long, payload binary"
"""PARCEL_SCHEMA, as Spark writes it."""

PIECE_BYTES = 16 << 20
"""Bytes of a payload, about, at most: Spark holds a row several times."""

_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class Parcel:
    """A row.

    Attributes:
        kind: what the payload is.
        partition: which it belongs to.
        name: of a table, where it comes from; of rejects, the file. Parcels of a kind are in the
            order of (name, block, number).
        block: where in the source the table begins, in the source's measure.
        number: counts the parcels of a name and block.
        payload: bytes, or a buffer of them.
    """

    kind: str
    partition: int
    name: str
    block: int
    number: int
    payload: Any

    @property
    def place(self) -> tuple[str, int, int]:
        """What parcels of a kind are sorted by."""
        return self.name, self.block, self.number


def note(partition: int, content: JsonObject, *, name: str = "", block: int = 0) -> Parcel:
    """What a task reports, as a parcel."""
    return Parcel(NOTE, partition, name, block, 0, orjson.dumps(content))


def to_batches(parcels: Iterable[Parcel]) -> Iterator[pa.RecordBatch]:
    """Each parcel as a batch of PARCEL_SCHEMA."""
    for parcel in parcels:
        *fields, payload = PARCEL_SCHEMA
        columns = [pa.array([getattr(parcel, field.name)], field.type) for field in fields]
        content = pa.py_buffer(parcel.payload)
        ends = pa.array([0, content.size], pa.int32()).buffers()[1]
        columns.append(pa.Array.from_buffers(payload.type, 1, [None, ends, content]))
        yield pa.record_batch(columns, schema=PARCEL_SCHEMA)


def from_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[Parcel]:
    """The parcels of some batches."""
    for batch in batches:
        names = PARCEL_SCHEMA.names[:-1]
        columns = [batch.column(name).to_pylist() for name in names]
        for payload, *values in zip(batch.column("payload"), *columns, strict=True):
            fields = dict(zip(names, values, strict=True))
            yield Parcel(**fields, payload=payload.as_buffer())


def pack(table: pa.Table) -> pa.Buffer:
    """A table as the payload of a parcel."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_COMPRESSED) as stream:
        stream.write_table(table)
    return sink.getvalue()


def unpack(payload: Any) -> pa.Table:
    """The table that `pack` packed."""
    with pa.ipc.open_stream(payload) as stream:
        return stream.read_all()


def pieces_of(content: bytes) -> Iterator[bytes]:
    """Bytes in pieces of at most PIECE_BYTES; one empty piece of nothing."""
    for start in range(0, max(len(content), 1), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]
