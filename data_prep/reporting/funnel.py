"""The table of counts as a funnel: what came to each rule, what it dropped, what went on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from data_prep.reporting.folder import Counts


@dataclass(frozen=True, slots=True)
class Step:
    """One reason to drop.

    Attributes:
        reason: its name.
        num_in: how many came to it.
        num_dropped: how many it dropped.
    """

    reason: str
    num_in: int
    num_dropped: int

    @property
    def num_out(self) -> int:
        """How many went on."""
        return self.num_in - self.num_dropped

    @property
    def share(self) -> float:
        """Dropped of what came in."""
        return self.num_dropped / self.num_in if self.num_in else 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """All reasons to drop things of one kind, in the order in which they are asked.

    Attributes:
        kind: "comments", "paths", ...
        num_in: how many there were.
        steps: the reasons.
    """

    kind: str
    num_in: int
    steps: tuple[Step, ...]

    @property
    def num_out(self) -> int:
        """How many stayed."""
        return self.steps[-1].num_out if self.steps else self.num_in

    @property
    def share_kept(self) -> float:
        """How many of those that came stayed."""
        return self.num_out / self.num_in if self.num_in else 0.0

    @property
    def dropping(self) -> tuple[Step, ...]:
        """The steps that dropped something."""
        return tuple(step for step in self.steps if step.num_dropped)

    @property
    def idle(self) -> tuple[Step, ...]:
        """The steps that dropped nothing."""
        return tuple(step for step in self.steps if not step.num_dropped)


# Kind -> the count of those that came in.
_FLOWS = {
    "messages": "messages_read",
    "comments": "comments_read",
    "records": "records_read",
    "paths": "paths",
    "instances": "instances",
}
LAST_FLOWS = ("paths", "instances")
"""Kinds of what becomes dialogues."""


def flows(numbers: Mapping[str, int]) -> list[Flow]:
    """The flows of one column of counts, in their order."""
    return [
        Flow(kind, numbers[whole], tuple(_steps(kind, numbers[whole], numbers)))
        for kind, whole in _FLOWS.items()
        if whole in numbers
    ]


def last_flow(numbers: Mapping[str, int]) -> Flow | None:
    """The flow whose end is the dialogues, or None."""
    found = [flow for flow in flows(numbers) if flow.kind in LAST_FLOWS]
    return found[-1] if found else None


def _steps(kind: str, num_in: int, numbers: Mapping[str, int]) -> Iterator[Step]:
    for name, number in numbers.items():
        whole, _, reason = name.partition(".")
        if whole == f"{kind}_dropped":
            yield Step(reason, num_in, number)
            num_in -= number


StepsByColumn: TypeAlias = dict[tuple[str, str], dict[str, Step]]
"""(kind, reason) -> column -> the step there."""


def steps_by_column(counts: Counts) -> StepsByColumn:
    """The steps that dropped something in some column."""
    shares: StepsByColumn = {}
    for flow in flows(counts.total):
        for step in flow.dropping:
            shares[flow.kind, step.reason] = {}
    for column, numbers in counts.columns.items():
        for flow in flows(numbers):
            for step in flow.steps:
                if (flow.kind, step.reason) in shares:
                    shares[flow.kind, step.reason][column] = step
    return shares


def num_dialogues(numbers: Mapping[str, int]) -> int:
    """The dialogues of all splits."""
    return sum(n for name, n in numbers.items() if name.startswith("dialogues."))
