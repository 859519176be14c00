"""The test items with several references: how many, and one to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.reporting.distribution import Distribution
from dialogpt.records import TestItem, read_test_items


@dataclass(slots=True)
class ItemStatistics:
    """Counts over the test items.

    Attributes:
        num_references: of an item.
        num_turns: of an item's context.
        num_human: items with an answer that is held out as the human one.
        example: the first item with the median number of references; None if there is no item.
    """

    num_references: Distribution = field(default_factory=Distribution)
    num_turns: Distribution = field(default_factory=Distribution)
    num_human: int = 0
    example: TestItem | None = None


def item_statistics(files: Sequence[Path]) -> ItemStatistics:
    """Read the items, one at a time.

    Raises:
        RecordError: a line is not an item.
    """
    statistics = ItemStatistics()
    first_with: dict[int, TestItem] = {}  # number of references -> item
    for path in files:
        for item in read_test_items(path):
            number = len(item.references)
            statistics.num_references.add(np.array([number]))
            statistics.num_turns.add(np.array([len(item.turns)]))
            statistics.num_human += item.human is not None
            first_with.setdefault(number, item)
    if first_with:
        statistics.example = first_with[statistics.num_references.quantile(0.5)]
    return statistics
