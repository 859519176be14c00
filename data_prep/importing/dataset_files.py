"""Which local files of tables a path names, and which reader of `datasets` takes them."""

import glob
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError

# "NA", "null" and "" are texts like any other.
_AS_TEXT = {"keep_default_na": False}
READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", {**_AS_TEXT, "sep": ","}),
    ".tsv": ("csv", {**_AS_TEXT, "sep": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
}
"""End of a file's name -> reader of the library, and its options. None of these unpickles."""


def local_files(path: str) -> list[Path]:
    """The local files that a path names, by name; none if it can only be a name on the hub.

    Raises:
        UserError: the files are of no kind that is read, or of several.
    """
    place = Path(path)
    files = place.glob("*") if place.is_dir() else map(Path, glob.glob(path, recursive=True))  # noqa: PTH207
    paths = sorted(file for file in files if file.is_file() and not file.name.startswith("."))
    looks_local = place.is_absolute() or path.startswith(".") or "*" in path
    is_local = looks_local or place.exists() or place.suffix.lower() in READERS
    kinds = {file.suffix.lower() for file in paths}
    if is_local and (len(kinds) != 1 or not kinds <= READERS.keys()):
        raise UserError(
            f"{path}: expected files of one of the kinds {', '.join(READERS)}, or the name of a "
            f"data set on the hub, found {', '.join(sorted(kinds)) or 'nothing'}"
        )
    return paths
