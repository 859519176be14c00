"""Which local files of tables a path names, of which split, and which reader takes them."""

import glob
import re
from pathlib import Path
from typing import Any

from data_prep.importing.json_lines import SPLIT_NAMES
from dialogpt.command_line import UserError
from dialogpt.records import Split

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


def files_by_split(path: str, paths: list[Path]) -> dict[Split | None, list[Path]]:
    """The files of each split, told by a word of their names: train-00000-of-00002, my_test, dev.

    Files whose names tell no split are all under None.

    Args:
        path: what names the files.
        paths: the files, by name.

    Raises:
        UserError: only some files tell a split by their names, or one tells two.
    """
    found: dict[Split | None, list[Path]] = {}
    for file in paths:
        words = re.findall("[a-z]+", file.stem.lower())
        splits = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
        if len(splits) > 1 and len(paths) > 1:
            raise UserError(
                f"{path}: expected names of files with one of the words {', '.join(SPLIT_NAMES)}, "
                f"or none, found {file.name}; rename it"
            )
        found.setdefault(splits.pop() if len(splits) == 1 else None, []).append(file)
    if None in found and len(found) > 1:
        named = next(files[0] for split, files in found.items() if split)
        raise UserError(
            f"{path}: expected names with a split ({', '.join(SPLIT_NAMES)}) for all files or for "
            f"none, found {named.name} and {found[None][0].name}; rename files, or let --path be a "
            "pattern that leaves some out"
        )
    return found
