"""How dialogues are taken out of one file of an extraction folder, by kind of file.

Each function reads a file and says what is to go. Where a path for it is given, the rest is written
there, unless nothing is to go. The file itself is left as it is: `data_prep.purging.dialogues` puts
the copy in its place.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_prep.dialogues import DIALOGUE_SCHEMA, ROWS_PER_GROUP
from data_prep.purging.ids import PurgedIds
from data_prep.rejects import REJECT_SCHEMA
from dialogpt.command_line import UserError
from dialogpt.records import json_lines, write_json

_ROWS_TO_SEARCH = 262_144
"""Rows that are searched at once: the ids to look for are prepared anew each time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """What a purge takes out of a file or of several.

    Attributes:
        num_before: dialogues, or what else the file has many of.
        num_removed: those that go.
        num_shortened: those that stay with less in them.
    """

    num_before: int = 0
    num_removed: int = 0
    num_shortened: int = 0

    def __bool__(self) -> bool:
        return self.num_removed + self.num_shortened > 0

    def __add__(self, other: "Removal") -> "Removal":
        return Removal(
            num_before=self.num_before + other.num_before,
            num_removed=self.num_removed + other.num_removed,
            num_shortened=self.num_shortened + other.num_shortened,
        )


BoolArray: TypeAlias = NDArray[np.bool_]
Search: TypeAlias = Callable[[pa.RecordBatch], BoolArray]
"""n rows -> (n,) which are concerned."""
Purge: TypeAlias = Callable[[Path, PurgedIds, Path | None], Removal]
"""A file, the ids, and where to write what stays, or None -> what goes."""


def purge_dialogues(path: Path, ids: PurgedIds, rest: Path | None) -> Removal:
    """Take rows out of a Parquet file with columns `turn_ids` and `thread_id`.

    What is written depends on the rows that stay and on nothing else: it is what
    `dialogues.DialogueWriter` would have written of them.

    Raises:
        UserError: the file is damaged, or lacks the columns.
    """
    return _purge_parquet(path, ids.in_rows, ["turn_ids", "thread_id"], DIALOGUE_SCHEMA, rest)


def purge_rejects(path: Path, ids: PurgedIds, rest: Path | None) -> Removal:
    """Take rows out of a Parquet file of `rejects.REJECT_SCHEMA`.

    A row without ids shows the beginning of a line of a dump; it goes if that names one.

    Raises:
        UserError: see `purge_dialogues`.
    """

    def concerned(rows: pa.RecordBatch) -> BoolArray:
        result = ids.in_rows(rows)
        lines = np.flatnonzero(np.asarray(pc.list_value_length(rows.column("turn_ids"))) == 0)
        for row, texts in zip(lines, rows.column("turns").take(lines).to_pylist(), strict=True):
            result[row] |= ids.in_json_text(*texts)
        return result

    columns = ["turn_ids", "thread_id", "turns"]
    return _purge_parquet(path, concerned, columns, REJECT_SCHEMA, rest)


def _purge_parquet(
    path: Path, concerned_rows: Search, columns: list[str], schema: pa.Schema, rest: Path | None
) -> Removal:
    """Take rows out of a file; its schema may be another than that of this version."""
    try:
        with pq.ParquetFile(path) as source:
            missing = set(columns) - set(source.schema_arrow.names)
            if missing:
                raise UserError(
                    f"{path}: expected the columns {', '.join(columns)}, found no "
                    f"{' and no '.join(sorted(missing))}; write the folder again with `extract`"
                )
            found = map(concerned_rows, source.iter_batches(_ROWS_TO_SEARCH, columns=columns))
            concerned = np.concatenate([np.zeros(0, np.bool_), *found])
            removal = Removal(num_before=len(concerned), num_removed=int(concerned.sum()))
            if removal and rest is not None:
                # Equal ones may differ in names that the file's readers do not see.
                own = source.schema_arrow
                _write_rows(source, ~concerned, schema if own.equals(schema) else own, rest)
    except pa.ArrowException as error:
        raise UserError(
            f"{path}: not a whole Parquet file ({error}); copy it again, or delete the folder and "
            "write it again with `extract`"
        ) from error
    return removal


def _write_rows(source: pq.ParquetFile, stays: BoolArray, schema: pa.Schema, path: Path) -> None:
    """Write some rows of a file to another, in row groups as full as can be."""
    with pq.ParquetWriter(path, schema, compression="zstd") as output:
        pending: list[pa.RecordBatch] = []
        num_pending = start = 0
        for rows in source.iter_batches(ROWS_PER_GROUP):
            pending.append(rows.filter(pa.array(stays[start : start + rows.num_rows])))
            start += rows.num_rows
            num_pending += pending[-1].num_rows
            if num_pending >= ROWS_PER_GROUP:
                table = pa.Table.from_batches(pending).combine_chunks()
                output.write_table(table.slice(0, ROWS_PER_GROUP), row_group_size=ROWS_PER_GROUP)
                pending = table.slice(ROWS_PER_GROUP).to_batches()
                num_pending -= ROWS_PER_GROUP
        if num_pending:
            table = pa.Table.from_batches(pending).combine_chunks()
            output.write_table(table, row_group_size=ROWS_PER_GROUP)


def purge_test_items(path: Path, ids: PurgedIds, rest: Path | None) -> Removal:
    """Take items out of a file of `dialogpt.records.TestItem`, and references out of items.

    An item goes with its context, its human response or its last reference.
    """
    kept: list[str] = []
    num_before = num_shortened = 0
    with path.open(encoding="utf-8") as source:
        for _, item in json_lines(source, str(path)):
            num_before += 1
            purged = _purged_item(item, ids)
            num_shortened += purged is not None and purged != item
            if purged is not None:
                kept.append(json.dumps(purged, ensure_ascii=False) + "\n")
    removal = Removal(
        num_before=num_before, num_removed=num_before - len(kept), num_shortened=num_shortened
    )
    if removal and rest is not None:
        rest.write_text("".join(kept), encoding="utf-8")
    return removal


def _purged_item(item: dict[str, Any], ids: PurgedIds) -> dict[str, Any] | None:
    """What stays of a test item."""
    # All that is named is looked up, so that what is found is told.
    needed = (*item.get("turn_ids", ()), item.get("thread_id"), item.get("human_id"))
    goes = ids.in_names(*needed)
    references = item.get("reference_ids", ())
    stays = [not ids.in_names(name) for name in references]
    if goes or (references and not any(stays)):
        return None
    return {
        name: [one for one, kept in zip(value, stays, strict=True) if kept]
        if name.startswith("reference") and isinstance(value, list) and len(value) == len(stays)
        else value
        for name, value in item.items()
    }


def purge_json(path: Path, ids: PurgedIds, rest: Path | None) -> Removal:
    """Take examples out of the lists of a JSON file.

    These are objects with `turn_ids`, and lines of dumps: texts, or objects that show one in
    `turns` and have no ids.

    Raises:
        UserError: the file is not JSON.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(
            f"{path}: expected JSON, found what is none ({error}); write it again with `extract`"
        ) from error
    purge = _JsonPurge(ids)
    purged = purge.rest_of(value)
    if purge.removal and rest is not None:
        write_json(rest, purged)
    return purge.removal


class _JsonPurge:
    """Walks through a JSON value, and counts."""

    def __init__(self, ids: PurgedIds) -> None:
        self.removal = Removal()
        self._ids = ids

    def rest_of(self, value: Any) -> Any:
        """The value without the examples that are concerned."""
        if isinstance(value, list):
            return [self.rest_of(one) for one in value if not self._goes(one)]
        if isinstance(value, dict) and not _is_example(value):
            return {name: self.rest_of(one) for name, one in value.items()}
        return value

    def _goes(self, value: Any) -> bool:
        if isinstance(value, str):
            goes = self._ids.in_json_text(value)
        elif _is_example(value):
            goes = self._ids.in_names(*value["turn_ids"], value.get("thread_id"))
            if not value["turn_ids"]:
                goes |= self._ids.in_json_text(*value.get("turns", ()))
        else:
            return False
        self.removal += Removal(num_before=1, num_removed=int(goes))
        return goes


def _is_example(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("turn_ids"), list)
