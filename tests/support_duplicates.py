"""Candidates, and the search for duplicates by comparing all pairs, one word after the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_prep.blocklists import words_of
from data_prep.candidates import CANDIDATE_SCHEMA, CandidateWriter
from data_prep.config import DuplicatesConfig
from data_prep.duplicates.search import DuplicatesFound, find_duplicates, read_drops
from data_prep.duplicates.stages import Exclusion
from data_prep.stages import Workers

Row = dict[str, Any]

SPLIT_ORDER = ("test", "valid", "train")


@dataclass(frozen=True)
class Drop:
    """A dialogue that goes; `kept` is (thread, last turn) of the one that stays."""

    reason: str
    kept: tuple[str, str]
    similarity: float


def row(name: str, *turns: str, **values: Any) -> Row:
    """A candidate; its name is that of its thread and, with numbers, of its turns."""
    return {
        "turns": list(turns),
        "speakers": [number % 2 for number in range(len(turns))],
        "turn_ids": [f"t1_{name}{number}" for number in range(len(turns))],
        "thread_id": f"t3_{name}",
        "subreddit": "test",
        "month": "2015-01",
        "created_utc": 1_420_000_000,
        "score": 1,
        "knowledge": [],
        "split": "train",
        **values,
    }


def name_of(row: Row) -> tuple[str, str]:
    return row["thread_id"], row["turn_ids"][-1]


def write_candidates(folder: Path, parts: Iterable[Sequence[Row]]) -> list[Path]:
    paths = []
    for number, rows in enumerate(parts):
        paths.append(folder / f"part-{number:05d}.arrow")
        with CandidateWriter(paths[-1]) as writer:
            # Some rows at a time, as partitions come in several batches.
            for start in range(0, len(rows), 7):
                table = pa.Table.from_pylist(list(rows[start : start + 7]), CANDIDATE_SCHEMA)
                writer.write(table)
    return paths


def search(
    folder: Path,
    parts: Sequence[Sequence[Row]],
    config: DuplicatesConfig,
    *,
    num_workers: int = 1,
    num_buckets: int = 3,
    key: str = "",
    excludes: Exclusion | None = None,
) -> DuplicatesFound:
    paths = write_candidates(folder / "candidates", parts)
    with Workers(num_workers) as workers:
        return find_duplicates(
            paths,
            folder / "work",
            config,
            key=key,
            workers=workers,
            num_buckets=num_buckets,
            excludes=excludes,
        )


def drops_of(found: DuplicatesFound, parts: Sequence[Sequence[Row]]) -> dict[Any, Drop]:
    """(Thread, last turn) of what goes -> why."""
    drops = {}
    for path, rows in zip(found.drops, parts, strict=True):
        for drop in read_drops(path).to_pylist():
            kept = (drop["kept_thread_id"], drop["kept_turn_id"])
            name = name_of(rows[drop["row"]])
            assert name not in drops
            drops[name] = Drop(drop["reason"], kept, drop["similarity"])
    return drops


def brute_force(rows: Sequence[Row], config: DuplicatesConfig) -> dict[Any, Drop]:
    """What `drops_of` should say."""
    preferred = sorted(rows, key=preference)
    texts = [compared(row, config) for row in preferred]
    sets = [sets_of(turns, config) for turns in texts]
    drops: dict[Any, Drop] = {}
    first_of: dict[str, int] = {}
    kept: list[int] = []
    for number, candidate in enumerate(preferred):
        if sum(len(turn) for turn in texts[number]) < config.min_words:
            continue
        first = first_of.setdefault(str(texts[number]), number)
        if first < number:
            # Goes for its copy, or for what that goes for.
            exact = Drop("duplicate", name_of(preferred[first]), 1.0)
            drops[name_of(candidate)] = drops.get(exact.kept, exact)
            continue
        similarities = {other: min(map(jaccard, sets[number], sets[other])) for other in kept}
        best = max(similarities, key=lambda other: (similarities[other], -other), default=None)
        if best is None or config.drop == "exact" or similarities[best] < least(config):
            kept.append(number)
            continue
        drops[name_of(candidate)] = Drop(
            "near_duplicate", name_of(preferred[best]), float(similarities[best])
        )
    return drops


def least(config: DuplicatesConfig) -> Fraction:
    """The least similarity as it was typed, 4 / 5 and not the float beside it."""
    return Fraction(str(config.min_similarity))


def preference(row: Row) -> tuple[Any, ...]:
    rank = SPLIT_ORDER.index(row["split"])
    return rank, row["created_utc"] == 0, row["created_utc"], *name_of(row)


def compared(row: Row, config: DuplicatesConfig) -> list[list[str]]:
    turns = row["turns"] if config.of == "dialogue" else row["turns"][-1:]
    return [words_of(turn) or turn.split(" ") for turn in turns]


def shingles(turns: Iterable[Sequence[str]], size: int) -> set[tuple[str, ...]]:
    return {
        tuple(words[start : start + size])
        for words in turns
        for start in range(max(1, len(words) - size + 1))
    }


def sets_of(turns: Sequence[Sequence[str]], config: DuplicatesConfig) -> list[set[tuple[str, ...]]]:
    return [shingles(turns, config.shingle_words), shingles(turns[-1:], config.shingle_words)]


def jaccard(left: set[Any], right: set[Any]) -> Fraction:
    return Fraction(len(left & right), len(left | right))


def reasons(drops: Mapping[Any, Drop]) -> dict[str, str]:
    """Thread without its prefix -> reason."""
    return {thread.removeprefix("t3_"): drop.reason for (thread, _), drop in drops.items()}
