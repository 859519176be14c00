"""How systems are rated: means, means of majority votes, differences paired by context.

Shapes: C contexts, S systems, A aspects, P pairs of systems, R draws, N judgments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dialogpt.humaneval.ratings import RatingCounts, majority_votes
from dialogpt.humaneval.resampling import (
    Difference,
    Estimate,
    Floats,
    difference,
    estimate,
    generator,
    resampled_sums,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating:
    """What judges say of a system on one aspect. An instance is a context with the system's reply.

    Attributes:
        system, aspect: of whom, for what.
        num_judgments, num_instances: how much it rests on.
        mean: over judgments; draws are of contexts or of judgments, as `resample` says.
        instance_mean: mean over instances of the mean of their judgments, as in DSTC7; draws are of
            contexts.
        majority_mean: mean over instances of the majority vote, as in PLATO; draws are of contexts.
        num_without_majority: instances where several ratings share the most votes; the median is
            taken.
        counts: judgments by rating, the lowest first.
    """

    system: str
    aspect: str
    num_judgments: int
    num_instances: int
    mean: Estimate
    instance_mean: Estimate
    majority_mean: Estimate
    num_without_majority: int
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RatingDifference:
    """Two systems on one aspect.

    Attributes:
        systems, aspect: of whom, for what.
        num_contexts: in which both were rated.
        mean_difference: the first minus the second. Where contexts are drawn: mean over those in
            which both were rated of the difference of their instance means. Where judgments are:
            difference of the means over judgments, drawn independently of each other.
    """

    systems: tuple[str, str]
    aspect: str
    num_contexts: int
    mean_difference: Difference


class _Cells:
    """(C, S, A) float64 arrays of what is summed over contexts, 0 where nothing was judged.

    Attributes:
        num, sums: judgments, their sum.
        rated: 1 where there is any.
        means, votes: of an instance.
        without: 1 where there is no majority.
    """

    def __init__(self, table: RatingCounts) -> None:
        self.num: Floats = table.counts.sum(axis=-1).astype(np.float64)
        self.sums: Floats = table.counts.astype(np.float64) @ np.asarray(table.ratings, np.float64)
        self.rated: Floats = (self.num > 0).astype(np.float64)
        self.means: Floats = self.sums / np.maximum(self.num, 1)
        votes, without = majority_votes(table.counts, table.ratings)
        self.votes = np.nan_to_num(votes)
        self.without = without.astype(np.float64)


def rate(table: RatingCounts, *, resample: str, draws: int, seed: int) -> list[Rating]:
    """Ratings by system, then aspect; those without a judgment are left out.

    Args:
        table: what was judged.
        resample: "item" draws contexts for the mean over judgments, "judgment" judgments.
        draws: R.
        seed: of the draws.
    """
    cells = _Cells(table)
    kinds = ((cells.sums, cells.num), (cells.means, cells.rated), (cells.votes, cells.rated))
    drawn = _resampled([part for kind in kinds for part in kind], draws, _rng(table, seed))
    found = []
    for s, a in np.ndindex(len(table.systems), len(table.aspects)):
        counts = table.counts[:, s, a].sum(axis=0)
        num_instances = int(cells.rated[:, s, a].sum())
        if not num_instances:
            continue
        mean, instance_mean, majority_mean = (
            estimate(
                float(_ratio(above[:, s, a].sum(), below[:, s, a].sum())),
                _ratio(drawn[2 * kind][:, s, a], drawn[2 * kind + 1][:, s, a]),
                num_groups=num_instances,
            )
            for kind, (above, below) in enumerate(kinds)
        )
        if resample == "judgment":
            value = float(_ratio(cells.sums[:, s, a].sum(), cells.num[:, s, a].sum()))
            single = _mean_of_judgments(table, s, a, draws=draws, seed=seed)
            mean = estimate(value, single, num_groups=int(counts.sum()))
        found.append(
            Rating(
                system=table.systems[s],
                aspect=table.aspects[a],
                num_judgments=int(counts.sum()),
                num_instances=num_instances,
                mean=mean,
                instance_mean=instance_mean,
                majority_mean=majority_mean,
                num_without_majority=int(cells.without[:, s, a].sum()),
                counts=tuple(int(count) for count in counts),
            )
        )
    return found


def rating_differences(
    table: RatingCounts, *, resample: str, draws: int, seed: int
) -> list[RatingDifference]:
    """Each two systems on each aspect that both were rated for; arguments as in `rate`."""
    cells = _Cells(table)
    pairs = list(combinations(range(len(table.systems)), 2))
    first, second = [s for s, _ in pairs], [t for _, t in pairs]
    both = cells.rated[:, first] * cells.rated[:, second]  # (C, P, A)
    gaps = (cells.means[:, first] - cells.means[:, second]) * both
    drawn_gaps, drawn_both = _resampled([gaps, both], draws, _rng(table, seed))
    found = []
    for p, a in np.ndindex(len(pairs), len(table.aspects)):
        num_contexts = int(both[:, p, a].sum())
        s, t = pairs[p]
        if resample == "judgment":
            value, drawn, num_groups = _independent(table, cells, (s, t), a, draws, seed)
        else:
            value = float(_ratio(gaps[:, p, a].sum(), both[:, p, a].sum()))
            drawn = _ratio(drawn_gaps[:, p, a], drawn_both[:, p, a])
            num_groups = num_contexts
        if num_groups:
            found.append(
                RatingDifference(
                    systems=(table.systems[s], table.systems[t]),
                    aspect=table.aspects[a],
                    num_contexts=num_contexts,
                    mean_difference=difference(value, drawn, num_groups=num_groups),
                )
            )
    return found


def _independent(
    table: RatingCounts, cells: _Cells, pair: tuple[int, int], a: int, draws: int, seed: int
) -> tuple[float, Floats, int]:
    """Difference of the means over judgments, its draws, and the fewer judgments of the two."""
    values, drawn, nums = [], [], []
    for s in pair:
        nums.append(int(cells.num[:, s, a].sum()))
        if not nums[-1]:
            return np.nan, np.empty(0), 0
        values.append(float(cells.sums[:, s, a].sum() / nums[-1]))
        drawn.append(_mean_of_judgments(table, s, a, draws=draws, seed=seed))
    return values[0] - values[1], drawn[0] - drawn[1], min(nums)


def _mean_of_judgments(table: RatingCounts, s: int, a: int, *, draws: int, seed: int) -> Floats:
    """(R,) means over N judgments, each drawn by itself."""
    ratings = np.asarray(table.ratings, np.float64)
    single = np.repeat(ratings, table.counts[:, s, a].sum(axis=0))[:, None]
    rng = generator(seed, "judgments", table.systems[s], table.aspects[a])
    return resampled_sums(single, draws=draws, rng=rng)[:, 0] / len(single)


def _rng(table: RatingCounts, seed: int) -> np.random.Generator:
    return generator(seed, "contexts", *table.systems)


def _resampled(arrays: Sequence[Floats], draws: int, rng: np.random.Generator) -> list[Floats]:
    """(R, ...) sums of (C, ...) arrays over the same draws of contexts."""
    rows = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    sums = resampled_sums(rows, draws=draws, rng=rng)
    ends = np.cumsum([array[0].size for array in arrays])[:-1]
    return [
        part.reshape(draws, *array.shape[1:])
        for part, array in zip(np.split(sums, ends, axis=1), arrays, strict=True)
    ]


def _ratio(above: Floats, below: Floats) -> Floats:
    """Nan where nothing was drawn."""
    with np.errstate(invalid="ignore"):
        return np.asarray(above / below, np.float64)
