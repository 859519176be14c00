"""Averages over segments. Shapes: n segments, V values."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dialogpt.evaluation.measure import Chunk, Floats, GroupedSums, Metrics, SummedMetrics


class Means:
    """Averages a number of each segment, over the segments where it is defined.

    Args:
        names: of the V averages.
        are_rates: whether the numbers are 0 or 1.
    """

    def __init__(self, names: tuple[str, ...], *, are_rates: bool = False) -> None:
        self._names = names
        self._are_rates = are_rates
        self._sums = GroupedSums(2 * len(names))

    def add(self, values: Floats, defined: NDArray[np.bool_] | None = None) -> None:
        """Take in the next n segments.

        Args:
            values: (n, V) float64.
            defined: (n, V); what is not counts for nothing. None: all are.
        """
        counts = np.ones_like(values) if defined is None else defined.astype(np.float64)
        self._sums.add(np.hstack([values * counts, counts]))

    def metrics(self) -> SummedMetrics:
        """The averages; nan where no segment has a number."""
        sums = self._sums.values()
        return SummedMetrics(
            names=self._names,
            sums=sums,
            formula=_quotients,
            num_defined=sums[:, len(self._names) :].sum(axis=0),
            are_rates=self._are_rates,
        )


class MeanMeasure:
    """A measure whose values are averages of a number of each segment; `add` is what differs.

    Attributes:
        names: of the V averages.
        are_rates: whether the numbers are 0 or 1.
    """

    names: tuple[str, ...]
    are_rates = False

    def __init__(self) -> None:
        self._means: list[Means] = []

    def results(self) -> list[Metrics]:
        """Of each system, in order."""
        return [means.metrics() for means in self._means]

    def _by_system(self, chunk: Chunk) -> Iterator[tuple[Means, Sequence[str]]]:
        """The averages of each system and its hypotheses."""
        if not self._means:
            self._means = [Means(self.names, are_rates=self.are_rates) for _ in chunk.systems]
        return zip(self._means, chunk.systems, strict=True)


def _quotients(sums: Floats) -> Floats:
    """(..., 2V) sums of values, then of counts -> (..., V)."""
    totals, counts = np.split(sums, 2, axis=-1)
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
