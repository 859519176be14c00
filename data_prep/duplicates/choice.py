"""Which of similar dialogues stay.

Dialogues are looked at in the order of preference, and one goes if it is similar to one that stays.
So whatever goes has a duplicate that stays, no two that stay are duplicates, and the order of rows
and files makes no difference. Of a chain a ~ b ~ c in which a and c differ, b goes and c stays:
what is dropped has been compared with what is kept for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.counts import DUPLICATES
from data_prep.duplicates.files import (
    DROP_SCHEMA,
    identities_at,
    look_up,
    partitions_of,
    read_rows,
    rows_of,
    write_rows,
)
from data_prep.shingles import HashArray, IntArray
from data_prep.stages import JsonObject, peak_memory

DUPLICATE, NEAR_DUPLICATE = DUPLICATES

_EDGES_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of similar dialogues, by their ranks in the order of preference.

    Attributes:
        first: (m,) the lower rank of each pair.
        second: (m,) the higher one.
        similarity: (m,)
    """

    first: IntArray
    second: IntArray
    similarity: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drops:
    """Dialogues that go, each for one that stays.

    Attributes:
        dropped: (d,) places.
        kept: (d,) places.
        similarity: (d,)
    """

    dropped: HashArray
    kept: HashArray
    similarity: NDArray[np.float64]


def choose(edges: Edges, num_dialogues: int) -> Edges:
    """The edges by which some go: each `second` once, ascending, and the most similar that stays.

    Of those equally similar it is the most preferred one.

    Args:
        edges: all pairs that are similar enough.
        num_dialogues: ranks are below this.
    """
    order = np.lexsort((edges.first, -edges.similarity, edges.second))
    first, second = edges.first[order], edges.second[order]
    stays = bytearray(b"\x01") * num_dialogues
    for start in range(0, len(order), _EDGES_AT_ONCE):
        chunk = slice(start, start + _EDGES_AT_ONCE)
        # By ascending second: whether the first stays is known before it is asked.
        for preferred, other in zip(first[chunk].tolist(), second[chunk].tolist(), strict=True):
            if stays[preferred]:
                stays[other] = 0
    to_kept = np.flatnonzero(np.frombuffer(stays, np.uint8)[first])
    _, best = np.unique(second[to_kept], return_index=True)
    chosen = order[to_kept[best]]
    return Edges(edges.first[chosen], edges.second[chosen], edges.similarity[chosen])


@dataclass(frozen=True, kw_only=True, slots=True)
class ChooseTask:
    """All that was found.

    Attributes:
        exact: of `find_exact`, a file a bucket.
        edges: of `verify`, a file a partition; none if only exact duplicates are looked for.
        identities: of the candidates, a file a partition.
        drops: files for rows of DROP_SCHEMA, one a partition.
    """

    exact: tuple[Path, ...]
    edges: tuple[Path, ...]
    identities: tuple[Path, ...]
    drops: tuple[Path, ...]


def choose_dialogues(task: ChooseTask, report: Callable[[int], object]) -> JsonObject:
    """Write which candidates go, and for which that stay.

    Returns:
        JSON: "duplicate" and "near_duplicate", how many go for this reason.
    """
    near = _near_drops(task)
    drops, is_near = _with_exact(near, task.exact)
    order = np.argsort(drops.dropped)
    dropped, kept = drops.dropped[order], drops.kept[order]
    similarity, is_near = drops.similarity[order], is_near[order]
    owners = partitions_of(dropped)
    for partition, path in enumerate(task.drops):
        start, end = np.searchsorted(owners, [partition, partition + 1])
        here = slice(start, end)
        table = _drop_table(dropped[here], kept[here], similarity[here], is_near[here], task)
        write_rows(table, path)
        report(1)
    return {
        DUPLICATE: int(np.count_nonzero(~is_near)),
        NEAR_DUPLICATE: int(np.count_nonzero(is_near)),
        "peak_memory": peak_memory(),
    }


def _near_drops(task: ChooseTask) -> Drops:
    """The near duplicates among dialogues that are no exact ones, as places."""
    seen = [np.zeros(0, np.uint64)]
    for path in task.edges:
        table = read_rows(path)
        seen.append(np.unique(np.concatenate([table["first"], table["second"]])))
    by_preference = identities_at(np.unique(np.concatenate(seen)), task.identities)
    places = by_preference.column("place").to_numpy()
    edges = _ranked_edges(task.edges, places)
    chosen = choose(edges, len(places))
    return Drops(places[chosen.second], places[chosen.first], chosen.similarity)


def _ranked_edges(paths: Sequence[Path], places: HashArray) -> Edges:
    """All edges by the ranks of their dialogues.

    Args:
        paths: files of edges.
        places: of all dialogues that have one, in the order of preference.
    """
    ranks = np.argsort(places)
    ascending = places[ranks]
    first: list[IntArray] = [np.zeros(0, np.int64)]
    second: list[IntArray] = [np.zeros(0, np.int64)]
    similarities = [np.zeros(0)]
    for path in paths:
        table = read_rows(path)
        ends = [
            ranks[np.searchsorted(ascending, table.column(name).to_numpy())]
            for name in ("first", "second")
        ]
        first.append(np.minimum(*ends))
        second.append(np.maximum(*ends))
        similarities.append(table.column("similarity").to_numpy())
    return Edges(np.concatenate(first), np.concatenate(second), np.concatenate(similarities))


def _with_exact(near: Drops, exact: Sequence[Path]) -> tuple[Drops, NDArray[np.bool_]]:
    """Near and exact duplicates together, and whether each is a near one.

    Where the dialogue with the same words goes itself, for one that is similar to it, all of these
    words go for that one.
    """
    tables = [read_rows(path) for path in exact]
    empty = [np.zeros(0, np.uint64)]
    dropped = np.concatenate([*empty, *(table.column("dropped").to_numpy() for table in tables)])
    kept = np.concatenate([*empty, *(table.column("kept").to_numpy() for table in tables)])
    similarity = np.ones(len(dropped))
    order = np.argsort(near.dropped)
    gone = near.dropped[order]
    found = np.searchsorted(gone, kept)
    is_gone = np.zeros(len(kept), np.bool_)
    inside = found < len(gone)
    is_gone[inside] = gone[found[inside]] == kept[inside]
    instead = order[found[is_gone]]
    kept[is_gone], similarity[is_gone] = near.kept[instead], near.similarity[instead]
    drops = Drops(
        np.concatenate([near.dropped, dropped]),
        np.concatenate([near.kept, kept]),
        np.concatenate([near.similarity, similarity]),
    )
    return drops, np.concatenate([np.ones(len(near.dropped), np.bool_), is_gone])


def _drop_table(
    dropped: HashArray,
    kept: HashArray,
    similarity: NDArray[np.float64],
    is_near: NDArray[np.bool_],
    task: ChooseTask,
) -> pa.Table:
    if not len(dropped):
        return DROP_SCHEMA.empty_table()
    names = look_up(kept, task.identities)
    return pa.table(
        {
            "row": rows_of(dropped),
            "reason": np.where(is_near, NEAR_DUPLICATE, DUPLICATE).tolist(),
            "similarity": similarity,
            "kept_thread_id": names.column("thread_id"),
            "kept_turn_id": names.column("turn_id"),
        },
        schema=DROP_SCHEMA,
    )
