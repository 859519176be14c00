"""The parcels of a partition -> candidates and test items, as parcels.

What is made of the posts of a partition is up to a `PartitionBuilder`: `DialogueBuilder` makes what
the local engine makes. Another preset brings another builder.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from data_prep.config import ExtractConfig
from data_prep.counts import Tally
from data_prep.extract_stages import without_cycle_collection
from data_prep.filters import FilterSet
from data_prep.multiref import test_items
from data_prep.posts import COMMENTS as COMMENT_FORMAT
from data_prep.posts import SUBMISSIONS as SUBMISSION_FORMAT
from data_prep.rejects import Rejects
from data_prep.spark.dealing import file_parcels, rejects_file
from data_prep.spark.parcels import (
    CANDIDATES,
    COMMENTS,
    SUBMISSIONS,
    TEST_ITEMS,
    Parcel,
    from_batches,
    note,
    pack,
    pieces_of,
    to_batches,
    unpack,
)
from data_prep.trees import candidate_tables, grow_trees

_MONTH = pa.field("month", pa.int32())
_SCHEMAS = {
    COMMENTS: COMMENT_FORMAT.schema.append(_MONTH),
    SUBMISSIONS: SUBMISSION_FORMAT.schema.append(_MONTH),
}


class PartitionBuilder(Protocol):
    """Makes something of whole threads. It travels to executors, so it must be picklable."""

    def __call__(
        self, comments: pa.Table, submissions: pa.Table, tally: Tally, rejects: Rejects
    ) -> Iterator[tuple[str, bytes | pa.Buffer]]:
        """Kind and payload of each parcel, in order.

        Args:
            comments: columns of `posts.COMMENTS` and `month` (201502), in the order of months and
                lines.
            submissions: columns of `posts.SUBMISSIONS` and `month`, in the same order.
            tally: counts what is dropped.
            rejects: is shown what is dropped.
        """
        ...


@dataclass(frozen=True, slots=True)
class DialogueBuilder:
    """Makes candidates and test items.

    Attributes:
        config: turn limits, text rules, splits.
        filters: of the config, read where its files are.
    """

    config: ExtractConfig
    filters: FilterSet

    def __call__(
        self, comments: pa.Table, submissions: pa.Table, tally: Tally, rejects: Rejects
    ) -> Iterator[tuple[str, bytes | pa.Buffer]]:
        """See PartitionBuilder."""
        trees = grow_trees(
            comments,
            submissions.column("id").to_numpy(),
            tally,
            rejects,
            config=self.config,
            filters=self.filters,
            report=lambda _: None,
        )
        config, filters = self.config, self.filters
        for table in candidate_tables(trees, tally, rejects, config=config, filters=filters):
            yield CANDIDATES, pack(table)
        if self.config.multiref.min_responses:
            items = test_items(trees, tally, config=config, filters=filters)
            lines = "".join(item.to_json() + "\n" for item in items)
            for piece in pieces_of(lines.encode()):
                yield TEST_ITEMS, piece


def build_partition(
    batches: Iterable[pa.RecordBatch], *, builder: PartitionBuilder, keep_rejects: bool
) -> Iterator[pa.RecordBatch]:
    """A task: all parcels of one partition -> those of its candidates; notes go on as they are.

    Args:
        batches: the parcels, in any order.
        builder: makes something of the posts.
        keep_rejects: whether whatever is dropped is kept.
    """
    tables: dict[str, dict[tuple[str, int, int], pa.Table]] = {COMMENTS: {}, SUBMISSIONS: {}}
    partitions = set()
    for parcel in from_batches(batches):
        partitions.add(parcel.partition)
        if parcel.kind in tables:
            tables[parcel.kind][parcel.place] = unpack(parcel.payload)
        else:
            yield from to_batches([parcel])
    if partitions:
        (partition,) = partitions
        posts = {kind: in_order(_SCHEMAS[kind], found) for kind, found in tables.items()}
        tables.clear()
        yield from to_batches(_built(partition, posts, builder, keep_rejects))


def in_order(schema: pa.Schema, tables: dict[tuple[str, int, int], pa.Table]) -> pa.Table:
    """Tables as one, in the order of months, and there of places."""
    if not tables:
        return schema.empty_table()
    table = pa.concat_tables([tables[place] for place in sorted(tables)])
    months = np.asarray(table.column("month"))
    if np.any(np.diff(months) < 0):
        table = table.take(pa.array(np.argsort(months, kind="stable")))
    return table


def _built(
    partition: int, posts: dict[str, pa.Table], builder: PartitionBuilder, keep_rejects: bool
) -> Iterator[Parcel]:
    tally = Tally()
    with without_cycle_collection(), rejects_file(keep_rejects) as path:
        rejects = Rejects(path)
        made = builder(posts.pop(COMMENTS), posts.pop(SUBMISSIONS), tally, rejects)
        for number, (kind, payload) in enumerate(made):
            yield Parcel(kind, partition, "", 0, number, payload)
        rejects.close()
        content = {"stage": "build", "counts": tally.by_month(), "examples": rejects.examples}
        yield note(partition, content, name="build")
        yield from file_parcels(path, f"build-part-{partition:05d}", partition)
