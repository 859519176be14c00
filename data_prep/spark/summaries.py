"""What the tasks report, added up."""

from collections import Counter
from collections.abc import Iterable, Sequence

from data_prep.counts import MonthCounts, count_names, merged, require_sums
from data_prep.extract_stages import EXAMPLES_PER_REASON
from data_prep.rejects import Example, least_examples
from data_prep.stages import JsonObject


class Report:
    """What all tasks told, added up as it comes: the notes of many partitions would be too many.

    Attributes:
        examples: of what was dropped.
        files: path below the output -> what the manifest says of the file.
    """

    def __init__(self) -> None:
        self.examples: list[Example] = []
        self.files: JsonObject = {}
        self._readings: list[JsonObject] = []
        self._numbers: dict[str, Counter[str]] = {}

    def add(self, note: JsonObject) -> None:
        """Take in the note of a task."""
        for month, numbers in note.pop("counts").items():
            self._numbers.setdefault(month, Counter()).update(numbers)
        self.examples = least_examples([*self.examples, *note.pop("examples")])
        self.files |= note.pop("files", {})
        if note["stage"] == "read":
            self._readings.append(note)

    def counts(self, months: Iterable[str], filter_reasons: Sequence[str]) -> MonthCounts:
        """The counts of all tasks together.

        Args:
            months: that were read; each has its counts, even if there is nothing to count.
            filter_reasons: of the FilterSet.
        """
        nothing: MonthCounts = {month: {} for month in months}
        found: MonthCounts = {month: dict(numbers) for month, numbers in self._numbers.items()}
        counts = merged([nothing, found], count_names(filter_reasons))
        require_sums(counts)
        return counts

    @property
    def readings(self) -> list[JsonObject]:
        """The notes on what was read, in order."""
        return sorted(self._readings, key=lambda note: note["place"])

    @property
    def damages(self) -> list[str]:
        """What is wrong with archives."""
        return [note["damage"] for note in self.readings if note["damage"]]

    def sha256(self, dump_number: int) -> str:
        """Checksum of a dump; "" if it was read in pieces."""
        return next((r["sha256"] for r in self._readings if r["dump"] == dump_number), "")

    def unusable(self) -> dict[str, list[str]]:
        """Reason -> the first unusable lines of each dump."""
        shown: dict[str, list[str]] = {}
        num_shown: Counter[tuple[str, int | str]] = Counter()
        for note in self.readings:
            for reason, lines in note["unusable"].items():
                key = reason, note["dump"]
                first = lines[: EXAMPLES_PER_REASON - num_shown[key]]
                num_shown[key] += len(first)
                shown.setdefault(reason, []).extend(first)
        return shown
