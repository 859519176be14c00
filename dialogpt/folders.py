"""Output folders that one run at a time works in."""

import errno
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.records import write_json

if sys.platform != "win32":
    import fcntl

LOCK_FILE = ".lock"


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs; the hold ends with the process, killed or not.

    On Windows, and on file systems without locks, nothing is held.

    Args:
        folder: made if absent; keeps an empty file `.lock`.

    Raises:
        UserError: another run is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a", encoding="utf-8") as holder:
        if sys.platform != "win32":
            try:
                # Not flock: worker processes would inherit it, and hold it on after a kill.
                fcntl.lockf(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise UserError(
                        f"{folder}: another run is at work in this folder; wait for it, stop it, "
                        "or name another output"
                    ) from error
        yield


def begin_folder(note: Path, content: dict[str, Any]) -> None:
    """Begin an output folder with a note, a JSON file in it, of what it is for.

    Raises:
        UserError: the folder's name is taken by a file, or by a folder with other files.
    """
    folder = note.parent
    cut_short = note.with_name(note.name + ".unfinished")  # of a run that was killed right here
    if folder.exists() and (not folder.is_dir() or {*folder.iterdir()} - {cut_short}):
        raise UserError(
            f"{folder}: expected a new or empty folder, or one that this command began, found "
            f"{'other files' if folder.is_dir() else 'a file'}; choose another --output"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(note, content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside the wanted name to write into, which gets the name if all went well.

    Args:
        path: must not exist yet, or be an empty folder.

    Yields:
        The folder to write into; removed if an error comes.

    Raises:
        UserError: something is there.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        found = "other files" if path.is_dir() else "a file"
        raise UserError(
            f"{path}: expected a new or empty folder, found {found}; name another or delete it"
        )
    unfinished = path.with_name(path.name + ".unfinished")
    if unfinished.exists():  # of a run that was killed
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if path.exists():
            path.rmdir()
        unfinished.rename(path)
    finally:
        if unfinished.exists():
            shutil.rmtree(unfinished)
