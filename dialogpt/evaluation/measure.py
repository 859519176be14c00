"""What all measures share: what they are given, what they return, sums over segments.

Shapes: N segments, G groups of them, S sums, V values, J groups left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_GROUPS = 8192
"""Up to so many segments each is a group of its own; more share groups, so that memory does not
grow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Some segments in a row. Texts are prepared as the preset says; measures only split them.

    Attributes:
        systems: a list for each system, of one hypothesis a segment.
        references: of each segment.
        contexts: turns of each segment, oldest first; none where nothing is known.
        knowledge: sentences of each segment; none where nothing is known.
    """

    systems: Sequence[Sequence[str]]
    references: Sequence[Sequence[str]]
    contexts: Sequence[Sequence[str]]
    knowledge: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SummedMetrics:
    """Metrics that are functions of sums over segments, such as BLEU, or a mean.

    Attributes:
        names: of the V values.
        sums: (G, S) float64, by group of segments: number i is in group i modulo MOST_GROUPS.
        formula: (..., S) sums over groups -> (..., V) values; nan where a value is not defined.
        num_defined: (V,) segments that a value rests on; None: all.
        are_rates: whether each segment has a 0 or a 1, whose mean is the value.
    """

    names: tuple[str, ...]
    sums: Floats
    formula: Callable[[Floats], Floats]
    num_defined: Floats | None = None
    are_rates: bool = False

    def values(self) -> Floats:
        """(V,) over all segments."""
        return self.formula(self.sums.sum(axis=0))


@dataclass(frozen=True, kw_only=True, slots=True)
class JackknifedMetrics:
    """Metrics that are no functions of sums, such as the share of n-grams that are distinct.

    Attributes:
        names: of the V values.
        all_values: (V,) float64 over all segments.
        left_out: (J, V) the same without each of J groups of segments, of sizes as equal as can be.
        highest: largest value that is possible, of each; the smallest is 0.
    """

    names: tuple[str, ...]
    all_values: Floats
    left_out: Floats
    highest: tuple[float, ...]

    def values(self) -> Floats:
        """(V,) over all segments."""
        return self.all_values


Metrics = SummedMetrics | JackknifedMetrics


class Measure(Protocol):
    """Reads segments chunk by chunk, then says what it found."""

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""

    def results(self) -> Sequence[Metrics]:
        """Of each system, in the order of `Chunk.systems`. Called once, after the last chunk."""


class GroupedSums:
    """Rows of numbers, summed by group of segments.

    Args:
        width: S.
    """

    def __init__(self, width: int) -> None:
        self._sums = np.zeros((MOST_GROUPS, width))
        self.num_segments = 0

    def add(self, rows: Floats) -> None:
        """Take in the (n, S) numbers of the next n segments."""
        for start in range(0, len(rows), MOST_GROUPS):
            part = rows[start : start + MOST_GROUPS]
            # No group twice in a part, so that += sums them all.
            groups = (self.num_segments + np.arange(len(part))) % MOST_GROUPS
            self._sums[groups] += part
            self.num_segments += len(part)

    def values(self) -> Floats:
        """(G, S); G is the number of segments, at most MOST_GROUPS."""
        return self._sums[: min(self.num_segments, MOST_GROUPS)]
