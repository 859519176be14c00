"""How systems are rated: means, means of majority votes, differences paired by context.

Shapes: C contexts, S systems, A aspects, P pairs of systems, R draws, N judgments.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dialogpt.humaneval.exact_tests import permutation_p, sign_flip_p
from dialogpt.humaneval.ratings import RatingCounts, majority_votes
from dialogpt.humaneval.resampling import (
    Difference,
    Estimate,
    Floats,
    centred_p,
    difference,
    estimate,
    generator,
    resampled_sums,
)

_MOST_DIVISIONS = 2520  # of a point: exact for up to 10 judges of an instance


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
        between = None
        if resample == "judgment":
            between = _independent(table, (s, t), a, draws=draws, seed=seed)
        elif num_contexts:
            between = difference(
                float(_ratio(gaps[:, p, a].sum(), both[:, p, a].sum())),
                _ratio(drawn_gaps[:, p, a], drawn_both[:, p, a]),
                num_groups=num_contexts,
                p_value=sign_flip_p(whole_gaps(gaps[:, p, a], cells.num[:, [s, t], a])),
            )
        if between:
            found.append(
                RatingDifference(
                    systems=(table.systems[s], table.systems[t]),
                    aspect=table.aspects[a],
                    num_contexts=num_contexts,
                    mean_difference=between,
                )
            )
    return found


def whole_gaps(gaps: Floats, nums: Floats) -> NDArray[np.int64]:
    """(C,) gaps of instance means in the largest unit that makes them whole.

    From more than _MOST_DIVISIONS divisions of a point on, the unit is one of these, and the gaps
    are rounded.

    Args:
        gaps: (C,) of means.
        nums: (C, 2) judgments of either.
    """
    divisions = min(math.lcm(*map(int, nums[nums > 0])), _MOST_DIVISIONS)
    whole = np.rint(gaps * divisions).astype(np.int64)
    return np.asarray(whole // max(int(np.gcd.reduce(whole)), 1))


def _independent(
    table: RatingCounts, pair: tuple[int, int], a: int, *, draws: int, seed: int
) -> Difference | None:
    """Difference of the means over judgments; None where one of the two has none.

    Of few judgments, as of few contexts, draws alone say too much; so p is not below that of a
    test in which judgments change systems.
    """
    ratings = np.asarray(table.ratings, np.float64)
    first, second = (table.counts[:, s, a].sum(axis=0) for s in pair)
    nums = int(first.sum()), int(second.sum())
    if not all(nums):
        return None
    one, two = (_mean_of_judgments(table, s, a, draws=draws, seed=seed) for s in pair)
    value = float(first @ ratings / nums[0] - second @ ratings / nums[1])
    names = (*(table.systems[s] for s in pair), table.aspects[a])
    rng = generator(seed, "permutations", *names)
    exchanged = permutation_p(first, second, ratings, draws=draws, rng=rng)
    p_value = max(centred_p(value, one - two), exchanged)
    return difference(value, one - two, num_groups=min(nums), p_value=p_value)


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
