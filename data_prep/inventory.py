"""Which dump files a folder holds: months, kinds, what is missing and what is left alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from dialogpt.command_line import UserError, require_folder

Kind = Literal["RC", "RS"]

# RS_v2_ is how the re-collected submissions of 2005 to 2010 were published.
_DUMP_NAME = re.compile(
    r"(?P<kind>RC|RS)(_v2)?_(?P<month>\d{4}-(0[1-9]|1[0-2]))"
    r"(\.(zst|zstd|bz2|xz|gz|json|jsonl|ndjson|txt))*"
)


@dataclass(frozen=True, slots=True)
class DumpFile:
    """One monthly dump.

    Attributes:
        path: the file.
        kind: "RC" for comments, "RS" for submissions.
        month: "YYYY-MM", from the name.
        size: bytes, compressed.
        changed_ns: when it was last changed, nanoseconds since 1970; 0 where nobody asks.
    """

    path: Path
    kind: Kind
    month: str
    size: int
    changed_ns: int = 0

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Inventory:
    """The dumps of a folder.

    Attributes:
        dumps: comments first, each kind in the order of months.
        skipped: names of what is not a dump.
        notes: sentences on what seems to be missing; nothing of it stops the work.
    """

    dumps: tuple[DumpFile, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def remarks(self) -> list[str]:
        """What a user should know of the folder, as sentences."""
        if not self.skipped:
            return [*self.notes]
        skipped = ", ".join(self.skipped)
        return [*self.notes, f"skipped what is no file named RC_YYYY-MM or RS_YYYY-MM: {skipped}"]

    @property
    def comment_dumps(self) -> tuple[DumpFile, ...]:
        """The RC files, by month."""
        return tuple(dump for dump in self.dumps if dump.kind == "RC")


def take_inventory(folder: Path) -> Inventory:
    """The dumps of a folder; its subfolders are not looked into.

    Raises:
        UserError: no folder, no RC file in it, two files of one kind and month, or a dump that
            is a link to nothing.
    """
    require_folder(folder, "a folder of RC_YYYY-MM.* dumps", "check --dumps")
    for path in folder.iterdir():
        if _DUMP_NAME.fullmatch(path.name) and not path.exists():
            raise UserError(
                f"{path}: expected a dump, found a link to {path.readlink()}, which is not there; "
                "is a disk missing? Mend the link or move it away"
            )
    stats = {path: path.stat() if path.is_file() else None for path in folder.iterdir()}
    inventory = inventory_of(
        str(folder), {path: stat.st_size if stat else None for path, stat in stats.items()}
    )
    changes = {path: stat.st_mtime_ns for path, stat in stats.items() if stat}
    dumps = [replace(dump, changed_ns=changes[dump.path]) for dump in inventory.dumps]
    return replace(inventory, dumps=tuple(dumps))


def inventory_of(folder: str, sizes: Mapping[Path, int | None]) -> Inventory:
    """The dumps among the entries of a folder.

    Args:
        folder: as messages call it.
        sizes: its entries, with the bytes of those that are files.

    Raises:
        UserError: no RC file, or two files of one kind and month.
    """
    dumps, skipped = [], []
    for path, size in sorted(sizes.items()):
        match = _DUMP_NAME.fullmatch(path.name)
        if match is None or size is None:
            skipped.append(path.name)
            continue
        kind: Kind = "RC" if match["kind"] == "RC" else "RS"
        dumps.append(DumpFile(path, kind, match["month"], size))
    dumps.sort(key=lambda dump: (dump.kind, dump.month))
    for earlier, later in pairwise(dumps):
        if (earlier.kind, earlier.month) == (later.kind, later.month):
            raise UserError(
                f"{folder}: expected one {earlier.kind} file for {earlier.month}, found "
                f"{earlier.name} and {later.name}; move one of them away"
            )
    if not any(dump.kind == "RC" for dump in dumps):
        found = ", ".join([*(dump.name for dump in dumps), *skipped][:5]) or "nothing"
        raise UserError(
            f"{folder}: expected comment dumps named RC_YYYY-MM (.zst, .bz2, .xz, .gz or plain "
            f"JSON lines), found {found}; check --dumps"
        )
    return Inventory(tuple(dumps), tuple(skipped), tuple(_missing(dumps)))


def _missing(dumps: Sequence[DumpFile]) -> list[str]:
    """What a reader of the counts should know about absent months."""
    comments = [dump.month for dump in dumps if dump.kind == "RC"]
    submissions = {dump.month for dump in dumps if dump.kind == "RS"}
    first, last = _month_number(comments[0]), _month_number(comments[-1])
    expected = [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(first, last + 1)]
    notes = []
    for what, months in (
        ("comment dumps (RC) of months in between", sorted(set(expected) - set(comments))),
        ("submission dumps (RS)", sorted(set(comments) - submissions)),
        ("comment dumps (RC) of months with submissions", sorted(submissions - set(comments))),
    ):
        if months:
            notes.append(f"no {what}: {', '.join(_ranges(months))}")
    return notes


def _ranges(months: Sequence[str]) -> list[str]:
    """Months that follow one another as "first to last"; months ascend."""
    runs: list[list[str]] = []
    for month in months:
        if runs and _month_number(month) == _month_number(runs[-1][-1]) + 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]


def _month_number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1
