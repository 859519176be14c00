"""The dialogue Parquet: its columns, the folder it stands in, how it is written and read.

Every source of conversations (Reddit first) ends in this form, and every later stage (tokenizer,
shards) starts from it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from dialogpt.command_line import UserError
from dialogpt.data.manifest import file_sha256
from dialogpt.records import SPLITS, Dialogue, Split

DIALOGUE_SCHEMA = pa.schema(
    [
        pa.field("turns", pa.list_(pa.string()), nullable=False),
        pa.field("speakers", pa.list_(pa.int8()), nullable=False),
        pa.field("turn_ids", pa.list_(pa.string()), nullable=False),
        pa.field("thread_id", pa.string(), nullable=False),
        pa.field("subreddit", pa.string(), nullable=False),
        pa.field("month", pa.string(), nullable=False),
        pa.field("created_utc", pa.int64(), nullable=False),
        pa.field("score", pa.int32(), nullable=False),
        pa.field("knowledge", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row a dialogue. `turns`, `speakers`, `turn_ids`, `thread_id` and `knowledge` are those of
`dialogpt.records.Dialogue`; `month` ("2015-02"), `created_utc` (seconds since 1970, 0 where not
known) and `score` are of the last comment."""

DialogueRow: TypeAlias = Mapping[str, Any]
"""Column of DIALOGUE_SCHEMA -> value."""

DIALOGUES_FOLDER = "dialogues"
"""Folder of the splits; it gets this name when all of its files are whole."""

ROWS_PER_GROUP = 16_384
"""Dialogues held before they are written as one Parquet row group."""


def part_files(folder: Path, split: Split) -> list[Path]:
    """The Parquet files of one split, in reading order.

    Args:
        folder: what `extract` or `import` was given as its output.
        split: which split.

    Raises:
        UserError: the folder holds no finished dialogues, or not this split.
    """
    found = sorted((folder / DIALOGUES_FOLDER / split).glob("part-*.parquet"))
    if not found:
        raise UserError(
            f"{folder}: expected {DIALOGUES_FOLDER}/{split}/part-*.parquet, found none; give the "
            "output folder of a finished `python -m data_prep extract` or `import`"
        )
    return found


def read_dialogues(folder: Path, split: Split) -> Iterator[pa.RecordBatch]:
    """The rows of one split, a row group or less at a time, always in the same order.

    Raises:
        UserError: see `part_files` and `read_part`.
    """
    for path in part_files(folder, split):
        yield from read_part(path)


def read_part(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of one file, a row group or less at a time.

    Raises:
        UserError: the file is damaged, or has other columns than DIALOGUE_SCHEMA.
    """
    with _opened(path) as part:
        if not _same_columns(part.schema_arrow, DIALOGUE_SCHEMA):
            raise UserError(
                f"{path}: expected the columns {DIALOGUE_SCHEMA.names} of this version, found "
                f"{part.schema_arrow.names}; write the folder again with `extract`"
            )
        for batch in part.iter_batches(batch_size=ROWS_PER_GROUP):
            yield batch.cast(DIALOGUE_SCHEMA)


def _same_columns(schema: pa.Schema, expected: pa.Schema) -> bool:
    """Whether names and types are the same; Spark writes that any value may be null."""
    return bool(schema.names == expected.names and schema.types == expected.types)


def num_dialogues(path: Path) -> int:
    """The rows of one file.

    Raises:
        UserError: the file is damaged.
    """
    with _opened(path) as part:
        return int(part.metadata.num_rows)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{path}: not a whole Parquet file ({error}); copy it again, or delete the folder and "
            "write it again with `extract`"
        ) from error


def dialogues_fingerprint(parts: Iterable[Path]) -> str:
    """16 hexadecimal digits that tell one set of files from another; every byte is read."""
    lines = [f"{path.parent.name}/{path.name} {file_sha256(path)}\n" for path in parts]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def dialogues_of(rows: pa.RecordBatch | pa.Table) -> Iterator[Dialogue]:
    """Each row as a Dialogue."""
    columns = [
        rows.column(name).to_pylist()
        for name in ("turns", "speakers", "turn_ids", "thread_id", "knowledge")
    ]
    for turns, speakers, turn_ids, thread_id, knowledge in zip(*columns, strict=True):
        yield Dialogue(
            turns=tuple(turns),
            speakers=tuple(speakers),
            turn_ids=tuple(turn_ids),
            thread_id=thread_id,
            knowledge=tuple(knowledge),
        )


class DialogueWriter:
    """Writes one part of every split; a context manager.

    Files carry the suffix `.unfinished` until the block ends without an exception, and at most
    ROWS_PER_GROUP rows a split are held, so any number of dialogues may be written.

    Attributes:
        written: the files with the number of dialogues in each.
    """

    def __init__(self, folder: Path, part: int) -> None:
        """Open the files.

        Args:
            folder: the folder of the splits; made if absent.
            part: number of the part, which names its files.
        """
        self._paths = {split: folder / split / f"part-{part:05d}.parquet" for split in SPLITS}
        self.written = dict.fromkeys(self._paths.values(), 0)
        self._rows: dict[Split, list[DialogueRow]] = {split: [] for split in SPLITS}
        self._held = dict.fromkeys(SPLITS, DIALOGUE_SCHEMA.empty_table())
        self._writers: dict[Split, pq.ParquetWriter] = {}
        for split, path in self._paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[split] = pq.ParquetWriter(
                _unfinished(path), DIALOGUE_SCHEMA, compression="zstd"
            )

    def write(self, split: Split, row: DialogueRow) -> None:
        """Add one dialogue to a split."""
        rows = self._rows[split]
        rows.append(row)
        if len(rows) == ROWS_PER_GROUP:
            self._take_rows(split)

    def write_table(self, split: Split, table: pa.Table) -> None:
        """Add a table of DIALOGUE_SCHEMA to a split, behind all that was added before.

        How the dialogues are cut into tables makes no difference to the file.
        """
        self._take_rows(split)
        self._add(split, table)

    def _take_rows(self, split: Split) -> None:
        rows = self._rows[split]
        self._add(split, table_of(rows))
        rows.clear()

    def _add(self, split: Split, table: pa.Table) -> None:
        """Write all whole row groups; the rest waits for more."""
        held = pa.concat_tables([self._held[split], table])
        num_whole = held.num_rows - held.num_rows % ROWS_PER_GROUP
        self._write(split, held.slice(0, num_whole))
        self._held[split] = held.slice(num_whole)

    def _write(self, split: Split, table: pa.Table) -> None:
        if table.num_rows:
            self._writers[split].write_table(table.combine_chunks(), row_group_size=ROWS_PER_GROUP)
            self.written[self._paths[split]] += table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for split, writer in self._writers.items():
            if error is None:
                self._take_rows(split)
                self._write(split, self._held[split])
            writer.close()
        if error is None:
            for path in self._paths.values():
                _unfinished(path).replace(path)


def table_of_columns(columns: Mapping[str, pa.Array]) -> pa.Table:
    """Columns of DIALOGUE_SCHEMA, in its order, as a table; without `knowledge` there is none."""
    num_rows = len(columns["turns"])
    ends = pa.array([0] * (num_rows + 1), pa.int32())
    nothing = pa.ListArray.from_arrays(ends, pa.array([], pa.string()))
    return pa.table({**columns, "knowledge": columns.get("knowledge", nothing)}, DIALOGUE_SCHEMA)


def table_of(rows: Sequence[DialogueRow]) -> pa.Table:
    """Rows as a table of DIALOGUE_SCHEMA; a row without `knowledge` has none."""
    columns = {
        name: [row[name] for row in rows] for name in DIALOGUE_SCHEMA.names if name != "knowledge"
    }
    columns["knowledge"] = [row.get("knowledge", []) for row in rows]
    return pa.table(columns, schema=DIALOGUE_SCHEMA)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".unfinished")
