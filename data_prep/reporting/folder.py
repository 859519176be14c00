"""What stands beside the dialogues of a folder that `extract` or `import` wrote.

All of it may be absent, but for the dialogues: then the page says that it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from data_prep.dialogues import DIALOGUES_FOLDER, part_files
from data_prep.publication import MANIFEST_FILE
from dialogpt.command_line import UserError, require_folder
from dialogpt.records import SPLITS, Split

COUNTS_TABLE = "counts.tsv"
COUNTS_FILE = "counts.json"
EXAMPLES_FILE = "examples.json"
TRIGRAMS_FILE = "frequent_trigrams.tsv"
TEST_FOLDER = "testset"

OPTIONAL_FILES = {
    MANIFEST_FILE: "what the dialogues were made of",
    COUNTS_TABLE: "what was read and dropped",
    COUNTS_FILE: "damaged archives, unusable lines and missing months",
    EXAMPLES_FILE: "examples of what was dropped",
    TRIGRAMS_FILE: "the most frequent trigrams",
    TEST_FOLDER: "test items with several references",
}
"""File or folder -> what the page cannot show without it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """A table of counts, by month for `extract` and by split for `import`.

    Attributes:
        total: name -> number, in the order of the flow.
        columns: name of a column -> name -> number, without the total.
    """

    total: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def are_monthly(self) -> bool:
        """Whether a column is a month."""
        return all(column[:4].isdigit() for column in self.columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class DialogueFolder:
    """The files of a folder that the page shows.

    Attributes:
        path: the folder.
        parts: split -> its Parquet files.
        manifest: of MANIFEST_FILE; empty if there is none. So for the others.
        counts: of COUNTS_TABLE.
        notes: of COUNTS_FILE, without the numbers.
        examples: rows of `rejects.REJECT_SCHEMA`.
        trigrams: (trigram, how often it was seen), the most frequent first.
        test_files: JSON Lines of test items.
        missing: which of OPTIONAL_FILES are absent.
    """

    path: Path
    parts: Mapping[Split, Sequence[Path]]
    manifest: Mapping[str, Any]
    counts: Counts
    notes: Mapping[str, Any]
    examples: Sequence[Mapping[str, Any]]
    trigrams: Sequence[tuple[str, int]]
    test_files: Sequence[Path]
    missing: Sequence[str]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The options, nested as in the configuration."""
        settings: Mapping[str, Any] = self.manifest.get("settings", {})
        return settings

    @property
    def is_import(self) -> bool:
        """Whether `import` wrote it, so that it has no months."""
        return "source" in self.settings


def read_folder(path: Path) -> DialogueFolder:
    """All that a folder says of its dialogues.

    Raises:
        UserError: it holds no dialogues, or a file that cannot be read.
    """
    require_folder(path, "a folder of dialogues", "name one that `extract` or `import` wrote")
    parts = {split: _parts(path, split) for split in SPLITS}
    if not any(parts.values()):
        raise UserError(
            f"{path}: expected {DIALOGUES_FOLDER}/<split>/part-*.parquet, found none; name the "
            "output folder of a finished `python -m data_prep extract` or `import`"
        )
    notes = _json(path / COUNTS_FILE, {})
    examples = _json(path / EXAMPLES_FILE, [])
    return DialogueFolder(
        path=path,
        parts=parts,
        manifest=_json(path / MANIFEST_FILE, {}),
        counts=_read_counts(path / COUNTS_TABLE),
        notes={name: note for name, note in notes.items() if name not in ("months", "inputs")},
        examples=examples,
        trigrams=_read_trigrams(path / TRIGRAMS_FILE),
        test_files=sorted((path / TEST_FOLDER).glob("*.jsonl")),
        missing=[name for name in OPTIONAL_FILES if not (path / name).exists()],
    )


def _parts(path: Path, split: Split) -> list[Path]:
    return part_files(path, split) if (path / DIALOGUES_FOLDER / split).is_dir() else []


def _json(path: Path, absent: Any) -> Any:
    """The value of a JSON file, which must be of the kind that stands for its absence."""
    if not path.is_file():
        return absent
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: expected JSON, found {error}; {_REMEDY}") from error
    if not isinstance(value, type(absent)):
        raise UserError(f"{path}: expected {type(absent).__name__}, found {value!r:.60}; {_REMEDY}")
    return value


def _read_counts(path: Path) -> Counts:
    # Not from the JSON file: its names are sorted by letters, not by the flow.
    rows = _table(path)
    if not rows:
        return Counts()
    (_, *columns), *lines = rows
    try:
        by_column = {
            column: {name: int(numbers[position]) for name, *numbers in lines}
            for position, column in enumerate(columns)
        }
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: expected a table of numbers, found {error}; {_REMEDY}") from error
    return Counts(by_column.pop("total", {}), by_column)


def _read_trigrams(path: Path) -> list[tuple[str, int]]:
    try:
        return [(trigram, int(count)) for trigram, count in _table(path)]
    except ValueError as error:
        raise UserError(f"{path}: expected trigrams with counts, found {error}; {_REMEDY}") from (
            error
        )


def _table(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line.split("\t") for line in text.split("\n") if line]


_REMEDY = "delete it, or write the folder again"
