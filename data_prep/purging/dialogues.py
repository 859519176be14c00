"""Purging the output folder of an extraction: which files there are, and what becomes of them.

What is left of each file is written beside it (`prepare`), and when all of that is whole, it takes
the places of the files: see `data_prep.purging.places`.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from data_prep.counts import MonthCounts
from data_prep.dialogues import DIALOGUES_FOLDER
from data_prep.publication import read_manifest, require_no_links
from data_prep.purging import places as purge_places
from data_prep.purging.counts import recount_test_items, update_counts, update_manifest
from data_prep.purging.files import (
    Purge,
    Removal,
    purge_dialogues,
    purge_json,
    purge_rejects,
    purge_test_items,
)
from data_prep.purging.ids import PURGED_IDS_FILE, PurgedIds, file_of_ids, read_ids
from data_prep.purging.places import UNFINISHED, place_for_rest
from dialogpt.command_line import UserError, require_folder
from dialogpt.data.manifest import MANIFEST_FILE
from dialogpt.folders import LOCK_FILE
from dialogpt.records import write_text

KINDS: tuple[tuple[str, Purge], ...] = (
    (f"{DIALOGUES_FOLDER}/*/part-*.parquet", purge_dialogues),
    ("rejects/*.parquet", purge_rejects),
    ("testset/*.jsonl", purge_test_items),
    ("examples.json", purge_json),
    ("counts.json", purge_json),
)
"""Files of an extraction that hold what people said, and how it is taken out of each kind. To have
another kind purged, add it here."""

WITHOUT_IDS = ("reference/*.tsv",)
"""Files that hold what people said, and not who said it: nothing can be taken out of them."""

WITHOUT_COMMENTS = (
    "counts.tsv",
    "extract.json",
    "extract.yaml",
    "frequent_trigrams.tsv",
    "import.yaml",
    "plan.json",
    LOCK_FILE,
    MANIFEST_FILE,
    PURGED_IDS_FILE,
)
"""Files of an extraction that hold nothing of a single comment."""

WORK_FOLDER = "work"
"""Spills and candidates, with all comments of the dumps: it is deleted as a whole."""

_DELETED = "work.deleted"
"""Name of the work folder while it is deleted, so that no extraction goes on with half of it."""

_NEXT = "next"  # see data_prep.publication
_SHOWN_NAMES = 5


@dataclass(slots=True)
class FolderPurge:
    """What a purge takes out of one folder.

    Attributes:
        folder: which.
        removals: what is concerned, by its place in the folder ("dialogues/train").
        notes: what the user should know.
        incomplete: whether files stay that may hold what is to be purged.
    """

    folder: Path
    removals: dict[str, Removal] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    incomplete: bool = False

    def add(self, place: str, removal: Removal) -> None:
        """Count some more at a place."""
        self.removals[place] = self.removals.get(place, Removal()) + removal


def require_extraction(folder: Path) -> None:
    """Raise UserError unless the folder is one of dialogues, and whole or not yet finished."""
    require_folder(folder, "the output folder of an extraction", "check --dialogues")
    require_no_links(folder)
    begun = any((folder / name).is_file() for name in ("extract.json", "plan.json"))
    if not begun and not (folder / DIALOGUES_FOLDER).is_dir():
        raise UserError(
            f"{folder}: expected the output folder of `python -m data_prep extract`, found no "
            f"{DIALOGUES_FOLDER} in it; check --dialogues"
        )
    if (folder / _NEXT).is_dir():
        raise UserError(
            f"{folder}: an extraction was interrupted while its results got their names; give "
            "the extract command again, then purge"
        )


def go_on(folder: Path) -> None:
    """Do what is left of an interrupted purge, if there was one; see `purge_places.go_on`."""
    purge_places.go_on(folder)
    for path in folder.glob("*.unfinished"):  # half a file of a command that was killed
        if path.is_file():
            path.unlink()


def prepare(folder: Path, ids: PurgedIds, *, write: bool) -> FolderPurge:
    """What is to be purged from a folder; its files stay as they are.

    Args:
        folder: of an extraction.
        ids: of comments and threads.
        write: whether to write what is left of the files, for `purge_places.put_in_place`; else
            they are only searched.

    Raises:
        UserError: a file is damaged.
    """
    purge = FolderPurge(folder)
    replaced = []
    files = _files(folder)
    for name, kind in tqdm(files, desc=f"purge {folder}", unit=" files", disable=None):
        removal = kind(folder / name, ids, place_for_rest(folder, name) if write else None)
        purge.add(_place(name), removal)
        if removal:
            replaced.append(name)
    digest = hashlib.sha256(file_of_ids(ids.names).encode()).hexdigest()
    manifest = read_manifest(folder)
    is_new = bool(replaced) or manifest is None or manifest.get("purged_ids") != digest
    _look_at_others(purge, found=bool(replaced), is_new=is_new and bool(ids.names))
    if write:
        parts = [name for name in replaced if name.startswith(f"{DIALOGUES_FOLDER}/")]
        update_counts(folder, parts)
        update_manifest(folder, parts, None if _names_without_ids(folder) else digest)
    return purge


def keep_out(final: Path, purged_ids: Path) -> MonthCounts | None:
    """Take what was purged earlier out of the results of another extraction of the same dumps.

    Dialogues are free of it already; what shows comments beside them is not.

    Args:
        final: folder of results that are not published yet.
        purged_ids: file of ids; may be absent.

    Returns:
        The counts, if they may be others now.
    """
    if not purged_ids.is_file():
        return None
    ids = PurgedIds(read_ids(str(purged_ids)))
    for pattern, kind in KINDS[1:]:
        for path in sorted(final.glob(pattern)):
            rest = path.with_name(path.name + ".unfinished")
            if kind(path, ids, rest):
                rest.replace(path)
    return recount_test_items(final)


def save_ids(folder: Path, ids: PurgedIds) -> None:
    """Note what is purged from a folder, so that no extraction brings it back."""
    write_text(folder / PURGED_IDS_FILE, file_of_ids(ids.names))


def delete_work(folder: Path) -> None:
    """Delete the comments of the dumps, if there are any."""
    shutil.rmtree(folder / _DELETED, ignore_errors=True)  # of a purge that was killed here
    if (folder / WORK_FOLDER).is_dir():
        (folder / WORK_FOLDER).rename(folder / _DELETED)
        shutil.rmtree(folder / _DELETED)


def _files(folder: Path) -> list[tuple[str, Purge]]:
    """Name in the folder -> how to purge it, of all files that can be."""
    return [
        (path.relative_to(folder).as_posix(), kind)
        for pattern, kind in KINDS
        for path in sorted(folder.glob(pattern))
    ]


def _place(name: str) -> str:
    """Where a file is counted: in its folder, or by itself at the top."""
    return name.rpartition("/")[0] or name


def _look_at_others(purge: FolderPurge, *, found: bool, is_new: bool) -> None:
    """Say from which files nothing is taken though they may hold what is to be purged.

    Args:
        purge: of the folder.
        found: whether other files held it.
        is_new: whether it may be that what made the folder did not know all of the ids.
    """
    folder = purge.folder
    if (folder / WORK_FOLDER).is_dir():
        purge.notes.append(
            f"{folder / WORK_FOLDER} holds all comments of the dumps, so it is deleted; an "
            "extraction with other options reads the dumps again"
        )
    without_ids, strange = _names_without_ids(folder), _strange_names(folder)
    if without_ids:
        purge.notes.append(
            f"{folder}: {_listed(without_ids)}: lines without ids, so nothing can be taken out; "
            "give the extract command again, which writes them without what was purged"
        )
    if strange:
        purge.notes.append(
            f"{folder}: {_listed(strange)}: purge does not know such files and has not looked "
            "into them; delete them if they hold comments"
        )
    purge.incomplete = bool(without_ids and is_new) or bool(strange and found)


def _names_without_ids(folder: Path) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for pattern in WITHOUT_IDS
        for path in sorted(folder.glob(pattern))
    ]


def _strange_names(folder: Path) -> list[str]:
    known = {*(name for name, _ in _files(folder)), *_names_without_ids(folder), *WITHOUT_COMMENTS}
    return [
        name
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (name := path.relative_to(folder).as_posix()) not in known
        and name.partition("/")[0] not in (WORK_FOLDER, _DELETED, UNFINISHED)
    ]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    return shown + (f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else "")
