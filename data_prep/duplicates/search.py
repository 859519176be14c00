"""Dialogues that are dropped because another one that stays says the same, exactly or nearly.

`find_duplicates` runs the stages; what they do is in `stages` and `verification` beside it, which
of similar dialogues stay in `choice`, how they are compared in `texts`, `minhash` and
`data_prep.shingles`. docs/duplicates.md says what counts as a duplicate, and what this costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.candidates import num_candidates
from data_prep.config import DuplicatesConfig
from data_prep.duplicates.choice import DUPLICATE, NEAR_DUPLICATE, ChooseTask, choose_dialogues
from data_prep.duplicates.files import DealtFiles, read_rows
from data_prep.duplicates.minhash import ALGORITHM, Banding
from data_prep.duplicates.stages import (
    ExactTask,
    Exclusion,
    MatchTask,
    SignTask,
    find_exact,
    match,
    sign,
)
from data_prep.duplicates.verification import GatherTask, VerifyTask, gather, verify
from data_prep.stages import JsonObject, Report, Stage, Unit, Workers, key_of, run_stage

DUPLICATE_REASONS = (DUPLICATE, NEAR_DUPLICATE)
"""The reasons that can be given."""

RULES = "duplicates-1"
"""Name of what this module and those below it do; change it with them."""

BYTES_PER_BUCKET = 128 << 20
"""Keys of a bucket, at most, in bytes; in memory a bucket takes about five times that."""

_BYTES_PER_KEY = 16
_MIN_BUCKETS = 2

Task = TypeVar("Task")


@dataclass(frozen=True, slots=True)
class DuplicatesFound:
    """What goes.

    Attributes:
        drops: a file for each partition; `read_drops` reads them.
        key: stands for all that they depend on: part of the keys of stages that read them.
        counts: JSON: "compared", candidates that took part; "pairs" whose similarity was
            computed; "cut_groups", see `pairs.MAX_COMPARED`; "duplicate",
            "near_duplicate", how many go; "peak_memory" in bytes.
    """

    drops: tuple[Path, ...]
    key: str
    counts: JsonObject


def find_duplicates(
    candidates: Sequence[Path],
    work: Path,
    config: DuplicatesConfig,
    *,
    key: str,
    workers: Workers,
    num_buckets: int = 0,
    excludes: Exclusion | None = None,
) -> DuplicatesFound:
    """Find the candidates that go, or do what is left of it.

    Args:
        candidates: a file a partition, each with a name of its own; whole threads in each.
        work: folder for what the stages leave one another, and for their markers.
        config: what counts as a duplicate; not "none".
        key: stands for all candidates, and for those that take no part: stages are done again when
            it has changed.
        workers: do the work.
        num_buckets: parts that the keys are dealt to; 0 chooses by their number.
        excludes: tells which candidates take no part because they are dropped for another reason:
            then no other one goes for them. It travels to other processes.
    """
    search = _Search(
        candidates,
        work,
        config,
        key=key,
        workers=workers,
        num_buckets=num_buckets,
        excludes=excludes,
    )
    return search.run()


def read_drops(path: Path) -> pa.Table:
    """The rows of a partition that go: columns of DROP_SCHEMA, and `detail` for people to read."""
    table = read_rows(path)
    # Below 1 it must not read as 1.
    shown = pc.floor(pc.multiply(table.column("similarity"), 1000.0))
    shown = pc.divide(shown, 1000.0).cast(pa.string())
    detail = pc.binary_join_element_wise(
        "like ",
        table.column("kept_turn_id"),
        " of ",
        table.column("kept_thread_id"),
        ": ",
        shown,
        "",
    )
    return table.append_column("detail", detail)


class _Search:
    """The stages of one search."""

    def __init__(
        self,
        candidates: Sequence[Path],
        work: Path,
        config: DuplicatesConfig,
        *,
        key: str,
        workers: Workers,
        num_buckets: int,
        excludes: Exclusion | None,
    ) -> None:
        self._candidates = candidates
        self._num_rows = [num_candidates(path) for path in candidates]
        self._work = work
        self._config = config
        self._workers = workers
        self._excludes = excludes
        self._num_buckets = num_buckets or choose_num_buckets(sum(self._num_rows), config)
        names = [path.stem for path in candidates]
        assert len({*names}) == len(names)
        self._names = names
        self._key = key_of(RULES, ALGORITHM, asdict(config), self._num_buckets, names, key)

    def run(self) -> DuplicatesFound:
        signed = self._sign()
        results = [*signed, *self._find_exact(signed)]
        if self._config.drop == "near":
            matched = self._match(signed)
            results += [*matched, *self._gather(matched), *self._verify(matched)]
        chosen = self._choose()
        results.append(chosen)
        return DuplicatesFound(
            drops=self._paths("drops"),
            key=self._key,
            counts={
                "compared": sum(result["compared"] for result in signed),
                "pairs": sum(result.get("pairs", 0) for result in results),
                "cut_groups": sum(result.get("cut_groups", 0) for result in results),
                **{reason: chosen[reason] for reason in DUPLICATE_REASONS},
                "peak_memory": max(result["peak_memory"] for result in results),
            },
        )

    def _sign(self) -> list[JsonObject]:
        tasks = [
            SignTask(
                partition=partition,
                candidates=path,
                identities=self._path("identities", name),
                exact_keys=self._path("exact_keys", name),
                near_keys=self._path("near_keys", name),
                num_buckets=self._num_buckets,
                config=self._config,
                excludes=self._excludes,
            )
            for partition, (name, path) in enumerate(
                zip(self._names, self._candidates, strict=True)
            )
        ]
        return self._run("sign", " dialogues", sign, self._names, tasks, self._num_rows)

    def _find_exact(self, signed: Sequence[JsonObject]) -> list[JsonObject]:
        keys = self._dealt("exact_keys", self._names, signed, "exact_batches")
        tasks = [
            ExactTask(
                keys=tuple(keys.runs[bucket]),
                identities=self._paths("identities"),
                output=path,
            )
            for bucket, path in enumerate(self._bucket_paths("exact"))
        ]
        sizes = [keys.num_rows[bucket] for bucket in range(self._num_buckets)]
        return self._run("exact", " keys", find_exact, self._bucket_names, tasks, sizes)

    def _match(self, signed: Sequence[JsonObject]) -> list[JsonObject]:
        keys = self._dealt("near_keys", self._names, signed, "near_batches")
        tasks = [
            MatchTask(
                keys=tuple(keys.runs[bucket]),
                exact=self._bucket_paths("exact"),
                identities=self._paths("identities"),
                pairs=self._path("pairs", name),
                wanted=self._path("wanted", name),
            )
            for bucket, name in enumerate(self._bucket_names)
        ]
        sizes = [keys.num_rows[bucket] for bucket in range(self._num_buckets)]
        return self._run("match", " keys", match, self._bucket_names, tasks, sizes)

    def _gather(self, matched: Sequence[JsonObject]) -> list[JsonObject]:
        wanted = self._dealt("wanted", self._bucket_names, matched, "wanted_batches")
        tasks = [
            GatherTask(
                partition=partition,
                candidates=path,
                wanted=tuple(wanted.runs[partition]),
                output=self._path("sets", name),
                config=self._config,
            )
            for partition, (name, path) in enumerate(
                zip(self._names, self._candidates, strict=True)
            )
        ]
        sizes = [wanted.num_rows[partition] for partition in range(len(self._names))]
        return self._run("gather", " dialogues", gather, self._names, tasks, sizes)

    def _verify(self, matched: Sequence[JsonObject]) -> list[JsonObject]:
        pairs = self._dealt("pairs", self._bucket_names, matched, "pair_batches")
        tasks = [
            VerifyTask(
                pairs=tuple(pairs.runs[partition]),
                sets=self._paths("sets"),
                output=path,
                min_similarity=self._config.min_similarity,
            )
            for partition, path in enumerate(self._paths("edges"))
        ]
        sizes = [pairs.num_rows[partition] for partition in range(len(self._names))]
        return self._run("verify", " pairs", verify, self._names, tasks, sizes)

    def _choose(self) -> JsonObject:
        task = ChooseTask(
            exact=self._bucket_paths("exact"),
            edges=self._paths("edges") if self._config.drop == "near" else (),
            identities=self._paths("identities"),
            drops=self._paths("drops"),
        )
        sizes = [len(self._names)]
        return self._run("choose", " parts", choose_dialogues, ["all"], [task], sizes)[0]

    def _run(
        self,
        label: str,
        measure: str,
        work: Callable[[Task, Report], JsonObject],
        names: Sequence[str],
        tasks: Sequence[Task],
        sizes: Sequence[int],
    ) -> list[JsonObject]:
        markers = self._work / "markers" / label
        stage = Stage(label=label, measure=measure, work=work, markers=markers)
        units = [
            Unit(name, task, size, self._key)
            for name, task, size in zip(names, tasks, sizes, strict=True)
        ]
        return run_stage(stage, units, workers=self._workers)

    def _dealt(
        self, folder: str, names: Sequence[str], results: Sequence[JsonObject], batches: str
    ) -> DealtFiles:
        return DealtFiles.of(
            (self._path(folder, name), result[batches])
            for name, result in zip(names, results, strict=True)
        )

    @property
    def _bucket_names(self) -> list[str]:
        return [f"bucket-{bucket:05d}" for bucket in range(self._num_buckets)]

    def _path(self, folder: str, name: str) -> Path:
        return self._work / folder / f"{name}.arrow"

    def _paths(self, folder: str) -> tuple[Path, ...]:
        """A file for each partition."""
        return tuple(self._path(folder, name) for name in self._names)

    def _bucket_paths(self, folder: str) -> tuple[Path, ...]:
        return tuple(self._path(folder, name) for name in self._bucket_names)


def choose_num_buckets(num_dialogues: int, config: DuplicatesConfig) -> int:
    """How many buckets suit the keys of so many dialogues: a power of two."""
    banding = Banding.for_similarity(config.min_similarity)
    keys_each = banding.num_bands if config.drop == "near" else 1
    wanted = -(-num_dialogues * keys_each * _BYTES_PER_KEY // BYTES_PER_BUCKET)
    return 1 << (max(_MIN_BUCKETS, wanted) - 1).bit_length()
