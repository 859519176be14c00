"""Reply trees -> one dialogue for each path from the root to a leaf.

DialoGPT (arXiv:1911.00536, section 3): "we extract each path from the root node to the leaf node as
a training instance containing multiple turns of dialogue". The root is a comment: the submission
itself is not a turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.comments import KeptComments
from data_prep.config import ExtractConfig
from data_prep.counts import TOO_FEW_TURNS, Tally, month_name
from data_prep.dialogues import DialogueRow
from data_prep.filters import TOO_MANY_WORDS, FilterSet
from data_prep.ids import encode_ids
from data_prep.splits import split_of
from data_prep.threads import IntArray, ancestors, leaves, link_parents, sum_to_root
from dialogpt.records import UNKNOWN_SPEAKER, Split

_MAX_SPEAKERS = 127  # speakers are stored as int8


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of m leaves through a forest of n comments.

    Attributes:
        parents: (n,) as in `threads.Forest`.
        leaf_rows: (m,) the last comment of each path.
        num_turns: (m,) how many comments of the path count, the last ones.
    """

    parents: IntArray
    leaf_rows: IntArray
    num_turns: IntArray


def dialogue_rows(
    kept: KeptComments, tally: Tally, *, config: ExtractConfig, filters: FilterSet
) -> Iterator[tuple[Split, DialogueRow]]:
    """The dialogues of some whole threads, by thread and last comment, each with its split.

    Args:
        kept: the comments of the threads.
        tally: counts the paths, each drop and the dialogues.
        config: turn limits and splits.
        filters: the paper's filters; that on the number of words is applied here, whether it is
            among them or not.
    """
    paths = find_paths(kept, tally, min_turns=config.min_turns, max_turns=config.max_turns)
    if config.filters.max_words:
        paths = _without_long_paths(paths, kept, tally, config.filters.max_words)
    comment_ids = encode_ids(kept.ids, "t1_")
    authors = kept.authors.tolist()
    for rows, last in zip(_rows_of(paths), _last_comments(kept, paths.leaf_rows), strict=True):
        turns = [kept.turns[row] for row in rows]
        reason = filters.drop_reason(turns, last["subreddit"])
        if reason is not None:
            tally.add(last["month"], f"paths_dropped.{reason}")
            continue
        split = split_of(last["thread_id"], config.split)
        tally.add(last["month"], f"dialogues.{split}")
        row = {
            "turns": [turn.text for turn in turns],
            "speakers": speaker_numbers([authors[row] for row in rows]),
            "turn_ids": [comment_ids[row] for row in rows],
            **last,
        }
        yield split, row


def _rows_of(paths: Paths) -> Iterator[list[int]]:
    """The rows of each path, oldest comment first."""
    parents = paths.parents.tolist()
    for leaf, num_turns in zip(paths.leaf_rows.tolist(), paths.num_turns.tolist(), strict=True):
        rows = [leaf]
        for _ in range(num_turns - 1):
            rows.append(parents[rows[-1]])
        rows.reverse()
        yield rows


def _last_comments(kept: KeptComments, leaf_rows: IntArray) -> Iterator[DialogueRow]:
    """What a dialogue takes from its last comment: all columns but those of the turns."""
    names = {number: month_name(number) for number in np.unique(kept.months).tolist()}
    columns = {
        "thread_id": encode_ids(kept.thread_ids[leaf_rows], "t3_"),
        "subreddit": [kept.subreddit_names[row] for row in kept.subreddits[leaf_rows].tolist()],
        "month": [names[number] for number in kept.months[leaf_rows].tolist()],
        "created_utc": kept.created_utc[leaf_rows].tolist(),
        "score": kept.scores[leaf_rows].tolist(),
    }
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def find_paths(kept: KeptComments, tally: Tally, *, min_turns: int, max_turns: int) -> Paths:
    """The paths of at least min_turns turns; of each the last max_turns, or all if that is 0."""
    forest = link_parents(kept.thread_ids, kept.ids, kept.parent_ids)
    tally.add_each(kept.months[forest.orphans], "comments_kept.unknown_parent")
    tally.add_each(kept.months[forest.cut], "comments_kept.circle_cut")
    leaf_rows = leaves(forest.parents)
    tally.add_each(kept.months[leaf_rows], "paths")
    num_turns = sum_to_root(forest.parents, np.ones_like(forest.parents))[leaf_rows]
    if max_turns:
        num_turns = np.minimum(num_turns, max_turns)
    is_short = num_turns < min_turns
    tally.add_each(kept.months[leaf_rows[is_short]], f"paths_dropped.{TOO_FEW_TURNS}")
    return Paths(forest.parents, leaf_rows[~is_short], num_turns[~is_short])


def _without_long_paths(paths: Paths, kept: KeptComments, tally: Tally, max_words: int) -> Paths:
    """Drop the paths of more than max_words words (rule 5) before their turns are gathered.

    Otherwise a thread of depth d with a leaf at each comment would cost d ** 2 turns, and real
    threads are thousands deep. What stays has at most max_words turns, because no turn is empty.
    """
    # Turns are normalized: single blanks inside, none at the ends.
    words = np.array([turn.text.count(" ") + 1 for turn in kept.turns], dtype=np.int64)
    to_root = np.append(sum_to_root(paths.parents, words), 0)
    # Paths of fewer turns than the longest begin at a root: going too far up ends at the top, too.
    above = ancestors(paths.parents, paths.leaf_rows, int(paths.num_turns.max(initial=0)))
    is_long = to_root[paths.leaf_rows] - to_root[above] > max_words
    tally.add_each(kept.months[paths.leaf_rows[is_long]], f"paths_dropped.{TOO_MANY_WORDS}")
    return Paths(paths.parents, paths.leaf_rows[~is_long], paths.num_turns[~is_long])


def speaker_numbers(authors: Sequence[int]) -> list[int]:
    """0 for whoever speaks first, 1 for the next new voice, UNKNOWN_SPEAKER for unknown ones.

    Voices beyond what int8 can number are unknown as well.

    Args:
        authors: a number for each turn's author, negative where not known.
    """
    numbers: dict[int, int] = {}
    speakers = []
    for author in authors:
        if author < 0 or (author not in numbers and len(numbers) > _MAX_SPEAKERS):
            speakers.append(UNKNOWN_SPEAKER)
        else:
            speakers.append(numbers.setdefault(author, len(numbers)))
    return speakers
