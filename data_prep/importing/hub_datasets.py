"""Whatever the library `datasets` loads, local or on the hub.

Rows are streamed: nothing is copied to a cache, and memory stays small. No code of a data set is
run, as trust_remote_code is never given (and version 4 of the library has no more of it).
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets

from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.dataset_files import READERS, files_by_split, local_files
from data_prep.importing.dataset_rows import Row, conversations_of_rows, wanted_columns
from data_prep.importing.import_log import ImportLog
from data_prep.importing.json_lines import SPLIT_NAMES
from dialogpt.command_line import UserError
from dialogpt.records import SPLITS, Split


def read_datasets(
    config: ImportConfig, log: ImportLog, *, only_dealt_by_id: bool = False
) -> Iterator[Conversation]:
    """The conversations of all splits, validation and test first; a single split is to be dealt.

    Splits of other names are left out and counted, and a note names them.

    Args:
        config: which data set, and what its columns hold.
        log: counts the dialogues.
        only_dealt_by_id: none but those that are dealt by an id of their own.

    Raises:
        UserError: there is no such data set, split or column.
    """
    loaded = _load(config)
    splits: list[tuple[Split | None, str]] = [
        (SPLIT_NAMES[name.lower()], name) for name in loaded if name.lower() in SPLIT_NAMES
    ]
    if len(loaded) == 1:
        splits = [(None, next(iter(loaded)))]
    if only_dealt_by_id and (len(loaded) > 1 or not (config.columns.id or config.columns.dialogue)):
        return
    if not splits:
        raise UserError(
            f"{config.path}: expected splits like train, validation and test, found "
            f"{', '.join(loaded)}; save the wanted one as a file and give that as path"
        )
    read = [name for _, name in splits]
    if other := [name for name in loaded if name not in read]:
        for name in other:
            log.drop("splits", "unknown_name", config.path, f"the split {name!r} is not read")
        log.notes.append(
            f"note: splits that are read: {', '.join(read)}; left out: {', '.join(other)}. To "
            "have one of these, save it as a file and give that as path"
        )
    for split, name in sorted(splits, key=lambda pair: -SPLITS.index(pair[0] or "train")):
        log.column = split or "input"
        rows = _rows(loaded[name], config)
        yield from conversations_of_rows(rows, config.columns, split=split, log=log)


def _load(config: ImportConfig) -> Mapping[str, Any]:
    """Split -> rows, not read yet."""
    reader = config.path
    options: dict[str, Any] = {"name": config.subset} if config.subset else {}
    try:
        if paths := local_files(config.path):
            reader, options = READERS[paths[0].suffix.lower()]
            files = files_by_split(config.path, paths)
            data_files = {split or "all": list(map(str, found)) for split, found in files.items()}
            options = {**options, "data_files": data_files}
        if reader == "csv":
            options["features"] = _all_text(paths[0], options["sep"])
        loaded: Mapping[str, Any] = datasets.load_dataset(reader, streaming=True, **options)
    except UserError:
        raise
    except Exception as error:  # the hub's client and the readers raise all kinds
        raise _cannot_read(config, error) from error
    return loaded


def _all_text(table: Path, separator: str) -> datasets.Features:
    """Every column as text: the library would read "007" and "1.0" as numbers."""
    with table.open(encoding="utf-8-sig", newline="") as lines:
        header = next(csv.reader(lines, delimiter=separator), [])
    return datasets.Features({name: datasets.Value("string") for name in header})


def _rows(rows: Any, config: ImportConfig) -> Iterator[Row]:
    """The rows with the columns that are named and no others: those need not be decoded."""
    wanted = wanted_columns(config.columns)
    try:
        found = rows.column_names
        if found is None:  # not known before a row is read
            found = list(next(iter(rows), dict.fromkeys(wanted)))
    except Exception as error:
        raise _cannot_read(config, error) from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(
            f"{config.path}: expected the column {missing[0]!r}, found {', '.join(found)}; "
            "correct --columns"
        )
    reading = iter(rows.select_columns(wanted))
    while True:
        try:
            row = next(reading, None)
        except Exception as error:
            raise _cannot_read(config, error) from error
        if row is None:
            return
        yield row


def _cannot_read(config: ImportConfig, error: Exception) -> UserError:
    return UserError(
        f"{config.path}: the library datasets cannot read it: {type(error).__name__}: {error}; "
        "check the name and the subset, the network, and whether the files are whole"
    )
