"""The first half of the search for duplicates, as functions of one unit of work each.

    sign     a partition   candidates -> identities; keys, dealt to buckets
    exact    a bucket      keys of whole texts -> dialogues of the same words
    match    a bucket      keys of bands -> pairs that may be similar, dealt to partitions

`data_prep.duplicates.verification` goes on. Each stage has its whole input on disk, and none holds
more than a partition or a bucket in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.candidates import read_candidates
from data_prep.config import DuplicatesConfig
from data_prep.duplicates.files import (
    EXACT_SCHEMA,
    IDENTITY_SCHEMA,
    KEY_SCHEMA,
    LATEST,
    KeyColumns,
    Run,
    deal_keys,
    deal_pairs,
    deal_wanted,
    identities_at,
    places_of,
    read_places,
    read_runs,
    write_rows,
)
from data_prep.duplicates.minhash import Banding, band_keys
from data_prep.duplicates.pairs import num_cut_groups, pairs_under_keys, shared_keys
from data_prep.duplicates.texts import Compared
from data_prep.shingles import (
    HashArray,
    flattened,
)
from data_prep.stages import JsonObject, Report, peak_memory
from dialogpt.records import SPLITS

Exclusion: TypeAlias = Callable[[pa.Table], NDArray[np.bool_]]
"""Which of n rows of CANDIDATE_SCHEMA to leave out."""

SPLIT_PREFERENCE = ("test", "valid", "train")
"""A dialogue of an earlier one stays: training loses what it has in common with the test split."""

_SPLIT_RANKS = np.array([SPLIT_PREFERENCE.index(split) for split in SPLITS], np.int8)


@dataclass(frozen=True, kw_only=True, slots=True)
class SignTask:
    """A partition to sign.

    Attributes:
        partition: its number.
        candidates: the file of its candidates.
        identities: file for rows of IDENTITY_SCHEMA.
        exact_keys: file for the keys of whole texts.
        near_keys: file for the keys of bands.
        num_buckets: to which the keys are dealt.
        config: what is compared.
        excludes: which of some candidates take no part; None: all do.
    """

    partition: int
    candidates: Path
    identities: Path
    exact_keys: Path
    near_keys: Path
    num_buckets: int
    config: DuplicatesConfig
    excludes: Exclusion | None


def sign(task: SignTask, report: Report) -> JsonObject:
    """Write the identities of the candidates of a partition, and their keys.

    Returns:
        JSON: "exact_batches" and "near_batches", (bucket, rows) of each batch of the keys;
        "compared", how many candidates take part.
    """
    identities = [IDENTITY_SCHEMA.empty_table()]
    exact_keys: list[KeyColumns] = []
    near_keys: list[KeyColumns] = []
    first_row = 0
    for candidates in read_candidates(task.candidates):
        compared = Compared(candidates, task.config)
        digests = compared.digests()
        identities.append(_identities(candidates, digests))
        takes_part = compared.is_long
        if task.excludes is not None:
            takes_part = takes_part & ~task.excludes(candidates)
        rows = np.flatnonzero(takes_part)
        places = places_of(task.partition, rows + first_row)
        exact_keys.append((_first_bytes(digests)[rows], places))
        if task.config.drop == "near":
            banding = Banding.for_similarity(task.config.min_similarity)
            keys = band_keys([sets.take(rows) for sets in compared.sets()], banding)
            near_keys.append((keys.ravel(), np.repeat(places, banding.num_bands)))
        first_row += candidates.num_rows
        report(candidates.num_rows)
    write_rows(pa.concat_tables(identities), task.identities)
    return {
        "exact_batches": deal_keys(exact_keys, task.num_buckets, task.exact_keys),
        "near_batches": deal_keys(near_keys, task.num_buckets, task.near_keys),
        "compared": sum(len(places) for _, places in exact_keys),
        "peak_memory": peak_memory(),
    }


def _first_bytes(digests: pa.Array) -> HashArray:
    """The first half of each digest as a number."""
    return np.frombuffer(b"".join(digests.to_pylist()), np.uint64)[::2]


def _identities(candidates: pa.Table, digests: pa.Array) -> pa.Table:
    splits = pc.index_in(candidates.column("split"), pa.array(SPLITS, pa.string())).to_numpy()
    created = candidates.column("created_utc").to_numpy()
    turn_ids, bounds = flattened(candidates.column("turn_ids"))
    return pa.table(
        {
            "digest": digests,
            "split_rank": _SPLIT_RANKS[splits],
            "created_utc": np.where(created == 0, LATEST, created),
            "thread_id": candidates.column("thread_id"),
            "turn_id": turn_ids.take(pa.array(bounds[1:] - 1)),
        },
        schema=IDENTITY_SCHEMA,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ExactTask:
    """A bucket of keys of whole texts.

    Attributes:
        keys: the keys of all partitions that belong to the bucket.
        identities: of the candidates, a file a partition.
        output: file for rows of EXACT_SCHEMA.
    """

    keys: tuple[Run, ...]
    identities: tuple[Path, ...]
    output: Path


def find_exact(task: ExactTask, report: Report) -> JsonObject:
    """Write which dialogues have the words of a preferred one; of one text one is preferred.

    Returns:
        JSON: "dialogues", how many do.
    """
    keys = read_runs(task.keys, KEY_SCHEMA)
    _, places = shared_keys(keys.column("key").to_numpy(), keys.column("place").to_numpy())
    identities = identities_at(places, task.identities)
    texts = identities.column("digest").combine_chunks().dictionary_encode()
    text_numbers = np.asarray(texts.indices)
    by_preference = identities.column("place").to_numpy()
    # `first[text]` is the row of the dialogue that is preferred to the others of this text.
    _, first = np.unique(text_numbers, return_index=True)
    kept_rows = first[text_numbers] if len(first) else text_numbers
    is_dropped = kept_rows != np.arange(len(kept_rows))
    dropped, kept = by_preference[is_dropped], by_preference[kept_rows[is_dropped]]
    table = pa.table({"dropped": dropped, "kept": kept}, schema=EXACT_SCHEMA)
    write_rows(table, task.output)
    report(keys.num_rows)
    return {"dialogues": len(dropped), "peak_memory": peak_memory()}


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchTask:
    """A bucket of keys of bands.

    Attributes:
        keys: the keys of all partitions that belong to the bucket.
        exact: all that `find_exact` wrote; dialogues that it drops take no part.
        identities: of the candidates, a file a partition.
        pairs: file for rows of PAIR_SCHEMA, dealt to the partition of the first.
        wanted: file for the places of those in a pair, dealt to their partitions.
    """

    keys: tuple[Run, ...]
    exact: tuple[Path, ...]
    identities: tuple[Path, ...]
    pairs: Path
    wanted: Path


def match(task: MatchTask, report: Report) -> JsonObject:
    """Write the pairs of dialogues that share a key.

    Returns:
        JSON: "pair_batches" and "wanted_batches", (partition, rows) of each batch; "cut_groups",
        how many keys were shared by too many for all pairs.
    """
    table = read_runs(task.keys, KEY_SCHEMA)
    keys, places = table.column("key").to_numpy(), table.column("place").to_numpy()
    dropped = read_places(task.exact, "dropped")
    stays = ~contains(dropped, places)
    keys, places = shared_keys(keys[stays], places[stays])

    def in_preference(of_group: HashArray) -> HashArray:
        return np.asarray(identities_at(of_group, task.identities).column("place"))

    report(table.num_rows)
    return {
        "pair_batches": deal_pairs(pairs_under_keys(keys, places, in_preference), task.pairs),
        "wanted_batches": deal_wanted(np.unique(places), task.wanted),
        "cut_groups": num_cut_groups(keys),
        "peak_memory": peak_memory(),
    }


def contains(values: HashArray, wanted: HashArray) -> NDArray[np.bool_]:
    """Whether each of those wanted is among some ascending values."""
    if not len(values):
        return np.zeros(len(wanted), np.bool_)
    found = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.asarray(values[found] == wanted)
