"""Running imports in this process, and reading single files through a source's reader."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from data_prep.dialogues import read_dialogues
from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.importer import main
from data_prep.importing.inputs import InputFile
from dialogpt.folders import sole_use
from dialogpt.records import SPLITS

REAL_SETS = Path(__file__).parent.parent.parent / "shared" / "data"

needs_real_sets = pytest.mark.skipif(
    not (REAL_SETS / "dailydialog").is_dir(), reason=f"real data sets are not at {REAL_SETS}"
)

Reader = Callable[[InputFile, ImportLog], Iterator[Conversation]]


def read_text(
    read: Reader, text: str | bytes, folder: Path, *, prefix: str = "p"
) -> tuple[list[Conversation], ImportLog]:
    """What a reader makes of a file, and what it counted."""
    path = folder / "input"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    log = ImportLog()
    return list(read(InputFile(path, "input", prefix, None), log)), log


def chat_config(source: str, **options: Any) -> ImportConfig:
    return ImportConfig(source=source, output="out", input="in", **options)


def turns_of(conversations: list[Conversation]) -> list[list[str]]:
    return [list(conversation.turns) for conversation in conversations]


def drops_of(log: ImportLog) -> dict[str, int]:
    """kind.reason -> number, over all columns."""
    return {
        name.replace("_dropped", ""): number
        for numbers in log._tally.by_month().values()
        for name, number in numbers.items()
        if "_dropped." in name
    }


def run_import(*options: str | Path) -> int:
    """The exit code of the command."""
    try:
        main([str(option) for option in options])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def rows_of(output: Path, split: str = "") -> list[dict[str, Any]]:
    """The rows of a split, or of all."""
    return [
        row
        for name in SPLITS
        if split in ("", name)
        for batch in read_dialogues(output, name)
        for row in batch.to_pylist()
    ]


def counts_of(output: Path) -> dict[str, dict[str, int]]:
    """Column or "total" -> name -> number, names of 0 left out."""
    counts = orjson.loads((output / "counts.json").read_bytes())["inputs"]
    return {
        column: {name: number for name, number in numbers.items() if number}
        for column, numbers in counts.items()
    }


def hold_folder(folder: Path, holds: Any, end: Any) -> None:
    """Have a folder for itself, in a process of its own, from one event to the other.

    Here, because a new process finds this module however pytest was started.
    """
    with sole_use(folder):
        holds.set()
        end.wait(60)
