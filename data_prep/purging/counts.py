"""What an extraction says of its results, counts and checksums, brought up to date by a purge."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import orjson
import pyarrow.parquet as pq

from data_prep.counts import DUPLICATES, PURGED, MonthCounts, as_tsv, with_total
from data_prep.dialogues import num_dialogues
from data_prep.purging.places import UNFINISHED, place_for_rest
from dialogpt.data.manifest import MANIFEST_FILE, file_sha256
from dialogpt.records import write_json, write_text

COUNTS_FILE, COUNTS_TABLE = "counts.json", "counts.tsv"
TEST_ITEMS_FILE = "testset/multiref.jsonl"

_DROP = f"paths_dropped.{PURGED}"


def update_counts(folder: Path, parts: Sequence[str]) -> None:
    """Count what goes from the parts as dropped: it was a dialogue, and becomes a purged path.

    Args:
        folder: of the extraction; without counts there is nothing to do.
        parts: names in the folder of the files of dialogues that are to be replaced. The test items
            that are to be replaced are counted anew.
    """
    table, numbers = folder / COUNTS_TABLE, _newest(folder, COUNTS_FILE)
    items = folder / UNFINISHED / TEST_ITEMS_FILE
    if not (parts or items.is_file()) or not table.is_file() or not numbers.is_file():
        return
    # The table has the names in the order of the flow.
    counts = _read_table(table)
    if not any(_DROP in of_month for of_month in counts.values()):
        return  # of another source, which counts other things
    if items.is_file():
        counts = _with_test_items(counts, items)
    for name in parts:
        split = Path(name).parent.name
        gone = _months(folder / name) - _months(folder / UNFINISHED / name)
        # What somebody has put beside the extraction's own files it has not counted.
        for month, number in ((month, gone[month]) for month in gone if month in counts):
            counts[month][f"dialogues.{split}"] -= number
            counts[month][_DROP] += number
    described = json.loads(numbers.read_bytes())
    described["months"] = with_total(counts)
    write_text(place_for_rest(folder, COUNTS_TABLE), as_tsv(counts))
    write_json(place_for_rest(folder, COUNTS_FILE), described)


def recount_test_items(folder: Path) -> MonthCounts | None:
    """Count what is left of the test items, and write the counts again.

    Args:
        folder: of results from which something was taken.

    Returns:
        The counts; None if the folder has no test items.
    """
    items = folder / TEST_ITEMS_FILE
    if not items.is_file():
        return None
    counts = _with_test_items(_read_table(folder / COUNTS_TABLE), items)
    described = json.loads((folder / COUNTS_FILE).read_bytes())
    described["months"] = with_total(counts)
    write_text(folder / COUNTS_TABLE, as_tsv(counts))
    write_json(folder / COUNTS_FILE, described)
    return counts


def _with_test_items(counts: MonthCounts, items: Path) -> MonthCounts:
    """The counts with the numbers of test items and references that are in a file."""
    found: dict[str, Counter[str]] = {}
    with items.open("rb") as lines:
        for item in map(orjson.loads, lines):
            of_month = found.setdefault(item["month"], Counter())
            of_month.update(test_items=1)
            of_month["test_items.references"] += len(item["references"])
    names = ("test_items", "test_items.references")
    return {
        month: {**numbers, **{name: found.get(month, Counter())[name] for name in names}}
        for month, numbers in counts.items()
    }


def update_manifest(folder: Path, parts: Sequence[str], purged_ids: str | None) -> None:
    """Describe the parts as they will be, and the counts; without a manifest nothing is to do.

    Args:
        folder: of the extraction.
        parts: see `update_counts`, which comes first.
        purged_ids: digest of the file of purged ids as it will be, where the whole folder will be
            what an extraction makes of it; None lets the next extraction do something. So does the
            purge of an extraction that dropped duplicates: perhaps of what goes now.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return
    before = path.read_bytes()
    manifest = json.loads(before)
    files = manifest.get("files", {})
    for name in parts:
        rest = folder / UNFINISHED / name
        if name in files:
            files[name] = {"sha256": file_sha256(rest), "rows": num_dialogues(rest)}
    numbers = _newest(folder, COUNTS_FILE)
    if "counts" in manifest and numbers.is_file():
        manifest["counts"] = json.loads(numbers.read_bytes())["months"]["total"]
    dropped_duplicates = any(
        manifest.get("counts", {}).get(f"paths_dropped.{reason}") for reason in DUPLICATES
    )
    if purged_ids is not None and "purged_ids" in manifest and not dropped_duplicates:
        manifest["purged_ids"] = purged_ids
    if manifest != json.loads(before):
        write_json(place_for_rest(folder, MANIFEST_FILE), manifest)


def _newest(folder: Path, name: str) -> Path:
    """A file as it will be."""
    rest = folder / UNFINISHED / name
    return rest if rest.is_file() else folder / name


def _read_table(path: Path) -> MonthCounts:
    """What `as_tsv` wrote, without the total."""
    header, *lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    columns = {month: number for number, month in enumerate(header) if number > 1}
    return {
        month: {line[0]: int(line[column]) for line in lines} for month, column in columns.items()
    }


def _months(part: Path) -> Counter[str]:
    """Month -> dialogues."""
    return Counter(pq.read_table(part, columns=["month"]).column("month").to_pylist())
