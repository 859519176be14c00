"""What a run on Spark reads: the dumps of a folder, or its Parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.inventory import DumpFile, Inventory, inventory_of
from data_prep.spark.storage import Entry, HadoopFolder
from data_prep.stages import JsonObject
from dialogpt.command_line import UserError

COMMENTS_FOLDER, SUBMISSIONS_FOLDER = "comments", "submissions"
"""Folders of Parquet in the folder of dumps, with `SparkConfig.read` "parquet"."""

_HEAD_BYTES = 8


@dataclass(frozen=True, slots=True)
class DumpSource:
    """A dump, as tasks need to know it.

    Attributes:
        number: its place in the inventory.
        dump: name, month and size; the path is good for its name only.
        pattern: where Spark reads it.
        head: its first bytes.
    """

    number: int
    dump: DumpFile
    pattern: str
    head: bytes


@dataclass(frozen=True, slots=True)
class Sources:
    """All that is read.

    Attributes:
        folder: in which it is.
        inventory: the dumps; none with Parquet.
        dumps: the same, as tasks need to know them.
        files: name -> "size" and "changed_ns" of all files.
    """

    folder: HadoopFolder
    inventory: Inventory
    dumps: tuple[DumpSource, ...]
    files: JsonObject

    @property
    def comment_bytes(self) -> int:
        """The size of what holds comments."""
        dumps = sum(dump.size for dump in self.inventory.comment_dumps)
        return dumps + sum(int(file["size"]) for file in _below(self.files, COMMENTS_FOLDER))

    @property
    def has_submissions(self) -> bool:
        """Whether there is Parquet of submissions."""
        return bool(_below(self.files, SUBMISSIONS_FOLDER))


def _below(files: JsonObject, folder: str) -> list[JsonObject]:
    return [file for name, file in files.items() if name.startswith(f"{folder}/")]


def find_dumps(folder: HadoopFolder) -> Sources:
    """The dumps of a folder.

    Raises:
        UserError: there are none, or two of one kind and month.
    """
    entries = folder.entries()
    if not entries:
        raise UserError(
            f"{folder}: expected a folder of RC_YYYY-MM.* dumps, found nothing; check --dumps"
        )
    inventory = inventory_of(str(folder), {Path(entry.name): entry.size for entry in entries})
    sources = []
    for number, dump in enumerate(inventory.dumps):
        head = folder.head(dump.name, _HEAD_BYTES)
        sources.append(DumpSource(number, dump, (folder / dump.name).pattern, head))
    names = [dump.name for dump in inventory.dumps]
    return Sources(folder, inventory, tuple(sources), _files(entries, names))


def _files(entries: Sequence[Entry], names: Sequence[str]) -> JsonObject:
    by_name = {entry.name: entry for entry in entries}
    return {
        name: {"size": by_name[name].size, "changed_ns": by_name[name].changed_ns} for name in names
    }


def find_parquet(folder: HadoopFolder) -> Sources:
    """The Parquet files of the folders `comments` and `submissions`.

    Raises:
        UserError: there are no comments.
    """
    files: JsonObject = {}
    for name in (COMMENTS_FOLDER, SUBMISSIONS_FOLDER):
        files |= _files_below(folder / name, name)
    if not _below(files, COMMENTS_FOLDER):
        raise UserError(
            f"{folder}: expected Parquet files in {COMMENTS_FOLDER}/, found none; check --dumps, "
            "or give another --spark.read"
        )
    notes = () if _below(files, SUBMISSIONS_FOLDER) else ("no Parquet of submissions",)
    return Sources(folder, Inventory((), (), notes), (), files)


def _files_below(folder: HadoopFolder, prefix: str) -> JsonObject:
    """Files in a folder and its subfolders, but for those that Spark passes over."""
    files: JsonObject = {}
    for entry in folder.entries():
        if entry.name.startswith(("_", ".")):
            continue
        name = f"{prefix}/{entry.name}"
        if entry.size is None:
            files |= _files_below(folder / entry.name, name)
        else:
            files[name] = {"size": entry.size, "changed_ns": entry.changed_ns}
    return files
