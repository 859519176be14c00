"""The second half of the search for duplicates: from pairs that may be similar to those that are.

    gather   a partition   candidates -> the shingles of those in a pair
    verify   a partition   pairs -> pairs with their similarity, if it is enough

`data_prep.duplicates.stages` finds the pairs, `data_prep.duplicates.choice` decides which dialogues
stay.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.config import DuplicatesConfig
from data_prep.duplicates.files import (
    EDGE_SCHEMA,
    PAIR_SCHEMA,
    WANTED_SCHEMA,
    Run,
    look_up,
    read_runs,
    rows_of,
    sets_as_lists,
    sets_of_lists,
    write_rows,
)
from data_prep.duplicates.texts import Compared, candidates_in
from data_prep.shingles import ShingleSets, jaccard
from data_prep.stages import JsonObject, Report, peak_memory

_PAIRS_AT_ONCE = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class GatherTask:
    """A partition of which some candidates are in a pair.

    Attributes:
        partition: its number.
        candidates: the file of its candidates.
        wanted: the places of those in a pair, more than once where many buckets want them.
        output: file for the sets of shingles, by place.
        config: what is compared.
    """

    partition: int
    candidates: Path
    wanted: tuple[Run, ...]
    output: Path
    config: DuplicatesConfig


def gather(task: GatherTask, report: Report) -> JsonObject:
    """Write the sets of shingles of the candidates that are in a pair."""
    wanted = read_runs(task.wanted, WANTED_SCHEMA)
    places = np.unique(wanted.column("place").to_numpy())
    kinds: list[list[ShingleSets]] = [[], []] if task.config.of == "dialogue" else [[]]
    for candidates in candidates_in(task.candidates, rows_of(places)):
        of_candidates = Compared(candidates, task.config).sets()
        for parts, sets in zip(kinds, of_candidates, strict=True):
            parts.append(sets.distinct())
    columns = [sets_as_lists(ShingleSets.concatenated(parts)) for parts in kinds]
    names = [f"sets_{number}" for number in range(len(columns))]
    write_rows(pa.table([pa.array(places), *columns], names=["place", *names]), task.output)
    report(wanted.num_rows)
    return {"peak_memory": peak_memory()}


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyTask:
    """The pairs of which the first is in a partition.

    Attributes:
        pairs: more than once where they share several keys.
        sets: what `gather` wrote, a file a partition.
        output: file for rows of EDGE_SCHEMA.
        min_similarity: how similar the two must be.
    """

    pairs: tuple[Run, ...]
    sets: tuple[Path, ...]
    output: Path
    min_similarity: float


def verify(task: VerifyTask, report: Report) -> JsonObject:
    """Write the pairs that are similar enough, with the exact Jaccard similarity of their shingles.

    Where dialogues and responses are compared, it is the lower of the two.

    Returns:
        JSON: "pairs" that were compared.
    """
    repeated = read_runs(task.pairs, PAIR_SCHEMA)
    table = repeated.group_by(["first", "second"]).aggregate([])
    table = table.sort_by([("first", "ascending"), ("second", "ascending")])
    report(repeated.num_rows - table.num_rows)
    edges = [EDGE_SCHEMA.empty_table()]
    for start in range(0, table.num_rows, _PAIRS_AT_ONCE):
        pairs = table.slice(start, _PAIRS_AT_ONCE)
        similarities = _similarities(pairs, task.sets)
        pairs = pairs.append_column("similarity", pa.array(similarities)).select(EDGE_SCHEMA.names)
        edges.append(pairs.filter(pa.array(similarities >= task.min_similarity)))
        report(pairs.num_rows)
    write_rows(pa.concat_tables(edges), task.output)
    return {"pairs": table.num_rows, "peak_memory": peak_memory()}


def _similarities(pairs: pa.Table, files: tuple[Path, ...]) -> NDArray[np.float64]:
    """(n,) the least similarity of each pair over all kinds of sets."""
    first, second = (
        look_up(pairs.column(name).to_numpy(), files).drop_columns(["place"])
        for name in ("first", "second")
    )
    of_kinds = [
        jaccard(sets_of_lists(left), sets_of_lists(right))
        for left, right in zip(first.columns, second.columns, strict=True)
    ]
    least: NDArray[np.float64] = np.minimum.reduce(of_kinds)
    return least
