"""The tree builder beside its naive counterpart."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hostile.naive_trees import Comment, NaiveResult, naive_extraction

from data_prep.config import ExtractConfig, FilterConfig, MultirefConfig, SplitConfig
from data_prep.counts import Tally, month_number
from data_prep.filters import FilterSet
from data_prep.multiref import test_items
from data_prep.posts import COMMENTS
from data_prep.rejects import Rejects
from data_prep.trees import candidate_tables, grow_trees

BODIES = (
    "Fine.",
    "No, I do not.",
    "[deleted]",
    "\u200b",
    "&gt; a quote",
    "See http://x.com/y",
    "I say [so]",
    "no no NO",
    "word " * 60 + "end",
)
"""What a comment may say: each is dropped for another reason, or for none."""

MONTHS = (201412, 201501)
FILTERS = FilterConfig(
    frequent_words="", offensive_phrases="", excluded_subreddits="", bland_share=0
)
ALL_IN_TEST = SplitConfig(test_months="2014-12:2015-01")


def config_with(min_turns: int, max_turns: int, min_responses: int) -> ExtractConfig:
    return ExtractConfig(
        dumps="", output="", min_turns=min_turns, max_turns=max_turns, filters=FILTERS,
        split=ALL_IN_TEST, multiref=MultirefConfig(min_responses=min_responses),
    )  # fmt: skip


def table_of(comments: Sequence[Comment]) -> pa.Table:
    """The comments as the columns that spills hold."""
    rows = [
        {
            "id": c.id, "link_id": c.thread, "parent_id": c.parent, "author": c.author,
            "created_utc": 0, "score": c.score, "subreddit": "test", "body": c.body,
            "month": c.month,
        }
        for c in comments
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, COMMENTS.schema.append(pa.field("month", pa.int32())))


def built(comments: Sequence[Comment], config: ExtractConfig) -> NaiveResult:
    """The same by the code that is under test."""
    tally, rejects, filters = Tally(), Rejects(), FilterSet.from_config(config.filters)
    trees = grow_trees(
        table_of(comments), np.zeros(0, np.int64), tally, rejects, config=config,
        filters=filters, report=lambda _: None,
    )  # fmt: skip
    tables = candidate_tables(trees, tally, rejects, config=config, filters=filters)
    dialogues = [row for table in tables for row in table.to_pylist()]
    items = [
        {
            "turn_ids": [*item.turn_ids],
            "human_id": item.human_id,
            "references": [*item.references],
            "reference_ids": [*item.reference_ids],
        }
        for item in test_items(trees, tally, config=config, filters=filters)
    ]
    counts = Counter(
        {
            (month_number(month), name): number
            for month, numbers in tally.by_month().items()
            for name, number in numbers.items()
            if "unknown_submission" not in name and "test_items" not in name
        }
    )
    names = ("turns", "speakers", "turn_ids", "thread_id", "month", "score")
    dialogues = [{name: row[name] for name in names} for row in dialogues]
    return NaiveResult(dialogues, items, counts)


def compare(comments: Sequence[Comment], config: ExtractConfig) -> NaiveResult:
    """What both make of the comments.

    Raises:
        AssertionError: they disagree, or something was lost uncounted.
    """
    expected = naive_extraction(comments, config, FilterSet.from_config(config.filters))
    found = built(comments, config)
    assert found.dialogues == expected.dialogues
    assert found.items == expected.items
    assert found.counts == expected.counts
    require_conservation(comments, found)
    return found


def require_conservation(comments: Sequence[Comment], found: NaiveResult) -> None:
    """Nothing vanishes: in every month comments and paths equal what became of them."""
    read = Counter(comment.month for comment in comments)
    ends = Counter(row["month"] for row in found.dialogues)
    for month in read:
        numbers = {name: n for (of, name), n in found.counts.items() if of == month}
        dropped = sum(n for name, n in numbers.items() if name.startswith("comments_dropped."))
        assert read[month] == numbers.get("comments_kept", 0) + dropped
        lost = sum(n for name, n in numbers.items() if name.startswith("paths_dropped."))
        assert numbers.get("paths", 0) == ends[f"{month // 100}-{month % 100:02d}"] + lost
