"""What an evaluation found: numbers, their intervals, and what must be known to compare them."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Written = Literal["percent", "number"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricFacts:
    """What a number depends on, besides the replies.

    Attributes:
        name: of the metric; with the preset it says which number it is.
        short: the same as a table's heading.
        text: what was done to texts before they were split.
        tokens: how they were split.
        case: "lower" or "kept".
        uses_references: whether references enter.
        higher_is_better: None where neither direction is better.
        written: percent for what lies between 0 and 1 and is printed times 100, or number.
        digits: behind the point.
        note: what else should be known; may be empty.
    """

    name: str
    short: str
    text: str
    tokens: str
    case: str
    uses_references: bool = False
    higher_is_better: bool | None = True
    written: Written = "number"
    digits: int = 2
    note: str = ""

    def shown(self, value: float) -> str:
        """A value as a table has it; n/a for what is not a number."""
        if math.isnan(value):
            return "n/a"
        if self.written == "percent":
            return f"{100.0 * value:.{self.digits}f}%"
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A number with its 95 % confidence interval; nan where it could not be measured.

    Attributes:
        value: over all segments.
        low, high: ends of the interval.
        num_segments: those that the value rests on.
    """

    value: float
    low: float
    high: float
    num_segments: int

    @property
    def has_interval(self) -> bool:
        """Whether there is one: a single segment has none."""
        return not (math.isnan(self.low) or math.isnan(self.high))


NOT_MEASURED = Score(value=math.nan, low=math.nan, high=math.nan, num_segments=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemScores:
    """What one system reached.

    Attributes:
        name: as given.
        file: where its replies were read.
        scores: by the metric's name.
    """

    name: str
    file: str
    scores: dict[str, Score]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two systems by one metric.

    Attributes:
        metric: its name.
        first, second: names of the systems.
        difference: of the first's value over the second's.
        low, high: 95 % confidence interval of the difference.
        p: two-sided.
    """

    metric: str
    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All that one run of `python -m dialogpt.evaluate` found.

    Attributes:
        preset: its name.
        test_set: files, number of segments and references.
        metrics: in the order of the table.
        systems: in the order of the table.
        comparisons: of systems, metric by metric.
        missing: metric -> why it could not be measured.
        settings: options that matter: draws, seed.
        model: numbers of a language model itself, under the names of `model_metrics`; None where
            none was measured.
        model_metrics: what they depend on.
    """

    preset: str
    test_set: "TestSetFacts"
    metrics: tuple[MetricFacts, ...]
    systems: tuple[SystemScores, ...]
    comparisons: tuple[Comparison, ...]
    missing: dict[str, str]
    settings: dict[str, Any]
    model: SystemScores | None = None
    model_metrics: tuple[MetricFacts, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """For a JSON file, which has no nan: null stands for it."""
        record: dict[str, Any] = _without_nan(asdict(self))
        return record


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, kw_only=True, slots=True)
class TestSetFacts:
    """Which test set, and how large.

    Attributes:
        files: as given.
        num_segments: items.
        fewest_references, most_references, mean_references: different ones of an item that count.
        slots: which references counted, in words.
    """

    __test__ = False  # pytest takes a class of this name for tests

    files: tuple[str, ...]
    num_segments: int
    fewest_references: int
    most_references: int
    mean_references: float
    slots: str

    @property
    def references(self) -> str:
        """How many references an item has, in words."""
        if self.fewest_references == self.most_references:
            return f"{self.most_references}"
        mean = f"mean {self.mean_references:.1f}"
        return f"{self.fewest_references} to {self.most_references}, {mean}"
