"""Comments of some threads of one month -> the instances of DialoGPT's public code, task "conv".

An instance is the path to a comment: upwards from it at most `max_depth` comments, and no further
than to the one below the first that is absent or has more than `max_words` words. A comment that
answers itself, by way of others or at once, is walked over again and again. What speaks against an
instance is asked in the order of PATH_DROPS.
"""

import numpy as np
import pyarrow as pa

from data_prep.config import ReferenceConfig
from data_prep.counts import DUPLICATE_ID, Tally
from data_prep.reference.assembly import InstanceSources, instance_table, order_columns
from data_prep.reference.instances import INSTANCE_DROPS, KEPT, Instances
from data_prep.reference.keys import KeepKeys
from data_prep.reference.order import line_order
from data_prep.reference.posts import EXTRACT_DROPS, NOT_IN_KEYS
from data_prep.reference.text import turn_tokens
from data_prep.reference.trees import ReferenceTrees, Submissions, grow_trees
from data_prep.reference.walks import WALK_DROPS, last_comments, walk
from data_prep.text_columns import as_text_array
from data_prep.threads import IntArray

COMMENT_DROPS = (*EXTRACT_DROPS, NOT_IN_KEYS, DUPLICATE_ID)
"""Why a comment is dropped."""

PATH_DROPS = (*WALK_DROPS, *INSTANCE_DROPS)
"""Why a path is dropped, in the order in which it is asked."""

_TITLE = "title: "


def conversations(
    comments: pa.Table,
    submissions: pa.Table,
    tally: Tally,
    *,
    month: str,
    config: ReferenceConfig,
    keys: KeepKeys | None = None,
) -> pa.Table:
    """The instances of some whole threads, in the order of the release's file.

    Args:
        comments: columns of `posts.KEPT_COMMENTS_SCHEMA`, in the order of the month's dump.
        submissions: columns of `posts.KEPT_SUBMISSIONS_SCHEMA`, with titles if they are turns; at
            least those of the comments.
        tally: counts comments, paths, and each drop.
        month: of the dump, "2015-02".
        config: what the release is told.
        keys: what the file config.keys says.

    Returns:
        A table of `assembly.INSTANCE_SCHEMA`.
    """

    def count(reason: str, number: int) -> None:
        tally.add(month, f"paths_dropped.{reason}", number)

    known = Submissions.of(submissions)
    trees = grow_trees(comments, known, tally, month)
    ends = last_comments(trees, config, keys)
    tally.add(month, "paths", len(ends))
    walks = walk(trees, known, ends, count, config)
    distinct, turns = np.unique(walks.sources, return_inverse=True)
    tokens = turn_tokens(_bodies(distinct, comments, trees, known))
    instances = Instances(tokens, turns, walks.offsets, with_weights=config.leaves_only)
    codes = instances.drop_codes()
    for code, reason in enumerate(INSTANCE_DROPS, start=1):
        count(reason, int((codes == code).sum()))
    rows = np.flatnonzero(codes == KEPT)
    columns = order_columns(walks.leaf_rows[rows], trees, known)
    order = line_order(columns)
    instances = instances.take(rows[order])
    sources = InstanceSources(
        comments=comments,
        submissions=known,
        trees=trees,
        leaf_rows=walks.leaf_rows[rows[order]],
        order_columns=[column[order] for column in columns],
        turns=distinct[instances.turns],
    )
    return instance_table(sources, instances, month=month, with_ids=config.tsv_ids)


def _bodies(
    sources: IntArray, comments: pa.Table, trees: ReferenceTrees, submissions: Submissions
) -> pa.Array:
    """The title or body behind each source; sources ascend, so titles come first."""
    num_titles = int(np.searchsorted(sources, 0))
    rows = trees.rows[sources[num_titles:]]
    bodies = as_text_array(comments.column("body").take(pa.array(rows)))
    if not num_titles:
        return bodies
    assert submissions.titles is not None
    titles = submissions.titles.take(pa.array(-1 - sources[:num_titles])).to_pylist()
    titles = pa.array([_TITLE + title for title in titles], pa.large_string())
    return pa.concat_arrays([titles, bodies])
