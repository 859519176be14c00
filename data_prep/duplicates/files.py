"""The files that the stages of the search for duplicates leave one another.

A dialogue is named by its place: the number of its partition and its row among the candidates. No
result depends on places, because which of two dialogues is to be preferred does not.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.partitions import deal, read_batches, write_dealt
from data_prep.shingles import HashArray, IntArray, ShingleSets, flattened

KeyColumns: TypeAlias = tuple[HashArray, HashArray]
"""Keys, and as many places."""

PREFERENCE = ("split_rank", "created_utc", "thread_id", "turn_id")
"""Columns by which a dialogue is preferred to its duplicates, the smallest values first."""

IDENTITY_SCHEMA = pa.schema(
    [
        pa.field("digest", pa.binary(16), nullable=False),
        pa.field("split_rank", pa.int8(), nullable=False),
        pa.field("created_utc", pa.int64(), nullable=False),
        pa.field("thread_id", pa.string(), nullable=False),
        pa.field("turn_id", pa.string(), nullable=False),
    ]
)
"""One row a candidate, in their order. `digest` is the same for the same words; `split_rank` is 0
for test, 1 for valid, 2 for train; `created_utc` is LATEST where it is not known; `turn_id` is that
of the last turn."""

LATEST = np.iinfo(np.int64).max

KEY_SCHEMA = pa.schema([("key", pa.uint64()), ("place", pa.uint64())])
"""Dialogues under one key may be duplicates."""

PAIR_SCHEMA = pa.schema([("first", pa.uint64()), ("second", pa.uint64())])
"""Places of two dialogues."""

WANTED_SCHEMA = pa.schema([("place", pa.uint64())])
"""Dialogues that are in a pair."""

EXACT_SCHEMA = pa.schema([("dropped", pa.uint64()), ("kept", pa.uint64())])
"""Places of two dialogues of the same words, of which the second is preferred."""

EDGE_SCHEMA = pa.schema([*PAIR_SCHEMA, pa.field("similarity", pa.float64())])
"""A pair that is similar enough."""

DROP_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("similarity", pa.float64(), nullable=False),
        pa.field("kept_thread_id", pa.string(), nullable=False),
        pa.field("kept_turn_id", pa.string(), nullable=False),
    ]
)
"""One row a candidate that goes, ascending by `row`. `kept_*` name a dialogue that stays, and
`similarity` is how similar the two are."""

_ROW_BITS = np.uint64(32)
_NO_PLACES: HashArray = np.zeros(0, np.uint64)


def places_of(partition: int, rows: NDArray[np.integer]) -> HashArray:
    """The places of some rows of a partition."""
    return (np.uint64(partition) << _ROW_BITS) | rows.astype(np.uint64)


def partitions_of(places: HashArray) -> IntArray:
    """The partition of each place."""
    return (places >> _ROW_BITS).astype(np.int64)


def rows_of(places: HashArray) -> IntArray:
    """The row of each place in its partition."""
    return (places & np.uint64(0xFFFFFFFF)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Run:
    """Some batches of an Arrow file: those for one bucket or partition."""

    path: Path
    batch_numbers: tuple[int, ...]


def deal_keys(columns: Sequence[KeyColumns], num_buckets: int, path: Path) -> list[tuple[int, int]]:
    """Write keys to a file, each to the bucket that it belongs to.

    Args:
        columns: pieces of (keys, places).
        num_buckets: how many buckets there are.
        path: the file; its folder is made if absent.

    Returns:
        (bucket, rows) of each batch of the file.
    """
    keys = np.concatenate([_NO_PLACES, *(piece for piece, _ in columns)])
    places = np.concatenate([_NO_PLACES, *(piece for _, piece in columns)])
    table = pa.table({"key": keys, "place": places}, schema=KEY_SCHEMA)
    owners = (keys % np.uint64(num_buckets)).astype(np.int64)
    return write_dealt(table, owners, path)


def deal_pairs(pieces: Iterable[HashArray], path: Path) -> list[tuple[int, int]]:
    """Write pairs to a file, each to the partition of its first place.

    Args:
        pieces: (m, 2) places each.
        path: the file; its folder is made if absent.

    Returns:
        (partition, rows) of each batch of the file.
    """
    batches = []
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    with pa.ipc.new_file(str(unfinished), PAIR_SCHEMA) as file:
        for pairs in pieces:
            first, second = np.ascontiguousarray(pairs.T)
            table = pa.table({"first": first, "second": second}, schema=PAIR_SCHEMA)
            for partition, batch in deal(table, partitions_of(first)):
                file.write_batch(batch)
                batches.append((partition, batch.num_rows))
    unfinished.replace(path)
    return batches


def deal_wanted(places: HashArray, path: Path) -> list[tuple[int, int]]:
    """Write the places of those in a pair to a file, each to its partition.

    Returns:
        (partition, rows) of each batch of the file.
    """
    return write_dealt(
        pa.table({"place": places}, schema=WANTED_SCHEMA), partitions_of(places), path
    )


@dataclass(frozen=True, slots=True)
class DealtFiles:
    """What the units of a stage have dealt to the units of the next one.

    Attributes:
        runs: owner -> its batches in all files.
        num_rows: owner -> how many rows these have.
    """

    runs: dict[int, list[Run]]
    num_rows: dict[int, int]

    @classmethod
    def of(cls, dealt: Iterable[tuple[Path, Sequence[Sequence[int]]]]) -> Self:
        """From files and the (owner, rows) of each batch in them."""
        runs: dict[int, list[Run]] = defaultdict(list)
        num_rows: dict[int, int] = defaultdict(int)
        for path, batches in dealt:
            numbers: dict[int, list[int]] = defaultdict(list)
            for number, (owner, rows) in enumerate(batches):
                numbers[owner].append(number)
                num_rows[owner] += rows
            for owner, of_owner in numbers.items():
                runs[owner].append(Run(path, tuple(of_owner)))
        return cls(runs, num_rows)


def read_runs(runs: Sequence[Run], schema: pa.Schema) -> pa.Table:
    """The rows of some runs, one behind the other."""
    tables = [read_batches(run.path, run.batch_numbers) for run in runs]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def write_rows(table: pa.Table, path: Path) -> None:
    """Write an Arrow file of one batch, of which single rows can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    with pa.ipc.new_file(str(unfinished), table.schema) as file:
        file.write_table(table.combine_chunks())
    unfinished.replace(path)


def read_rows(path: Path) -> pa.Table:
    """All rows of such a file."""
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def read_places(paths: Iterable[Path], column: str) -> HashArray:
    """One column of places of some files, ascending."""
    columns = [read_rows(path).column(column).to_numpy() for path in paths]
    return np.sort(np.concatenate([_NO_PLACES, *columns]))


def look_up(places: HashArray, files: Sequence[Path]) -> pa.Table:
    """The rows of some dialogues, in the order of the places.

    Args:
        places: at least one.
        files: one a partition, of `write_rows`. One with a column `place` has the rows of some
            dialogues, by ascending places, others those of all candidates.
    """
    order = np.argsort(places, kind="stable")
    found = []
    for partition, wanted in _by_partition(places[order]):
        with pa.memory_map(str(files[partition])) as source:
            table = pa.ipc.open_file(source).read_all()
            rows = rows_of(wanted)
            if "place" in table.column_names:
                rows = np.searchsorted(table.column("place").to_numpy(), wanted)
            found.append(table.take(pa.array(rows)))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return pa.concat_tables(found).combine_chunks().take(pa.array(back))


def _by_partition(places: HashArray) -> Iterator[tuple[int, HashArray]]:
    """Partition -> its places, of ascending ones."""
    present, starts = np.unique(partitions_of(places), return_index=True)
    bounds = [*starts.tolist(), len(places)]
    for partition, start, end in zip(present.tolist(), bounds[:-1], bounds[1:], strict=True):
        yield partition, places[start:end]


def identities_at(places: HashArray, files: Sequence[Path]) -> pa.Table:
    """Columns of IDENTITY_SCHEMA and `place` of some dialogues, the preferred ones first."""
    if not len(places):
        columns = [*IDENTITY_SCHEMA, pa.field("place", pa.uint64())]
        return pa.schema(columns).empty_table()
    table = look_up(places, files).append_column("place", pa.array(places))
    # A thread and its last turn name a dialogue; the place decides only if there are two of a name.
    return table.sort_by([(name, "ascending") for name in (*PREFERENCE, "place")])


def sets_as_lists(sets: ShingleSets) -> pa.Array:
    """Sets as a column of lists."""
    return pa.LargeListArray.from_arrays(pa.array(sets.bounds), pa.array(sets.hashes))


def sets_of_lists(column: pa.ChunkedArray) -> ShingleSets:
    """Sets from a column of lists."""
    hashes, bounds = flattened(column)
    return ShingleSets(bounds, np.asarray(hashes))
