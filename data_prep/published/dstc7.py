"""Dumps and lists of hashes -> the multi-reference test set of DSTC-7, track 2.

The challenge published no text, only hashes of it: whoever has the dumps finds the instances again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_prep.inventory import DumpFile, Inventory, take_inventory
from data_prep.published.config import TestsetConfig
from data_prep.published.dstc7_month import HASHES, ListFiles, MonthTask, search_month
from data_prep.published.dstc7_sets import (
    FoundInstance,
    ReferenceSet,
    WrittenSet,
    read_sets,
    write_set,
)
from data_prep.published.list_files import list_digest, read_hashes
from data_prep.stages import JsonObject, Stage, Unit, Workers, key_of, run_stage
from dialogpt.command_line import UserError
from dialogpt.records import write_json, write_text

PUBLISHED_MONTHS = tuple(f"2017-{month:02d}" for month in range(4, 12))
"""The months whose dumps the published lists are about."""

_FORMAT = 1
# Changes when the same dumps and lists come to have other instances.


@dataclass(frozen=True, slots=True)
class _Lists:
    """What is wanted.

    Attributes:
        hashes: of references.
        sets: all lines of the list, or those of the keys.
        absent_keys: keys that no line has.
    """

    hashes: frozenset[str]
    sets: list[ReferenceSet]
    absent_keys: list[str]


def write_dstc7(config: TestsetConfig) -> JsonObject:
    """Write test.refs.txt, multiref.jsonl and report.json.

    Returns:
        The report: docs/published-test-sets.md says what is in it.

    Raises:
        UserError: a file is absent or has another form, or no month has both dumps.
    """
    output = Path(config.output)
    lists = _read_lists(config)
    inventory = take_inventory(Path(config.dumps))
    months = _search(config, inventory, output / "work")
    found: dict[str, FoundInstance] = {}
    for month in months:
        found.update(_read_found(output / "work" / f"{month}.jsonl", month))
    written = [write_set(listed, found, lists.hashes) for listed in lists.sets]
    write_text(output / "test.refs.txt", "".join(of_set.line for of_set in written))
    items = [of_set.item for of_set in written if of_set.item is not None]
    write_text(output / "multiref.jsonl", "".join(f"{item.to_json()}\n" for item in items))
    report = {
        "kind": "dstc7",
        "months": {
            month: {**counts, **_num_listed(month, found, lists.hashes)}
            for month, counts in months.items()
        },
        **_report(lists, found, written),
        "damaged": [month for month, counts in months.items() if counts.get("damaged_archives")],
        "notes": [*inventory.notes, *_absent_months(months)],
    }
    write_json(output / "report.json", report)
    return report


def _read_lists(config: TestsetConfig) -> _Lists:
    hashes = read_hashes(Path(config.hashes), HASHES)
    sets = read_sets(Path(config.sets))
    if not config.keys:
        return _Lists(hashes, sets, [])
    keys = read_hashes(Path(config.keys), "a file of keys like the challenge's test.2k.txt")
    known = {listed.key for listed in sets}
    return _Lists(hashes, [s for s in sets if s.key in keys], sorted(keys - known))


def _search(config: TestsetConfig, inventory: Inventory, work: Path) -> dict[str, JsonObject]:
    """What `search_month` says of each month that has both dumps."""
    work.mkdir(parents=True, exist_ok=True)
    pairs = _pairs(inventory)
    if not pairs:
        raise UserError(
            f"{config.dumps}: expected RC and RS files of the same months, found none; the "
            "conversations of a month need both"
        )
    lists = ListFiles(
        hashes=Path(config.hashes),
        sets=Path(config.sets),
        **{
            name: Path(getattr(config, name)) if getattr(config, name) else None
            for name in ("subreddits", "domains", "pages")
        },
    )
    digests = {name: list_digest(getattr(lists, name)) for name in ListFiles.__slots__}
    units = []
    for comments, submissions in pairs:
        task = MonthTask(
            month=comments.month,
            comments=comments.path,
            submissions=submissions.path,
            lists=lists,
            output=work / f"{comments.month}.jsonl",
        )
        dumps = [_identity(dump) for dump in (comments, submissions)]
        key = key_of(_FORMAT, dumps, digests)
        units.append(Unit(comments.month, task, comments.size + submissions.size, key))
    stage = Stage(label="search", measure="B", work=search_month, markers=work / "done")
    with Workers(config.num_workers) as workers:
        results = run_stage(stage, units, workers=workers)
    return {unit.name: result for unit, result in zip(units, results, strict=True)}


def _pairs(inventory: Inventory) -> list[tuple[DumpFile, DumpFile]]:
    submissions = {dump.month: dump for dump in inventory.dumps if dump.kind == "RS"}
    return [
        (dump, submissions[dump.month])
        for dump in inventory.comment_dumps
        if dump.month in submissions
    ]


def _identity(dump: DumpFile) -> list[str | int]:
    return [dump.name, dump.size, dump.path.stat().st_mtime_ns]


def _read_found(path: Path, month: str) -> Iterator[tuple[str, FoundInstance]]:
    with path.open("rb") as lines:
        for line in lines:
            value = orjson.loads(line)
            yield value.pop("hash"), FoundInstance.from_json(value, month)


def _num_listed(
    month: str, found: Mapping[str, FoundInstance], hashes: frozenset[str]
) -> JsonObject:
    of_month = (hash_ for hash_, instance in found.items() if instance.month == month)
    return {"hashes_found": sum(hash_ in hashes for hash_ in of_month)}


def _report(
    lists: _Lists, found: Mapping[str, FoundInstance], written: Sequence[WrittenSet]
) -> JsonObject:
    pairs = list(zip(lists.sets, written, strict=True))
    per_set = Counter(of_set.num_references for of_set in written)
    referred = {hash_ for listed in lists.sets for hash_ in listed.hashes}
    num_found = sum(hash_ in found for hash_ in lists.hashes)
    return {
        "hashes": {"listed": len(lists.hashes), "found": num_found},
        "sets": {
            "listed": len(lists.sets),
            "items": sum(of_set.item is not None for of_set in written),
            "whole": sum(len(s.hashes) == of_set.num_references for s, of_set in pairs),
            "without_references": per_set[0],
            "human_moved": sum(of_set.human_moved for of_set in written),
        },
        "references": {
            "listed": sum(len(listed.hashes) for listed in lists.sets),
            "written": sum(of_set.num_references for of_set in written),
            "of_other_contexts": sum(of_set.num_of_other_context for of_set in written),
        },
        "references_per_set": {str(number): per_set[number] for number in sorted(per_set)},
        "absent_keys": lists.absent_keys,
        "missing_references": sorted(
            hash_ for hash_ in referred if hash_ not in found or hash_ not in lists.hashes
        ),
    }


def _absent_months(months: Mapping[str, JsonObject]) -> list[str]:
    absent = [month for month in PUBLISHED_MONTHS if month not in months]
    return [f"not searched, of the months of the published lists: {', '.join(absent)}"] * bool(
        absent
    )


def table_lines(report: JsonObject) -> Iterator[str]:
    """The report for people."""
    months = report["months"]
    columns = ("submissions_kept", "comments_kept", "instances", "hashes_found")
    yield f"{'month':<8} {'submissions':>12} {'comments':>12} {'instances':>12} {'found':>9}"
    for month, counts in months.items():
        numbers = [counts.get(name, 0) for name in columns]
        yield "{:<8} {:>12,} {:>12,} {:>12,} {:>9,}".format(month, *numbers)
    hashes, sets, references = (report[name] for name in ("hashes", "sets", "references"))
    yield f"hashes found: {hashes['found']:,} of {hashes['listed']:,}"
    yield f"references written: {references['written']:,} of {references['listed']:,}"
    yield f"sets with all references: {sets['whole']:,} of {sets['listed']:,}"
    if sets["whole"] < sets["listed"]:
        yield (
            f"sets without any: {sets['without_references']:,}; with another human response, "
            f"because one of the first two is missing: {sets['human_moved']:,}. Scores on what is "
            "left cannot be compared with published ones; report.json has the missing hashes"
        )
    if report["absent_keys"]:
        yield f"keys that no set has: {len(report['absent_keys']):,}"
    yield from (f"note: {note}" for note in report["notes"])
    if report["damaged"]:
        yield f"damaged archives, of which only a part was read: {', '.join(report['damaged'])}"
