"""What others have published: DSTC7's files of judgments, and tables of counts."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.humaneval.answers import VALUES
from dialogpt.humaneval.fields import Fields, mistake, parsed, read_text
from dialogpt.humaneval.judgments import Judgment

DSTC7_STUDY = "DSTC7"
DSTC7_MERGED = {"TeamEC": "TeamCE"}
"""System -> whose judgments its own are added to: one system that was judged twice."""
_DSTC7_COLUMNS = ("JudgeID", "InstanceID", "SystemID")
_OLDER_COLUMNS = {"Hash": "InstanceID", "Team": "SystemID"}

_NUMBER = re.compile(r" *[0-9]{1,18} *")
_ANSWERS = tuple(str(answer) for answer in VALUES["pairwise"])
MOST_JUDGMENTS = 10_000_000
"""Of a comparison; each takes memory."""
COUNTS_COLUMNS = ("system_1", "system_2", "aspect", *_ANSWERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedCounts:
    """A row of a table of preferences.

    Attributes:
        systems: the first and the second.
        aspect: what they were compared for.
        counts: judgments for the first, for neither, for the second.
    """

    systems: tuple[str, str]
    aspect: str
    counts: tuple[int, int, int]


def is_dstc7(path: Path) -> bool:
    """Whether a file begins like the per-judge files of DSTC7."""
    with path.open("rb") as source:
        head = source.readline(1000)
    return head.removeprefix(b"\xef\xbb\xbf").startswith(_DSTC7_COLUMNS[0].encode() + b"\t")


def read_dstc7(path: Path) -> tuple[list[Judgment], list[str]]:
    """The judgments of a per-judge file of DSTC7, track 2, and what to say about them.

    The format (repository mgalley/DSTC7-End-to-End-Conversation-Modeling, folder evaluation): UTF-8
    with a BOM, tab-separated; JudgeID, InstanceID, SystemID (older: Hash, Team), then an aspect a
    column, integers from 1 to 5. Systems are merged as in DSTC7_MERGED. Instances get the numbers
    of their sorted names. A judge may have judged a reply twice: of the 33,000 rows that were
    published 54 come again. All count, because the means that were published with them count all.

    Raises:
        UserError: a line is none of these.
    """
    lines = [line.split("\t") for line in read_text(path).split("\n")]
    header = [_OLDER_COLUMNS.get(name, name) for name in lines[0]]
    aspects = [name for name in header if name not in _DSTC7_COLUMNS]
    if sorted(header) != sorted({*_DSTC7_COLUMNS, *aspects}) or not aspects:
        raise mistake(f"{path}:1", f"columns {', '.join(_DSTC7_COLUMNS)} and aspects", lines[0])
    rows: list[tuple[int, dict[str, str]]] = []
    for line_number, cells in enumerate(lines[1:], start=2):
        if cells == [""]:
            continue
        if len(cells) != len(header):
            raise mistake(f"{path}:{line_number}", f"{len(header)} columns", cells)
        rows.append((line_number, dict(zip(header, cells, strict=True))))
    names = sorted({row["InstanceID"] for _, row in rows})
    numbers = {name: number for number, name in enumerate(names)}
    judgments = [
        _dstc7_judgment(row, aspect, numbers, where=f"{path}:{line_number}")
        for line_number, row in rows
        for aspect in aspects
    ]
    # Under the names of the file: a system that was judged twice is two there.
    judged = Counter(tuple(row[name] for name in _DSTC7_COLUMNS) for _, row in rows)
    num_again = judged.total() - len(judged)
    again = f"{num_again:,} of {len(rows):,} rows judge a reply that their judge has judged before"
    return judgments, [f"{again}; all count, as in DSTC7"] if num_again else []


def _dstc7_judgment(
    row: Mapping[str, str], aspect: str, numbers: Mapping[str, int], *, where: str
) -> Judgment:
    allowed = VALUES["rating_1_5"]
    if row[aspect] not in map(str, allowed):
        raise mistake(f"{where}, {aspect}", "an integer from 1 to 5", row[aspect])
    systems = (DSTC7_MERGED.get(row["SystemID"], row["SystemID"]),)
    return Judgment(
        study=DSTC7_STUDY,
        kind="rating_1_5",
        judge=row["JudgeID"],
        item=f"{row['InstanceID']} {systems[0]}",
        purpose="judged",
        context_index=numbers[row["InstanceID"]],
        systems=systems,
        shown=systems,
        aspect=aspect,
        value=int(row[aspect]),
        passed=None,
        seconds=None,
        comment="",
    )


def read_counts(path: Path) -> list[PublishedCounts]:
    """Rows of system_1, system_2, aspect, first, neutral, second: CSV, or a JSON list of objects.

    Raises:
        UserError: a row is none, holds no judgment, compares a system with itself, or comes twice,
            in whatever order of its systems.
    """
    text = read_text(path)
    rows: list[PublishedCounts] = []
    for where, value in _json_rows(text, path) if path.suffix == ".json" else _csv_rows(text, path):
        fields = Fields(value, where)
        row = PublishedCounts(
            systems=(fields.text("system_1"), fields.text("system_2")),
            aspect=fields.text("aspect"),
            counts=(fields.whole("first"), fields.whole("neutral"), fields.whole("second")),
        )
        if not 0 < sum(row.counts) <= MOST_JUDGMENTS:
            raise mistake(where, f"1 to {MOST_JUDGMENTS:,} judgments", row.counts)
        if row.systems[0] == row.systems[1]:
            raise mistake(where, "two different systems", row.systems)
        if any(({*row.systems}, row.aspect) == ({*other.systems}, other.aspect) for other in rows):
            raise mistake(where, "each pair and aspect once", (*row.systems, row.aspect))
        rows.append(row)
    if not rows:
        raise UserError(
            f"{path}: expected a comparison a row, found none; write rows of "
            f"{', '.join(COUNTS_COLUMNS)}"
        )
    return rows


def _json_rows(text: str, path: Path) -> Iterable[tuple[str, Any]]:
    values = parsed(text, str(path))
    if not isinstance(values, list):
        raise mistake(str(path), "a list of objects", values)
    return [(f"{path}, row {number}", value) for number, value in enumerate(values, start=1)]


def _csv_rows(text: str, path: Path) -> Iterable[tuple[str, Any]]:
    reader = csv.DictReader(StringIO(text))
    try:
        if not set(COUNTS_COLUMNS) <= set(reader.fieldnames or ()):
            raise mistake(f"{path}:1", f"columns {', '.join(COUNTS_COLUMNS)}", reader.fieldnames)
        return [(f"{path}:{reader.line_num}", _with_numbers(row, _ANSWERS)) for row in reader]
    except csv.Error as error:
        raise mistake(f"{path}:{reader.line_num + 1}", "CSV", str(error)) from error


def _with_numbers(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The row with integers where they can be read as such."""
    return {
        name: int(cell) if name in columns and _NUMBER.fullmatch(str(cell)) else cell
        for name, cell in row.items()
    }
