"""How what a purge leaves of some files takes their places: all of it, or nothing.

It is written to a folder `purged.unfinished` in the folder of the files, under the names that they
have there. One rename makes that folder `purged`: from there on it is whole, and whatever is
interrupted is only the way of the files to their places, which the next purge goes on with. What
vouches for other files (markers, then manifests) goes first from its place and comes last to it, so
that it never vouches for files that are not there.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from dialogpt.data.manifest import MANIFEST_FILE, file_sha256
from dialogpt.records import write_json

UNFINISHED, WHOLE = "purged.unfinished", "purged"
"""Folders of what takes the places of other files."""

MARKERS = "markers"
"""Folder of files that vouch for others, but for which a manifest vouches."""

_NOTE = "replaces.json"
"""Names of all files, and of the manifests that are replaced the checksums."""


def place_for_rest(folder: Path, name: str) -> Path:
    """Where to write what takes the place of a file.

    Args:
        folder: of the files.
        name: of the file, from there.
    """
    path = folder / UNFINISHED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def discard(folder: Path) -> None:
    """Forget what was written so far."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def put_in_place(folder: Path) -> None:
    """Put what was written in the places of the files."""
    rest = folder / UNFINISHED
    if not rest.is_dir():
        return
    names = [*_names(rest)]
    manifests = {name: _checksum(folder / name) for name in names if _rank(name) == _MANIFEST}
    write_json(rest / _NOTE, {"names": names, "manifests": manifests})
    rest.rename(folder / WHOLE)
    go_on(folder)


def go_on(folder: Path) -> None:
    """Do what is left of an interrupted `put_in_place`, if there was one.

    If another command has written the folder anew since, what is left is forgotten.
    """
    rest = folder / WHOLE
    if not rest.is_dir():
        return
    names = sorted(_names(rest), key=_rank)
    if _may_go_on(folder, names):
        for name in reversed(names):
            if _rank(name) != _FILE:
                (folder / name).unlink(missing_ok=True)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (rest / name).replace(folder / name)
    (rest / _NOTE).unlink(missing_ok=True)
    shutil.rmtree(rest)


def _may_go_on(folder: Path, names: Sequence[str]) -> bool:
    """Whether the files left are still to take the places of what is there.

    A manifest in its place must be the one to be replaced, and before any file has moved. Any other
    was written since, by a command that has brought the folder in order.
    """
    note = folder / WHOLE / _NOTE
    if not note.is_file():  # it was being forgotten when it was interrupted
        return False
    noted = json.loads(note.read_bytes())
    none_moved = len(names) == len(noted["names"])
    allowed = {
        name: (None, old if none_moved else None) for name, old in noted["manifests"].items()
    }
    return all(_checksum(folder / name) in allowed[name] for name in names if name in allowed)


_FILE, _MARKER, _MANIFEST = range(3)


def _rank(name: str) -> int:
    """In which order files get to their places."""
    if name.rpartition("/")[2] == MANIFEST_FILE:
        return _MANIFEST
    return _MARKER if name.startswith(f"{MARKERS}/") else _FILE


def _names(rest: Path) -> Iterator[str]:
    for path in sorted(rest.rglob("*")):
        if path.is_file() and path != rest / _NOTE:
            yield path.relative_to(rest).as_posix()


def _checksum(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None
