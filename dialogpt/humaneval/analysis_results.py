"""What an analysis finds, before it becomes files."""

from collections.abc import Sequence
from dataclasses import dataclass

from dialogpt.humaneval.agreement import Agreement
from dialogpt.humaneval.judges import JudgeStatistics
from dialogpt.humaneval.preferences import Preference
from dialogpt.humaneval.rating_means import Rating, RatingDifference


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A judge whose judgments do not count.

    Attributes:
        judge: by name.
        num_judgments: of the judge, on items that are judged.
        reason: why.
    """

    judge: str
    num_judgments: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """All numbers of a study; analysis.json holds them under these names.

    Attributes:
        study, kind: of the plan; the name of the file where there are only counts.
        draws, seed, resample, exclude_spam: the options.
        num_judgments: that the results rest on.
        notes: what to know about the judgments.
        left_out: judges who do not count.
        preferences: of pairwise studies.
        ratings, rating_differences: of the others.
        agreements: by aspect, then by aspect and pair or system.
        mean_kappa: mean over aspects of Fleiss' kappa of all items together.
        judges: also those left out.
    """

    study: str
    kind: str
    draws: int
    seed: int
    resample: str
    exclude_spam: bool
    num_judgments: int
    notes: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()
    preferences: Sequence[Preference] = ()
    ratings: Sequence[Rating] = ()
    rating_differences: Sequence[RatingDifference] = ()
    agreements: Sequence[Agreement] = ()
    mean_kappa: float | None = None
    judges: Sequence[JudgeStatistics] = ()
