"""Extraction after the letter of docs/dialogues.md, one comment at a time: dictionaries, no arrays.

It knows nothing of data_prep.threads, paths, trees, comments and multiref, whose results it is
there to check. What text becomes is asked of `turn_text` and the filters of `FilterSet`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.config import ExtractConfig
from data_prep.filters import FilterSet
from data_prep.ids import base36, mixed
from data_prep.normalize import TurnText, turn_text
from data_prep.post_fields import ROOT


@dataclass(frozen=True)
class Comment:
    """A comment as the tree builder gets it; ids are numbers."""

    thread: int
    id: int
    parent: int = ROOT
    body: str = "Fine."
    author: str | None = "ann"
    month: int = 201501
    score: int = 1

    @property
    def key(self) -> tuple[int, int]:
        return self.thread, self.id


@dataclass
class NaiveResult:
    """What should come out."""

    dialogues: list[dict[str, Any]]
    items: list[dict[str, Any]]
    counts: Counter[tuple[int, str]]


def naive_extraction(
    comments: Sequence[Comment], config: ExtractConfig, filters: FilterSet
) -> NaiveResult:
    """The dialogues (thread by thread), test items and counts of some whole threads."""
    counts: Counter[tuple[int, str]] = Counter()
    turns = {comment: turn_text(comment.body, config.text) for comment in comments}
    kept = {c.key: c for c in _kept(comments, turns, counts)}
    parents = _parents(kept, counts)
    answered = {parent for parent in parents.values() if parent is not None}
    dialogues = []
    for key, leaf in sorted(kept.items()):
        if key in answered:
            continue
        counts[leaf.month, "paths"] += 1
        path = _path(key, parents, config.max_turns)
        said = [turns[kept[k]] for k in path]
        reason = "too_few_turns" if len(path) < config.min_turns else _drop_reason(said, filters)
        if reason:
            counts[leaf.month, f"paths_dropped.{reason}"] += 1
        else:
            dialogues.append(_dialogue([kept[k] for k in path], said))
    items = _items(kept, parents, turns, config, filters)
    return NaiveResult(dialogues, items, counts)


def _drop_reason(said: Sequence[TurnText], filters: FilterSet) -> str | None:
    """The first rule that holds; long paths leave before the other rules look."""
    limit = filters.config.max_words
    if limit and sum(len(turn.text.split()) for turn in said) > limit:
        return "too_long"
    return filters.drop_reason(said)


def _kept(
    comments: Sequence[Comment],
    turns: dict[Comment, TurnText],
    counts: Counter[tuple[int, str]],
) -> list[Comment]:
    """One comment a key, and only if it says something."""
    chosen: dict[tuple[int, int], int] = {}
    for row, comment in enumerate(comments):
        before = chosen.get(comment.key)
        is_removed = turns[comment].drop_reason == "removed"
        if before is None or not is_removed or turns[comments[before]].drop_reason == "removed":
            chosen[comment.key] = row
    kept = []
    for row, comment in enumerate(comments):
        reason = turns[comment].drop_reason if chosen[comment.key] == row else "duplicate_id"
        counts[comment.month, f"comments_dropped.{reason}" if reason else "comments_kept"] += 1
        if reason is None:
            kept.append(comment)
    return kept


def _parents(
    kept: dict[tuple[int, int], Comment], counts: Counter[tuple[int, str]]
) -> dict[tuple[int, int], tuple[int, int] | None]:
    """Key -> key of what is answered, or None; of a circle the lowest id is cut loose."""
    parents: dict[tuple[int, int], tuple[int, int] | None] = {}
    for key, comment in kept.items():
        parent = (comment.thread, comment.parent)
        parents[key] = parent if parent in kept else None
        if comment.parent >= 0 and parent not in kept:
            counts[comment.month, "comments_kept.unknown_parent"] += 1
    done: set[tuple[int, int]] = set()
    for start in kept:
        walk: dict[tuple[int, int], None] = {}
        at: tuple[int, int] | None = start
        while at is not None and at not in walk and at not in done:
            walk[at] = None
            at = parents[at]
        if at is not None and at in walk:
            trail = list(walk)
            first = min(trail[trail.index(at) :])
            parents[first] = None
            counts[kept[first].month, "comments_kept.circle_cut"] += 1
        done |= walk.keys()
    return parents


def _path(
    key: tuple[int, int], parents: dict[tuple[int, int], tuple[int, int] | None], max_turns: int
) -> list[tuple[int, int]]:
    path = []
    at: tuple[int, int] | None = key
    while at is not None:
        path.append(at)
        at = parents[at]
    path.reverse()
    return path[-max_turns:] if max_turns else path


def _speakers(path: Sequence[Comment]) -> list[int]:
    numbers: dict[str, int] = {}
    speakers = []
    for comment in path:
        if comment.author in (None, "", "[deleted]", "[removed]"):
            speakers.append(-1)
        else:
            number = numbers.setdefault(comment.author, len(numbers))
            speakers.append(number if number < 128 else -1)
    return speakers


def _dialogue(path: Sequence[Comment], said: Sequence[TurnText]) -> dict[str, Any]:
    return {
        "turns": [turn.text for turn in said],
        "speakers": _speakers(path),
        "turn_ids": [f"t1_{base36(comment.id)}" for comment in path],
        "thread_id": f"t3_{base36(path[-1].thread)}",
        "month": f"{path[-1].month // 100}-{path[-1].month % 100:02d}",
        "score": path[-1].score,
    }


def _items(
    kept: dict[tuple[int, int], Comment],
    parents: dict[tuple[int, int], tuple[int, int] | None],
    turns: dict[Comment, TurnText],
    config: ExtractConfig,
    filters: FilterSet,
) -> list[dict[str, Any]]:
    """Contexts with enough answers that no filter drops; all threads are in the test split."""
    answers: dict[tuple[int, int], list[Comment]] = {}
    for key, parent in parents.items():
        if parent is not None:
            said = [turns[kept[k]] for k in _path(key, parents, config.max_turns)]
            if _drop_reason(said, filters) is None:
                answers.setdefault(parent, []).append(kept[key])
    items = []
    for context, responses in sorted(answers.items()):
        if len(responses) < config.multiref.min_responses:
            continue
        human = min(responses, key=lambda c: int(mixed(np.array([c.id]))[0]))
        others = sorted((c for c in responses if c is not human), key=lambda c: (-c.score, c.id))
        if config.multiref.max_references:
            others = others[: config.multiref.max_references]
        path = _path(context, parents, max(config.max_turns - 1, 1) if config.max_turns else 0)
        items.append(
            {
                "turn_ids": [f"t1_{base36(k[1])}" for k in path],
                "human_id": f"t1_{base36(human.id)}",
                "references": [turns[c].text for c in others],
                "reference_ids": [f"t1_{base36(c.id)}" for c in others],
            }
        )
    return items
