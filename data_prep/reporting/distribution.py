"""How often each whole number was seen: exact, however many there were."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

_ROUND_WIDTHS = (1, 2, 5)
_FEW_BARS = 12  # of which none needs to stand for all beyond
_NEAR = 3  # bars


@dataclass(frozen=True, slots=True)
class Bar:
    """The numbers from first to last, both included, and how many there were.

    Attributes:
        first: None: all up to last.
        last: None: all from first on.
        count: how many.
    """

    first: int | None
    last: int | None
    count: int

    @property
    def is_open(self) -> bool:
        """Whether it has no end on one side."""
        return self.first is None or self.last is None


class Distribution:
    """Counts of whole numbers. Memory grows with the different ones, not with all of them."""

    def __init__(self) -> None:
        self._values = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)

    def add(self, values: NDArray[np.integer]) -> None:
        """Count some more.

        Args:
            values: of any shape.
        """
        new_values, new_counts = np.unique(np.asarray(values, np.int64), return_counts=True)
        together = np.concatenate([self._values, new_values])
        self._values, positions = np.unique(together, return_inverse=True)
        counts = np.zeros(len(self._values), np.int64)
        np.add.at(counts, positions, np.concatenate([self._counts, new_counts]))
        self._counts = counts

    def items(self) -> Iterator[tuple[int, int]]:
        """Each number that was seen with its count, ascending."""
        yield from zip(self._values.tolist(), self._counts.tolist(), strict=True)

    @property
    def total(self) -> int:
        """How many numbers there were."""
        return int(self._counts.sum())

    @property
    def sum(self) -> int:
        """Their sum."""
        return int(self._values @ self._counts)

    @property
    def mean(self) -> float:
        """Their mean; 0 if there was none."""
        return self.sum / self.total if self.total else 0.0

    @property
    def least(self) -> int:
        """The least number; 0 if there was none."""
        return int(self._values[0]) if len(self._values) else 0

    @property
    def greatest(self) -> int:
        """The greatest number; 0 if there was none."""
        return int(self._values[-1]) if len(self._values) else 0

    def quantile(self, share: float) -> int:
        """The least number that at least this share of all numbers does not exceed.

        Args:
            share: in (0, 1]; 0.5 asks for the median.
        """
        if not self.total:
            return 0
        # A hair less, for 0.95 * 20 is more than 19 in binary digits.
        wanted = share * self.total * (1 - 1e-12)
        return int(self._values[np.searchsorted(np.cumsum(self._counts), wanted)])

    def share_above(self, number: int) -> float:
        """The share of numbers that exceed one; 0 if there was none."""
        return int(self._counts[self._values > number].sum()) / max(self.total, 1)

    def bars(self, most: int, *, outer: float = 0.005) -> list[Bar]:
        """The numbers as a histogram of equally wide bars.

        What lies far out has one bar of its own, so that the others stay narrow.

        Args:
            most: about so many bars.
            outer: at most this share of the numbers lies far out, on either side.
        """
        if not self.total:
            return []
        low = self.quantile(outer) if self.least < 0 else self.least
        high = self.quantile(1 - outer)
        if self.greatest - self.least < _FEW_BARS:
            low, high = self.least, self.greatest
        width = _round_width((high - low + 1) / most)
        # Not for few numbers more: they may as well have bars like the others.
        high = self.greatest if self.greatest < high + _NEAR * width else high
        low = self.least if self.least > low - _NEAR * width else low
        start = low if width == 1 else low // width * width
        edges = range(start, high + width + 1, width)
        bars = [
            Bar(first, after - 1, self._number_in(first, after)) for first, after in pairwise(edges)
        ]
        below = self._number_in(None, edges[0])
        above = self._number_in(edges[-1], None)
        return [
            *([Bar(None, edges[0] - 1, below)] if below else []),
            *bars,
            *([Bar(edges[-1], None, above)] if above else []),
        ]

    def _number_in(self, first: int | None, after: int | None) -> int:
        start = 0 if first is None else int(np.searchsorted(self._values, first))
        end = len(self._values) if after is None else int(np.searchsorted(self._values, after))
        return int(self._counts[start:end].sum())


def _round_width(least: float) -> int:
    """The least of 1, 2, 5, 10, 20, ... that is no less."""
    power = 1
    while True:
        for width in _ROUND_WIDTHS:
            if width * power >= least:
                return width * power
        power *= 10
