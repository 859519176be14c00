"""What came in, what was dropped and why, and what came out.

Two sums hold in every column:

    records_read = records_kept + all of records_dropped
    instances = dialogues of all splits + all of instances_dropped
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from data_prep.counts import Tally, as_text, as_tsv, with_total
from dialogpt.records import SPLITS

EXAMPLES_PER_REASON = 5

_ORDER = (
    "splits_dropped",
    "messages_read",
    "messages_dropped",
    "messages_cut",
    "records_read",
    "records_dropped",
    "records_kept",
    "turns_dropped",
    "dialogues_cut",
    "instances",
    "instances_dropped",
    "dialogues",
    "test_items_read",
    "test_items_dropped",
    "test_items",
    "references_dropped",
    "references",
)


class ImportLog:
    """Counts by column (train, valid, test, input) and name, and examples of what was dropped.

    Attributes:
        column: where counts go now.
        notes: what the user should be told at the end, whatever the counts are.
        examples: kind and reason, as in "records.not_json" -> the first few drops of them.
    """

    def __init__(self, report: Callable[[int], object] = lambda _: None) -> None:
        """Begin with nothing.

        Args:
            report: told how many bytes of the input were read since the last call.
        """
        self.column = "input"
        self.notes: list[str] = []
        self.examples: dict[str, list[str]] = {}
        self.report = report
        self._tally = Tally()

    def add(self, name: str, number: int = 1) -> None:
        """Count some more of a name, e.g. `records_read` or `instances_dropped.too_few_turns`."""
        self._tally.add(self.column, name, number)

    def drop(self, kind: str, reason: str, where: str, message: str) -> None:
        """Count a drop, and keep it if it is among the first of its reason.

        Args:
            kind: what is dropped: records, messages, turns, instances, test_items, splits.
            reason: why, in a name.
            where: file and line or the like.
            message: what was expected and what was found.
        """
        self.add(f"{kind}_dropped.{reason}")
        examples = self.examples.setdefault(f"{kind}.{reason}", [])
        if len(examples) < EXAMPLES_PER_REASON:
            examples.append(f"{where}: {message}")

    def counts(self) -> dict[str, dict[str, int]]:
        """Column -> name -> number, each name in every column, in the order of the flow.

        Raises:
            AssertionError: something was lost uncounted; the fault is ours.
        """
        found = self._tally.by_month()
        names = {name for numbers in found.values() for name in numbers}
        names |= {"records_read", "records_kept", "instances"}
        names |= {f"dialogues.{split}" for split in SPLITS}
        ordered = sorted(names, key=_place)
        columns = sorted(found, key=lambda column: (*SPLITS, "input", column).index(column))
        counts = {
            column: {name: found[column].get(name, 0) for name in ordered} for column in columns
        }
        for column, numbers in counts.items():
            _require_sum(numbers, "records_read", ("records_kept", "records_dropped."), column)
            _require_sum(numbers, "instances", ("dialogues.", "instances_dropped."), column)
        return counts

    def as_json(self) -> dict[str, Any]:
        """All of it for counts.json."""
        return {"inputs": with_total(self.counts()), "examples_of_drops": self.examples}

    def as_text(self) -> str:
        """The table that people read."""
        return as_text(self.counts())

    def as_tsv(self) -> str:
        """The table for programs."""
        return as_tsv(self.counts())

    def total(self) -> Counter[str]:
        """Name -> number in all columns."""
        total: Counter[str] = Counter()
        for numbers in self.counts().values():
            total.update(numbers)
        return total


def _place(name: str) -> tuple[int, int, str]:
    whole, _, part = name.partition(".")
    in_flow = _ORDER.index(whole) if whole in _ORDER else len(_ORDER)
    return in_flow, SPLITS.index(part) if part in SPLITS else 0, part


def _require_sum(numbers: dict[str, int], whole: str, parts: tuple[str, ...], column: str) -> None:
    total = sum(n for name, n in numbers.items() if name == parts[0] or name.startswith(parts))
    assert numbers[whole] == total, f"{column}: {whole} is {numbers[whole]}, its parts {total}"
