"""Ratings of single replies as a table of counts, and their majority votes.

Shapes: C contexts, S systems, A aspects, V ratings that can be given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialogpt.humaneval.judgments import Judgment
from dialogpt.humaneval.resampling import Floats


@dataclass(frozen=True, kw_only=True)
class RatingCounts:
    """How often each rating was given.

    Attributes:
        systems, aspects: names of two of the axes.
        ratings: that can be given, the lowest first.
        counts: (C, S, A, V).
    """

    systems: tuple[str, ...]
    aspects: tuple[str, ...]
    ratings: tuple[int, ...]
    counts: NDArray[np.int64]


def count_ratings(judgments: Iterable[Judgment], ratings: Sequence[int]) -> RatingCounts:
    """Sort judgments of single replies into a table.

    Args:
        judgments: on items that are judged.
        ratings: that can be given, the lowest first.
    """
    given = list(judgments)
    contexts = sorted({j.context_index for j in given})
    systems = sorted({j.systems[0] for j in given})
    aspects = list(dict.fromkeys(j.aspect for j in given))
    places: list[dict[object, int]] = [
        {name: number for number, name in enumerate(names)}
        for names in (contexts, systems, aspects, ratings)
    ]
    counts = np.zeros([len(place) for place in places], np.int64)
    for j in given:
        names = (j.context_index, j.systems[0], j.aspect, j.value)
        counts[tuple(place[name] for place, name in zip(places, names, strict=True))] += 1
    return RatingCounts(
        systems=tuple(systems), aspects=tuple(aspects), ratings=tuple(ratings), counts=counts
    )


def majority_votes(
    counts: NDArray[np.int64], ratings: Sequence[int]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The rating with the most votes, and where there is none.

    PLATO (arXiv:1910.07931) takes the majority of three raters and does not say what becomes of
    0, 1, 2. Here the median stands in wherever several ratings share the most votes: there it is 1.

    Args:
        counts: (..., V) votes.
        ratings: (V,) what they are for, the lowest first.

    Returns:
        (...) votes, nan without any judgment; (...) whether there are judgments without a majority.
    """
    total = counts.sum(axis=-1)
    tied = (counts == counts.max(axis=-1, keepdims=True)).sum(axis=-1) > 1
    values = np.asarray(ratings, np.float64)
    up_to = counts.cumsum(axis=-1)
    # The judgment in the middle, or the two, in the order of their ratings.
    lower = (up_to < ((total + 1) // 2)[..., None]).sum(axis=-1)
    upper = (up_to < (total // 2 + 1)[..., None]).sum(axis=-1)
    last = len(values) - 1  # only reached where nothing was judged
    median = (values[lower.clip(max=last)] + values[upper.clip(max=last)]) / 2
    votes = np.where(tied, median, values[counts.argmax(axis=-1)])
    return np.where(total > 0, votes, np.nan), (total > 0) & tied
