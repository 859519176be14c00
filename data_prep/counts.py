"""How many comments and paths came in, were dropped for which reason, and stayed, by month.

A comment counts for the month of its dump, a path for the month of its last comment. Two sums hold
in every month:

    comments_read = comments_kept + all of comments_dropped
    paths = dialogues of all splits + all of paths_dropped
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from data_prep.filters import TOO_MANY_WORDS
from data_prep.normalize import TURN_DROPS
from data_prep.post_fields import UNUSABLE
from dialogpt.records import SPLITS

MonthCounts: TypeAlias = dict[str, dict[str, int]]
"""Month ("2015-02") -> name -> number; a name that is not there stands for 0."""

TRUNCATED_ARCHIVE = "truncated_archive"
"""Reason of a record that the end of a damaged file cut in two."""
EXCLUDED_SUBREDDIT = "excluded_subreddit"
DUPLICATE_ID = "duplicate_id"
TOO_FEW_TURNS = "too_few_turns"
BLAND = "bland"
"""Reason of dialogues whose response says what everybody says: see `data_prep.blandness`."""
DUPLICATES = ("duplicate", "near_duplicate")
"""Reasons of dialogues that say, exactly or nearly, what another one says that stays."""
PURGED = "purged"
"""Reason of dialogues with a comment that somebody wanted to have removed."""

COMMENT_DROPS = (*UNUSABLE, TRUNCATED_ARCHIVE, EXCLUDED_SUBREDDIT, DUPLICATE_ID, *TURN_DROPS)

_LABEL_WIDTH = 34
_TABLE_WIDTH = 100


class Tally:
    """Counts by month and name while they are being made."""

    def __init__(self) -> None:
        self._numbers: Counter[tuple[str, str]] = Counter()

    def add(self, month: str, name: str, number: int = 1) -> None:
        """Count some more of a name."""
        if number:
            self._numbers[month, name] += number

    def add_each(self, months: NDArray[np.integer], name: str) -> None:
        """Count one for each month number (201502) of an array."""
        for month, number in zip(*np.unique(months, return_counts=True), strict=True):
            self.add(month_name(int(month)), name, int(number))

    def by_month(self) -> MonthCounts:
        """The counts so far."""
        counts: MonthCounts = {}
        for (month, name), number in sorted(self._numbers.items()):
            counts.setdefault(month, {})[name] = number
        return counts


def month_number(month: str) -> int:
    """The month 2015-02 as the number 201502."""
    return int(month.replace("-", ""))


def month_name(number: int) -> str:
    """The month number 201502 as "2015-02"."""
    return f"{number // 100:04d}-{number % 100:02d}"


def count_names(filter_reasons: Sequence[str]) -> list[str]:
    """All names of preset "paper", in the order of the flow.

    Args:
        filter_reasons: of the FilterSet.
    """
    return names_of(
        comment_drops=COMMENT_DROPS,
        comment_facts=("unknown_submission", "unknown_parent", "circle_cut"),
        path_drops=(
            TOO_FEW_TURNS, TOO_MANY_WORDS, *filter_reasons, BLAND, PURGED, *DUPLICATES,
        ),
        further=("test_items", "test_items.references"),
    )  # fmt: skip


def names_of(
    *,
    comment_drops: Sequence[str],
    path_drops: Sequence[str],
    comment_facts: Sequence[str] = (),
    submission_drops: Sequence[str] = (),
    further: Sequence[str] = (),
) -> list[str]:
    """All names that something is counted under, in the order of the flow.

    Args:
        comment_drops: why comments are dropped.
        path_drops: why paths are; of equal ones the first counts.
        comment_facts: what may be odd about comments that are kept.
        submission_drops: why submissions are dropped.
        further: names that come last.
    """
    return [
        "submissions_read",
        "submissions_unusable",
        *(f"submissions_dropped.{reason}" for reason in submission_drops),
        "comments_read",
        *(f"comments_dropped.{reason}" for reason in comment_drops),
        "comments_kept",
        *(f"comments_kept.{fact}" for fact in comment_facts),
        "paths",
        *(f"paths_dropped.{reason}" for reason in dict.fromkeys(path_drops)),
        *(f"dialogues.{split}" for split in SPLITS),
        *further,
    ]


def merged(parts: Iterable[MonthCounts], names: Sequence[str]) -> MonthCounts:
    """The sums of several counts, months ascending, with every name in every month."""
    totals: dict[str, Counter[str]] = {}
    for part in parts:
        for month, numbers in part.items():
            unknown = numbers.keys() - set(names)
            assert not unknown, f"counted under names that no table shows: {sorted(unknown)}"
            totals.setdefault(month, Counter()).update(numbers)
    return {month: {name: totals[month][name] for name in names} for month in sorted(totals)}


def require_sums(counts: MonthCounts) -> None:
    """Make sure that nothing was lost uncounted.

    Raises:
        AssertionError: a month's numbers do not add up; the fault is ours, not the user's.
    """
    for month, numbers in counts.items():
        for whole, parts in (
            ("comments_read", ("comments_kept", "comments_dropped.")),
            ("paths", ("dialogues.", "paths_dropped.")),
        ):
            total = sum(
                number
                for name, number in numbers.items()
                if name in parts or name.startswith(tuple(part for part in parts if "." in part))
            )
            assert numbers[whole] == total, f"{month}: {whole} is {numbers[whole]}, parts {total}"


def with_total(counts: MonthCounts) -> MonthCounts:
    """The counts with a first column "total"."""
    total: Counter[str] = Counter()
    for numbers in counts.values():
        total.update(numbers)
    names = next(iter(counts.values()), {})
    return {"total": {name: total[name] for name in names}, **counts}


def as_tsv(counts: MonthCounts) -> str:
    """One line a name, one column a month, tab-separated."""
    columns = with_total(counts)
    lines = [["count", *columns]]
    lines += [
        [name, *(str(numbers[name]) for numbers in columns.values())] for name in columns["total"]
    ]
    return "".join("\t".join(line) + "\n" for line in lines)


def as_text(counts: MonthCounts) -> str:
    """A table for people: _TABLE_WIDTH columns wide, further months below one another.

    Reasons that never occurred are left out; the file has them.
    """
    columns = with_total(counts)
    names = [name for name, number in columns["total"].items() if number or "_dropped." not in name]
    months = list(columns)
    width = 3 + max(7, *(len(f"{number:,}") for number in columns["total"].values()))
    per_block = (_TABLE_WIDTH - _LABEL_WIDTH) // width
    blocks = []
    for start in range(0, len(months), per_block):
        shown = months[start : start + per_block]
        lines = [" " * _LABEL_WIDTH + "".join(f"{month:>{width}}" for month in shown)]
        for name in names:
            whole, _, part = name.partition(".")
            label = f"  - {part}" if whole.endswith("_dropped") else name.replace(".", ", ")
            numbers = "".join(f"{columns[month][name]:>{width},}" for month in shown)
            lines.append(f"{label:<{_LABEL_WIDTH}}{numbers}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)
