"""How far judges agree.

Shapes: N items, V answers that can be given.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialogpt.humaneval.answers import VALUES
from dialogpt.humaneval.judgments import Judgment
from dialogpt.humaneval.resampling import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Agreement on one aspect.

    Attributes:
        aspect: what was judged.
        systems: the pair, or the system, in the items; empty for all items together.
        num_items: with at least two judgments; the others say nothing.
        kappa: of Fleiss; None where it is not defined.
        agreeing: share of pairs of judges that agree, mean over those items.
        unanimous: share of those items where all judges agree.
    """

    aspect: str
    systems: tuple[str, ...]
    num_items: int
    kappa: float | None
    agreeing: float | None
    unanimous: float | None


def agreements(judgments: Iterable[Judgment]) -> list[Agreement]:
    """By aspect for all items together, then by aspect for each pair or system.

    Preferences are counted as they stood on the page, where the order is random. Counted by system,
    judges who agree that one system is ahead would have a kappa of 0, because kappa takes for
    chance what the shares of the answers explain; and names of systems would decide which of them
    is "first" when several pairs come together.

    Args:
        judgments: of one kind, on items that are judged.
    """
    counts: dict[tuple[str, tuple[str, ...]], dict[str, list[int]]] = defaultdict(dict)
    aspects: dict[str, None] = {}
    for judgment in judgments:
        aspects[judgment.aspect] = None
        values = VALUES[judgment.kind]
        for systems in ((), judgment.systems):
            row = counts[judgment.aspect, systems].setdefault(judgment.item, [0] * len(values))
            row[values.index(judgment.value_as_shown)] += 1
    order = {aspect: number for number, aspect in enumerate(aspects)}
    groups = sorted(counts, key=lambda key: (key[1], order[key[0]]))
    return [
        _agreement(aspect, systems, np.array(list(counts[aspect, systems].values()), np.int64))
        for aspect, systems in groups
    ]


def _agreement(aspect: str, systems: tuple[str, ...], counts: NDArray[np.int64]) -> Agreement:
    several = counts[counts.sum(axis=1) > 1]
    return Agreement(
        aspect=aspect,
        systems=systems,
        num_items=len(several),
        kappa=fleiss_kappa(counts),
        agreeing=float(agreeing_pairs(several).mean()) if len(several) else None,
        unanimous=float(((several > 0).sum(axis=1) == 1).mean()) if len(several) else None,
    )


def agreeing_pairs(counts: NDArray[np.int64]) -> Floats:
    """(N,) share of pairs of judges of an item that agree, from (N, V) counts of at least two."""
    num = counts.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (num * (num - 1)), np.float64)


def fleiss_kappa(counts: NDArray[np.int64]) -> float | None:
    """Fleiss' kappa, also for items with unequal numbers of judges.

    (P - P_e) / (1 - P_e). With as many judges for each item it is Fleiss (1971): P is the mean over
    items of the share of pairs of judges that agree, P_e the sum of squares of the shares of the
    answers. Otherwise it is the generalisation of Gwet (2014, Handbook of Inter-Rater Reliability,
    4th edition): P over items with at least two judges, the share of an answer as the mean over all
    items of its share in the item, so that an item with more judges does not weigh more.

    Args:
        counts: (N, V) judges by answer; items without any are left out.

    Returns:
        None where no item has two judges, or where all answers are the same.
    """
    counts = counts[counts.sum(axis=1) > 0]
    several = counts[counts.sum(axis=1) > 1]
    if not len(several):
        return None
    shares = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    by_chance = float((shares**2).sum())
    if (counts > 0).any(axis=0).sum() == 1:
        return None
    return (float(agreeing_pairs(several).mean()) - by_chance) / (1 - by_chance)


def mean_kappa(found: Sequence[Agreement]) -> float | None:
    """Mean over the aspects for which it is defined, of all items together."""
    kappas = [one.kappa for one in found if not one.systems and one.kappa is not None]
    return float(np.mean(kappas)) if kappas else None
