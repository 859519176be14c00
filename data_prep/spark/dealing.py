"""What every way of reading does with posts: it deals them to partitions, and packs them."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from data_prep.config import ExtractConfig
from data_prep.counts import month_number
from data_prep.dump import LineBlock
from data_prep.extract_stages import DumpReader
from data_prep.inventory import DumpFile
from data_prep.partitions import deal, partition_of
from data_prep.sifting import sifter_for
from data_prep.spark.parcels import (
    COMMENTS,
    REJECTS,
    SUBMISSIONS,
    Parcel,
    note,
    pack,
    pieces_of,
)
from data_prep.spark.scratch import scratch_folder
from data_prep.stages import JsonObject

DEAL_BYTES = 16 << 20
"""Posts held in memory, in bytes, before they are dealt out: each partition gets its share in one
parcel."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How posts are read.

    Attributes:
        num_partitions: to how many they are dealt.
        config: says which posts stay, and whether all lines are kept that hold none.
    """

    num_partitions: int
    config: ExtractConfig

    def read(
        self,
        dump: DumpFile,
        blocks: Iterable[LineBlock],
        place: tuple[str, int],
        *,
        rejects_name: str,
        facts: Callable[[], JsonObject],
    ) -> Iterator[Parcel]:
        """The posts of some lines, then a note on them, then what was rejected.

        Args:
            dump: the lines are of.
            blocks: the lines.
            place: name and block of the parcels: they are put in order by these.
            rejects_name: of the file, without ending.
            facts: for the note; called when all lines are read.
        """
        name, block = place
        home = zlib.crc32(f"{name}:{block}".encode()) % self.num_partitions
        with rejects_file(self.config.keep_rejects) as rejects:
            reader = DumpReader(dump, rejects, sifter_for(dump, self.config))
            posts = reader.posts(blocks)
            yield from self._deal(dump, posts, place)
            content = {"stage": "read", "place": place, **reader.result(), **facts()}
            yield note(home, content, name=name, block=block)
            yield from file_parcels(rejects, rejects_name, home)

    def _deal(
        self, dump: DumpFile, posts: Iterable[pa.RecordBatch], place: tuple[str, int]
    ) -> Iterator[Parcel]:
        kind, thread = (COMMENTS, "link_id") if dump.kind == "RC" else (SUBMISSIONS, "id")
        for number, table in enumerate(_joined(posts)):
            owners = partition_of(table.column(thread).to_numpy(), self.num_partitions)
            months = np.full(table.num_rows, month_number(dump.month), np.int32)
            table = table.append_column("month", pa.array(months))
            for partition, batch in deal(table, owners):
                payload = pack(pa.Table.from_batches([batch]))
                yield Parcel(kind, partition, *place, number, payload)


def _joined(posts: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The posts in tables of about DEAL_BYTES."""
    held: list[pa.RecordBatch] = []
    num_bytes = 0
    for batch in posts:
        held.append(batch)
        num_bytes += batch.nbytes
        if num_bytes >= DEAL_BYTES:
            yield pa.Table.from_batches(held)
            held, num_bytes = [], 0
    if num_bytes:
        yield pa.Table.from_batches(held)


@contextmanager
def rejects_file(is_wanted: bool) -> Iterator[Path | None]:
    """A file of this task alone."""
    if not is_wanted:
        yield None
        return
    with TemporaryDirectory(prefix="dialogpt-rejects-", dir=scratch_folder()) as folder:
        yield Path(folder) / "rejects.parquet"


def file_parcels(path: Path | None, name: str, partition: int) -> Iterator[Parcel]:
    """A Parquet file of rejects, in pieces."""
    if path is None:
        return
    for number, piece in enumerate(pieces_of(path.read_bytes())):
        yield Parcel(REJECTS, partition, name, 0, number, piece)
