"""python -m data_prep purge: take comments that their authors have deleted out of what was made.

Every dialogue that contains one of the comments goes, from dialogues and from shards.
docs/purging.md says from what else, and what cannot be purged.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from data_prep.purging import dialogues as purge_dialogues
from data_prep.purging import places as purge_places
from data_prep.purging import shards as purge_shards
from data_prep.purging.dialogues import FolderPurge, require_extraction
from data_prep.purging.ids import PurgedIds, earlier_ids, read_ids
from data_prep.purging.shards import part_changes, require_shards
from dialogpt.command_line import UserError, parse_config, run_command
from dialogpt.folders import sole_use

LEFT_OVER = 3
"""Exit code when something was purged, but files that may hold it too were left as they are."""

_PROG = "python -m data_prep purge"
_SHOWN_IDS = 10


@dataclass(frozen=True, kw_only=True)
class PurgeConfig:
    """Remove all dialogues that contain given comments, from dialogues and from shards."""

    ids: str
    """File of ids, one a line, gzipped or not: t1_c2715 or c2715 for a comment, t3_22569 for all of
    a thread; "-" reads the standard input."""
    dialogues: tuple[str, ...] = ()
    """Folders that `extract` wrote."""
    shards: tuple[str, ...] = ()
    """Folders that `shards` wrote. Name them together with the dialogues that they were made from,
    and `shards` will find them up to date."""
    dry_run: bool = False
    """Say what would be removed, and change nothing."""

    def __post_init__(self) -> None:
        if not self.dialogues and not self.shards:
            raise ValueError("give --dialogues FOLDER ..., --shards FOLDER ..., or both")


def main(argv: Sequence[str]) -> None:
    """The command."""
    config, _ = parse_config(PurgeConfig, with_lists(argv), prog=_PROG)
    run_command(partial(purge, config))


def with_lists(argv: Sequence[str]) -> list[str]:
    """The words of a command line with `--shards A B` as one list, which is how they are parsed."""
    folders: dict[str, list[str]] = {"--dialogues": [], "--shards": []}
    others: list[str] = []
    words = others
    for word in argv:
        name, equals, value = word.partition("=")
        if name in folders:
            words = folders[name]
            words += [value] if equals else []
        elif word.startswith("--"):
            words = others
            words.append(word)
        else:
            words.append(word)
    lists = [f"{name}={orjson.dumps(found).decode()}" for name, found in folders.items() if found]
    return [*others, *lists]


def purge(config: PurgeConfig) -> None:
    """Purge, and print what was removed from where.

    Raises:
        UserError: the ids or a folder are not as they should be; no file is changed then.
        SystemExit: with LEFT_OVER, after everything else is done.
    """
    given = read_ids(config.ids)
    dialogues, shards = _each_once(config.dialogues), _each_once(config.shards)
    _require(dialogues, shards)
    with ExitStack() as held:
        if config.dry_run:
            _require_uninterrupted([*dialogues, *shards])
        else:
            for folder in sorted([*dialogues, *shards]):
                held.enter_context(sole_use(folder))
            for folder in dialogues:
                purge_dialogues.go_on(folder)
            for folder in shards:
                purge_shards.go_on(folder)
        for folder in shards:
            purge_shards.require_manifests(folder)
        earlier = {name for folder in dialogues for name in earlier_ids(folder)}
        ids = PurgedIds([*given, *earlier])
        is_change = not config.dry_run and bool(ids.names)
        purges = _prepare(dialogues, shards, ids, write=is_change)
        if is_change:
            _finish(dialogues, shards, ids)
    print(describe(purges))
    print(_describe_ids(given, ids, earlier, dry_run=config.dry_run))
    for note in (*_hints(config), *(note for purge in purges for note in purge.notes)):
        print(f"note: {note}", file=sys.stderr)
    if not config.dry_run and any(purge.incomplete for purge in purges):
        raise SystemExit(LEFT_OVER)


def _each_once(names: Sequence[str]) -> list[Path]:
    return [*{Path(name).resolve(): Path(name) for name in names}.values()]


def _require(dialogues: Sequence[Path], shards: Sequence[Path]) -> None:
    for folder in dialogues:
        require_extraction(folder)
    for folder in shards:
        require_shards(folder)


def _require_uninterrupted(folders: Sequence[Path]) -> None:
    for folder in folders:
        if (folder / purge_places.WHOLE).is_dir():
            raise UserError(
                f"{folder}: a purge was interrupted here; give its command again, then try this one"
            )


def _prepare(
    dialogues: Sequence[Path], shards: Sequence[Path], ids: PurgedIds, *, write: bool
) -> list[FolderPurge]:
    """What is to be purged from each folder; where it is to be done, all is written but in place.

    Whatever is wrong with a file shows here, while nothing has been changed.
    """
    try:
        if write:
            _discard(dialogues, shards)
        purges = [purge_dialogues.prepare(folder, ids, write=write) for folder in dialogues]
        changes = [
            change
            for folder in (dialogues if shards and write else ())
            for change in part_changes(folder)
        ]
        purges += [purge_shards.prepare(folder, ids, changes, write=write) for folder in shards]
    except BaseException:
        if write:
            _discard(dialogues, shards)
        raise
    return purges


def _discard(dialogues: Sequence[Path], shards: Sequence[Path]) -> None:
    for folder in (*dialogues, *shards):
        purge_places.discard(folder)


def _finish(dialogues: Sequence[Path], shards: Sequence[Path], ids: PurgedIds) -> None:
    """Put everything in place, in an order that lets the same command go on after a kill.

    Shards come before the dialogues they were made from: as long as these are as they were, or are
    as they will be, it can be told that they belong together.
    """
    for folder in dialogues:
        purge_dialogues.save_ids(folder, ids)
    for folder in shards:
        purge_places.put_in_place(folder)
    for folder in dialogues:
        purge_places.put_in_place(folder)
        purge_dialogues.delete_work(folder)


def describe(purges: Sequence[FolderPurge]) -> str:
    """A table, one row a place in a folder."""
    lines = [f"{'':<34}{'before':>15}{'removed':>15}{'left':>15}"]
    for purge in purges:
        lines.append(str(purge.folder))
        for place, removal in purge.removals.items():
            left = removal.num_before - removal.num_removed
            line = f"  {place:<32}{removal.num_before:>15,}{removal.num_removed:>15,}{left:>15,}"
            if removal.num_shortened:
                line += f"  ({removal.num_shortened:,} of these with fewer references)"
            lines.append(line)
    return "\n".join(lines)


def _describe_ids(given: Sequence[str], ids: PurgedIds, earlier: set[str], *, dry_run: bool) -> str:
    """What became of the ids, in words."""
    found = ids.found.intersection(given)
    missing = [name for name in given if name not in found]
    lines = [
        f"ids: {len(given):,} given, {len(found):,} found, {len(missing):,} not found anywhere"
    ]
    if missing:
        lines[0] += ": " + ", ".join(missing[:_SHOWN_IDS])
        lines[0] += ", ..." if len(missing) > _SHOWN_IDS else ""
    if before := len(earlier.intersection(missing)):
        lines.append(f"{before:,} of those not found were purged before")
    if not ids.found:
        lines.append("nothing to remove")
    if dry_run:
        lines.append("this was a dry run: nothing was changed")
    return "\n".join(lines)


def _hints(config: PurgeConfig) -> Iterator[str]:
    """What else may hold the same comments."""
    if not config.shards:
        yield (
            "shards made from these dialogues are not purged; name them with --shards, or write "
            "them again with `python -m data_prep shards`"
        )
    if not config.dialogues:
        yield (
            "the dialogues that these shards were made from are not purged; name them with "
            "--dialogues, or the comments come back when the shards are written again"
        )
