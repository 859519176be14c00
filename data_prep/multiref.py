"""Multi-reference test items: contexts that many people answered (DialoGPT, sections 4.2 and 4.3).

The paper takes sessions with at least six responses from a time that training does not see, and
sets one of the six aside to measure how well people do.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep.config import ExtractConfig
from data_prep.counts import Tally
from data_prep.filters import KEPT, FilterSet
from data_prep.ids import encode_ids, mixed
from data_prep.paths import Paths, dialogue_tables, num_words
from data_prep.threads import IntArray, sum_to_root
from data_prep.trees import Trees, judge_paths
from dialogpt.records import SPLITS, TestItem

_TEST = SPLITS.index("test")


def test_items(
    trees: Trees, tally: Tally, *, config: ExtractConfig, filters: FilterSet
) -> Iterator[TestItem]:
    """The test items of some trees, by thread and context.

    A context is the path from the root to any comment that is answered often enough; each answer
    must pass the filters as the response to it, whether it is answered itself or not. Of the
    responses a hash of their ids picks the human one; the others are references, the highest score
    first.

    Args:
        trees: of whole threads; those of the test split are looked at.
        tally: counts the items and their references.
        config: turn limits, and how many responses are enough.
        filters: the paper's filters.
    """
    responses = _enough_responses(trees, config=config, filters=filters)
    contexts = trees.parents[responses]
    starts = np.flatnonzero(np.diff(contexts, prepend=-1))
    turns = _context_rows(trees, contexts[starts], config.max_turns)
    names = encode_ids(trees.kept.ids[responses], "t1_").to_pylist()
    texts = trees.kept.turns.texts.take(pa.array(responses)).to_pylist()
    scores = trees.kept.scores[responses].tolist()
    ends = np.append(starts, len(responses))[1:]
    for context, start, end in zip(turns, starts.tolist(), ends.tolist(), strict=True):
        last = end
        if config.multiref.max_references:
            last = min(end, start + 1 + config.multiref.max_references)
        item = TestItem(
            id=context["turn_ids"][-1],
            turns=tuple(context["turns"]),
            speakers=tuple(context["speakers"]),
            turn_ids=tuple(context["turn_ids"]),
            human=texts[start],
            human_id=names[start],
            references=tuple(texts[start + 1 : last]),
            reference_ids=tuple(names[start + 1 : last]),
            reference_scores=tuple(scores[start + 1 : last]),
            thread_id=context["thread_id"],
            subreddit=context["subreddit"],
            month=context["month"],
        )
        tally.add(item.month, "test_items")
        tally.add(item.month, "test_items.references", len(item.references))
        yield item


def _enough_responses(trees: Trees, *, config: ExtractConfig, filters: FilterSet) -> IntArray:
    """The rows of all responses to contexts that have enough of them.

    They come context by context; of each the human one first, and then by score and id.
    """
    wanted = config.multiref.min_responses
    answers = _answers(trees, at_least=wanted, max_turns=config.max_turns)
    words = answers.sums(num_words(trees.kept.turns.texts))
    rows = answers.leaf_rows[judge_paths(trees.kept, answers, words, filters).codes == KEPT]
    _, positions, counts = np.unique(trees.parents[rows], return_inverse=True, return_counts=True)
    is_enough = counts[positions] >= wanted
    rows, positions = rows[is_enough], positions[is_enough]
    ids = trees.kept.ids[rows]
    by_hash = np.lexsort((mixed(ids), positions))
    is_human = np.zeros(len(rows), np.bool_)
    is_human[by_hash[np.diff(positions[by_hash], prepend=-1) != 0]] = True
    order = np.lexsort((ids, -trees.kept.scores[rows], ~is_human, positions))
    return np.asarray(rows[order])


def _answers(trees: Trees, *, at_least: int, max_turns: int) -> Paths:
    """The paths to all comments of the test split that answer what enough others answer, too."""
    in_test = np.append(trees.splits == _TEST, False)
    num_answers = np.bincount(trees.parents, minlength=len(in_test))
    is_answer = (in_test & (num_answers >= at_least))[trees.parents]
    return _paths_to(trees, np.flatnonzero(is_answer), max_turns)


def _context_rows(trees: Trees, rows: IntArray, max_turns: int) -> list[dict[str, Any]]:
    """The contexts that end with some comments, as rows of DIALOGUE_SCHEMA."""
    contexts = _paths_to(trees, rows, max(max_turns - 1, 1) if max_turns else 0)
    return [row for table in dialogue_tables(trees.kept, contexts) for row in table.to_pylist()]


def _paths_to(trees: Trees, rows: IntArray, max_turns: int) -> Paths:
    depths = sum_to_root(trees.parents, np.ones_like(trees.parents))[rows]
    return Paths(trees.parents, rows, np.minimum(depths, max_turns) if max_turns else depths)
