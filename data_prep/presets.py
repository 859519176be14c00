"""What an extraction does with the comments of a part: the presets."""

from collections.abc import Callable
from dataclasses import dataclass

from data_prep.counts import PURGED, TRUNCATED_ARCHIVE, count_names, names_of
from data_prep.extract_stages import BuildTask, build_partition
from data_prep.filters import FilterSet
from data_prep.post_fields import UNUSABLE
from data_prep.reference.build import build_instances
from data_prep.reference.conversations import COMMENT_DROPS, PATH_DROPS
from data_prep.stages import JsonObject, Report


@dataclass(frozen=True, slots=True)
class Preset:
    """One way to make dialogues of comments. What is read of dumps says `data_prep.sifting`.

    Attributes:
        build: writes the candidates of a part.
        count_names: all names that something may be counted under, in the order of the flow.
    """

    build: Callable[[BuildTask, Report], JsonObject]
    count_names: Callable[[FilterSet], list[str]]


def _paper_names(filters: FilterSet) -> list[str]:
    return count_names(filters.reasons)


def _reference_names(_: FilterSet) -> list[str]:
    return names_of(
        comment_drops=(*UNUSABLE, TRUNCATED_ARCHIVE, *COMMENT_DROPS),
        path_drops=(*PATH_DROPS, PURGED),
        submission_drops=("few_comments",),
    )


PRESETS = {
    "paper": Preset(build_partition, _paper_names),
    "reference": Preset(build_instances, _reference_names),
}
