"""A partition of comments -> reply trees -> candidates: dialogues that no filter drops so far.

What is left to do then needs all partitions together: `data_prep.finish`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.candidates import with_splits
from data_prep.comments import KeptComments, keep_comments
from data_prep.config import ExtractConfig
from data_prep.counts import TOO_FEW_TURNS, Tally
from data_prep.filters import KEPT, TOO_MANY_WORDS, FilterSet, PathColumns, Verdict
from data_prep.paths import Paths, dialogue_table, dialogue_tables, num_words, root_to_leaf
from data_prep.rejects import KEPT_DIALOGUES, SHOWN_TURNS, Rejects, shown
from data_prep.splits import split_codes
from data_prep.text_columns import BoolArray, text_sizes
from data_prep.threads import IntArray, link_parents

MAX_PATH_BYTES = 256 << 20
"""Paths of more text are dropped as too long, whatever the config says: 200 words may have any
size, and an Arrow column holds no more than 2 GiB."""


@dataclass(frozen=True, slots=True)
class Trees:
    """The reply trees of n comments.

    Attributes:
        kept: the comments.
        parents: (n,) row of the comment that is answered; n for the first of a path.
        splits: (n,) number in SPLITS of the split that the comment's thread belongs to.
    """

    kept: KeptComments
    parents: IntArray
    splits: NDArray[np.int8]


def grow_trees(
    comments: pa.Table,
    submission_ids: IntArray,
    tally: Tally,
    rejects: Rejects,
    *,
    config: ExtractConfig,
    filters: FilterSet,
    report: Callable[[int], object],
) -> Trees:
    """The trees of some whole threads.

    Args:
        comments: columns of `posts.COMMENTS` and `month`, in the order of months and lines.
        submission_ids: (m,) submissions that are known.
        tally: counts what is dropped, and what is odd about the rest.
        rejects: is shown what is dropped.
        config: text rules and splits.
        filters: says which subreddits are left out.
        report: called with the number of comments done since the last call.
    """
    kept = keep_comments(comments, tally, rejects, filters=filters, text=config.text, report=report)
    unknown = ~np.isin(kept.thread_ids, submission_ids)
    tally.add_each(kept.months[unknown], "comments_kept.unknown_submission")
    forest = link_parents(kept.thread_ids, kept.ids, kept.parent_ids)
    tally.add_each(kept.months[forest.orphans], "comments_kept.unknown_parent")
    tally.add_each(kept.months[forest.cut], "comments_kept.circle_cut")
    return Trees(kept, forest.parents, split_codes(kept.thread_ids, kept.months, config.split))


def candidate_tables(
    trees: Trees, tally: Tally, rejects: Rejects, *, config: ExtractConfig, filters: FilterSet
) -> Iterator[pa.Table]:
    """The candidates of some trees, by thread and last comment: tables of CANDIDATE_SCHEMA.

    Args:
        trees: of whole threads.
        tally: counts the paths and each drop.
        rejects: is shown what is dropped, and examples of what is not.
        config: turn limits.
        filters: the paper's filters.
    """
    paths = root_to_leaf(trees.parents, max_turns=config.max_turns)
    tally.add_each(trees.kept.months[paths.leaf_rows], "paths")
    drops = _PathDrops(trees.kept, tally, rejects)
    paths = drops.drop(paths, paths.num_turns < config.min_turns, TOO_FEW_TURNS)
    # Before the others, and before turns are gathered. Otherwise a thread of depth d with a leaf
    # at each comment would cost d ** 2 turns, and real threads are thousands deep.
    words = paths.sums(num_words(trees.kept.turns.texts))
    is_long = paths.sums(text_sizes(trees.kept.turns.texts)) > MAX_PATH_BYTES
    if config.filters.max_words:
        is_long |= words > config.filters.max_words
    paths = drops.drop(paths, is_long, TOO_MANY_WORDS)
    words = words[~is_long]
    codes = judge_paths(trees.kept, paths, words, filters).codes
    for code, reason in enumerate(filters.reasons, start=1):
        drops.note(paths.take(codes == code), reason)
    paths = paths.take(codes == KEPT)
    drops.show(paths, KEPT_DIALOGUES)
    splits = trees.splits[paths.leaf_rows]
    first = 0
    for table in dialogue_tables(trees.kept, paths):
        yield with_splits(table, splits[first : first + table.num_rows])
        first += table.num_rows


def judge_paths(kept: KeptComments, paths: Paths, words: IntArray, filters: FilterSet) -> Verdict:
    """What the filters say of some paths.

    Args:
        kept: the comments.
        paths: m paths.
        words: (m,) words of each path.
        filters: the paper's filters.
    """
    return filters.judge(
        PathColumns(
            has_url=paths.sums(kept.turns.has_url) > 0,
            num_words=words,
            responses=kept.turns.texts.take(pa.array(paths.leaf_rows)),
            response_has_markup=kept.turns.has_markup[paths.leaf_rows],
        )
    )


class _PathDrops:
    """Counts and shows the paths that make no dialogue."""

    def __init__(self, kept: KeptComments, tally: Tally, rejects: Rejects) -> None:
        self._kept = kept
        self._shown = replace(kept, turns=replace(kept.turns, texts=shown(kept.turns.texts)))
        self._tally = tally
        self._rejects = rejects

    def drop(self, paths: Paths, is_dropped: BoolArray, reason: str) -> Paths:
        """The paths that are not dropped, after noting the others."""
        self.note(paths.take(is_dropped), reason)
        return paths.take(~is_dropped)

    def note(self, paths: Paths, reason: str) -> None:
        """Count and show paths that are dropped."""
        self._tally.add_each(self._kept.months[paths.leaf_rows], f"paths_dropped.{reason}")
        self.show(paths, reason)

    def show(self, paths: Paths, reason: str) -> None:
        """Show paths without counting them."""
        ends = paths.last(SHOWN_TURNS)
        self._rejects.add_paths(
            self._kept.ids[paths.leaf_rows],
            reason,
            lambda rows: dialogue_table(self._shown, ends.take(rows)),
            num_turns=paths.num_turns,
        )
