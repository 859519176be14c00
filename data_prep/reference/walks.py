"""Reply trees -> the paths that the public code of DialoGPT takes for dialogues."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from data_prep.config import ReferenceConfig
from data_prep.counts import TOO_FEW_TURNS
from data_prep.paths import Paths
from data_prep.reference.keys import KeepKeys
from data_prep.reference.trees import ReferenceTrees, Submissions
from data_prep.text_columns import BoolArray
from data_prep.threads import IntArray

UNUSABLE_SUBMISSION = "unusable_submission"
LOW_SCORE = "low_score"

WALK_DROPS = (UNUSABLE_SUBMISSION, LOW_SCORE, TOO_FEW_TURNS)
"""Why a path is dropped before its turns are read, in the order in which it is asked; the release
calls it missing, low_score and min_depth. Of an unusable submission the title is blank or the
permalink names no subreddit; where neither is asked, but the title is a turn, it is blank."""

Count: TypeAlias = Callable[[str, int], object]
"""Is called with the reason why paths are dropped, and how many."""


@dataclass(frozen=True, slots=True)
class Walks:
    """The turns of m paths, one path after the other, oldest turn first.

    Attributes:
        leaf_rows: (m,) row of the last comment of each in the ReferenceTrees.
        sources: (n,) what each turn is: the row of a comment, or -1 - r for the title in row r of
            the Submissions.
        offsets: (m + 1,) where each path begins in sources.
    """

    leaf_rows: IntArray
    sources: IntArray
    offsets: IntArray


def last_comments(
    trees: ReferenceTrees, config: ReferenceConfig, keys: KeepKeys | None
) -> IntArray:
    """The rows of all comments that a path may end with."""
    is_last = np.ones(len(trees.ids), np.bool_)
    if config.leaves_only:
        is_last = trees.is_leaf()
    if keys is not None:
        is_last &= keys.wants(trees.link_ids, trees.ids)
    return np.flatnonzero(is_last)


def walk(
    trees: ReferenceTrees,
    submissions: Submissions,
    leaf_rows: IntArray,
    count: Count,
    config: ReferenceConfig,
) -> Walks:
    """The paths to some comments that are not dropped for one of WALK_DROPS.

    Args:
        trees: of whole threads.
        submissions: of these threads; with titles if they are turns.
        leaf_rows: (m,) the comments.
        count: is told of each reason.
        config: limits of depth and score.
    """

    def drop(is_dropped: BoolArray, reason: str) -> BoolArray:
        count(reason, int(is_dropped.sum()))
        return ~is_dropped

    if config.leaves_only:  # the release asks so of train.tsv alone
        is_unusable = ~submissions.is_usable[trees.submission_rows[leaf_rows]]
        leaf_rows = leaf_rows[drop(is_unusable, UNUSABLE_SUBMISSION)]
    is_low = trees.scores[leaf_rows] < config.min_score
    leaf_rows = leaf_rows[drop(is_low, LOW_SCORE)]
    num_comments, first_rows = trees.climb(leaf_rows, config.max_depth)
    has_title = np.zeros(len(leaf_rows), np.bool_)
    if config.use_title:
        has_title = np.append(trees.is_top, False)[first_rows]
        assert submissions.titles is not None, "titles are turns, but the submissions have none"
        is_blank = np.asarray(submissions.titles.is_null())[trees.submission_rows[leaf_rows]]
        kept = drop(has_title & is_blank, UNUSABLE_SUBMISSION)
        leaf_rows, num_comments, has_title = leaf_rows[kept], num_comments[kept], has_title[kept]
    kept = drop(num_comments + has_title < config.min_depth, TOO_FEW_TURNS)
    paths = Paths(trees.parents, leaf_rows[kept], num_comments[kept])
    sources, offsets = paths.comment_rows()
    titles = -1 - trees.submission_rows[paths.leaf_rows]
    return _with_titles(Walks(paths.leaf_rows, sources, offsets), titles, has_title[kept])


def _with_titles(walks: Walks, titles: IntArray, has_title: BoolArray) -> Walks:
    if not has_title.any():
        return walks
    places = walks.offsets[:-1][has_title]
    sources = np.insert(walks.sources, places, titles[has_title])
    shifts = np.concatenate([[0], np.cumsum(has_title)])
    return Walks(walks.leaf_rows, sources, walks.offsets + shifts)
