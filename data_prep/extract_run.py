"""One extraction from the dumps to the final names of its results: the stages in their order."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_prep.blandness import read_frequent
from data_prep.candidates import num_candidates
from data_prep.config import ExtractConfig
from data_prep.counts import (
    MonthCounts,
    as_text,
    merged,
    require_sums,
    with_total,
)
from data_prep.dialogues import DIALOGUES_FOLDER
from data_prep.duplicates.search import find_duplicates
from data_prep.extract_layout import Layout
from data_prep.extract_plan import (
    RULES,
    build_key,
    finish_key,
    forgive_touched_dumps,
    input_note,
    purged_digest,
    read_key,
)
from data_prep.extract_stages import (
    BuildTask,
    BuiltFiles,
    ReadTask,
    read_dump,
)
from data_prep.filters import FilterSet
from data_prep.finish import CorpusRules, FinishTask, finish_partition
from data_prep.inventory import Inventory
from data_prep.presets import PRESETS
from data_prep.publication import publish
from data_prep.purging.dialogues import keep_out
from data_prep.purging.ids import PURGED_IDS_FILE
from data_prep.reference.build import LINES_FOLDER, LinesTask, write_month
from data_prep.rejects import Example, least_examples
from data_prep.stages import JsonObject, Stage, Task, Unit, Workers, key_of, run_stage
from data_prep.summaries import Findings, summary_files
from data_prep.trigram_stages import find_frequent_trigrams
from data_prep.workforce import share_out, workers_for
from dialogpt.records import write_json, write_text

_FEW_BUCKETS = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an extraction.

    Attributes:
        manifest: what the results were made of.
        table: the counts, for people.
        peak_memory: the most bytes that a process held, as far as the system tells.
    """

    manifest: JsonObject
    table: str
    peak_memory: int


class ExtractRun:
    """The stages of one extraction.

    Args:
        config: what to do.
        inventory: the dumps.
        settings: of `extract_plan.settings_of`.
        filters: of the config.
    """

    def __init__(
        self,
        config: ExtractConfig,
        inventory: Inventory,
        settings: JsonObject,
        filters: FilterSet,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._settings = settings
        self._filters = filters
        self._output = Path(config.output)
        self._work = self._output / "work"
        self._final = self._work / "final"
        self._final_key = ""
        self._layout = Layout(config, inventory, self._work)
        self._parts = self._layout.parts
        self._preset = PRESETS[config.preset]

    def extract(self) -> "Outcome":
        """Do what is not done yet, and give the results their names."""
        for unfinished in self._work.rglob("*.unfinished"):
            unfinished.unlink()
        with workers_for(self._config, self._inventory) as workers:
            readings = self._read(workers)
            built, key = self._build(workers, readings)
            frequent = self._frequent_trigrams(workers, key)
            finished = self._finish(workers, key, frequent)
            lines = self._lines(workers)
        results = [*readings, *built, *finished, *lines]
        counts = self._counts([*readings, *built, *finished])
        self._write_summaries(counts, results, frequent)
        counts = keep_out(self._final, self._output / PURGED_IDS_FILE) or counts
        manifest = self._manifest(counts, readings, finished)
        publish(self._final, self._output, manifest)
        peak_memory = max(result["peak_memory"] for result in results)
        return Outcome(manifest, as_text(counts), peak_memory)

    def _counts(self, results: Sequence[JsonObject]) -> MonthCounts:
        no_counts: MonthCounts = {dump.month: {} for dump in self._inventory.dumps}
        names = self._preset.count_names(self._filters)
        counts = merged([no_counts, *(result["counts"] for result in results)], names)
        require_sums(counts)
        return counts

    def _stage(self, label: str, measure: str, work: object) -> Stage[Task]:
        return Stage(
            label=label,
            measure=measure,
            work=work,  # type: ignore[arg-type]
            markers=self._work / "markers" / label,
        )

    def _read(self, workers: Workers) -> list[JsonObject]:
        """Dumps -> spills."""
        for folder in ("spills", "examples"):
            (self._work / folder).mkdir(parents=True, exist_ok=True)
        num_processes, num_threads = share_out(self._inventory.dumps, workers.num_workers)
        units = []
        for dump, threads in zip(self._inventory.dumps, num_threads, strict=True):
            task = ReadTask(
                dump=dump,
                spill=self._layout.spill(dump),
                num_partitions=self._layout.num_partitions(dump),
                num_threads=threads,
                examples=self._examples(f"read-{dump.kind}_{dump.month}"),
                rejects=self._rejects(f"read-{dump.kind}_{dump.month}"),
                config=self._config,
            )
            key = read_key(dump, task.num_partitions, self._config)
            units.append(Unit(f"{dump.kind}_{dump.month}", task, dump.size, key))
        stage: Stage[ReadTask] = self._stage("read", "B", read_dump)
        forgive_touched_dumps(stage, units, self._config)
        if num_processes == 1:
            return run_stage(stage, units, num_workers=1)
        return run_stage(stage, units, workers=workers)

    def _examples(self, name: str) -> Path:
        return self._work / "examples" / f"{name}.json"

    def _rejects(self, name: str) -> Path | None:
        if not self._config.keep_rejects:
            return None
        return self._work / "rejects" / f"{name}.parquet"

    def _build(
        self, workers: Workers, readings: Sequence[JsonObject]
    ) -> tuple[list[JsonObject], str]:
        """Spills -> candidates; and a key that stands for all of them."""
        reading_of = dict(zip(self._inventory.dumps, readings, strict=True))
        units = []
        for part in self._parts:
            task = BuildTask(
                number=part.number,
                spills=part.spills,
                files=BuiltFiles.of(self._work, part.name),
                num_buckets=self._num_buckets if self._drops_bland else 0,
                config=self._config,
            )
            inputs = [(dump, reading_of[dump]) for dump in part.dumps]
            key = build_key(self._settings, inputs, part.num_partitions)
            comments = [reading for dump, reading in inputs if dump.kind == "RC"]
            size = sum(reading["num_rows"][part.number] for reading in comments)
            units.append(Unit(part.name, task, size, key))
        stage: Stage[BuildTask] = self._stage("build", " comments", self._preset.build)
        results = run_stage(stage, units, workers=workers)
        return results, key_of([unit.key for unit in units])

    @property
    def _num_buckets(self) -> int:
        """Of trigrams. The more partitions, the less of each may be held at once."""
        return max(min(len(self._parts), _FEW_BUCKETS), len(self._parts) // 8)

    @property
    def _drops_bland(self) -> bool:
        return self._config.preset == "paper" and self._config.filters.bland_share > 0

    @property
    def _writes_test_items(self) -> bool:
        return self._config.preset == "paper" and self._config.multiref.min_responses > 0

    def _frequent_trigrams(self, workers: Workers, built_key: str) -> Path | None:
        """Counts of partitions -> the frequent trigrams of the corpus."""
        if not self._drops_bland:
            return None
        return find_frequent_trigrams(
            [BuiltFiles.of(self._work, part.name).trigrams for part in self._parts],
            self._work,
            num_buckets=self._num_buckets,
            min_count=self._config.filters.bland_count,
            key=built_key,
            workers=workers,
        )

    def _finish(self, workers: Workers, built_key: str, frequent: Path | None) -> list[JsonObject]:
        """Candidates -> dialogues, in a folder that waits to be published."""
        candidates = [BuiltFiles.of(self._work, part.name).candidates for part in self._parts]
        purged_ids = self._output / PURGED_IDS_FILE
        key = finish_key(self._settings, built_key, purged_ids)
        rules = CorpusRules(frequent, self._config.filters.bland_share, purged_ids, key)
        duplicates: Sequence[Path | None] = [None] * len(candidates)
        if self._config.duplicates.drop != "none":
            found = find_duplicates(
                candidates,
                self._work / "duplicates",
                self._config.duplicates,
                key=key,
                workers=workers,
                excludes=rules,
            )
            duplicates, key = found.drops, key_of(key, found.key)
        stage: Stage[FinishTask] = self._stage("finish", " dialogues", finish_partition)
        self._open_final(key, stage)
        units = []
        for number, part in enumerate(self._parts):
            task = FinishTask(
                number=number,
                candidates=candidates[number],
                rules=rules,
                duplicates=duplicates[number],
                output=self._final / DIALOGUES_FOLDER,
                examples=self._examples(f"finish-{part.name}"),
                rejects=self._rejects(f"finish-{part.name}"),
            )
            units.append(Unit(part.name, task, num_candidates(task.candidates), key))
        return run_stage(stage, units, workers=workers)

    def _lines(self, workers: Workers) -> list[JsonObject]:
        """The public code's lines, a file a month: preset "reference"."""
        if self._config.preset != "reference":
            return []
        parts: dict[str, list[tuple[Path, Path]]] = {}
        for part in self._parts:
            files = BuiltFiles.of(self._work, part.name)
            of_month = parts.setdefault(part.dumps[0].month, [])
            of_month.append((files.lines, files.candidates))
        units = []
        for month, of_month in parts.items():
            task = LinesTask(
                month=month,
                parts=tuple(of_month),
                purged_ids=self._output / PURGED_IDS_FILE,
                output=self._final / LINES_FOLDER / f"{month}.tsv",
            )
            units.append(Unit(month, task, 1, self._final_key))
        stage: Stage[LinesTask] = self._stage("lines", " months", write_month)
        return run_stage(stage, units, workers=workers)

    def _open_final(self, key: str, stage: Stage[FinishTask]) -> None:
        """Go on with the folder of an interrupted run if it was to hold the same; else empty it."""
        self._final_key = key
        note = self._work / "final.json"
        if self._final.is_dir() and note.is_file() and orjson.loads(note.read_bytes()) == key:
            return
        for markers in (stage.markers, stage.markers.with_name("lines")):
            shutil.rmtree(markers, ignore_errors=True)
        shutil.rmtree(self._final, ignore_errors=True)
        write_json(note, key)
        self._final.mkdir(parents=True)

    def _write_summaries(
        self, counts: MonthCounts, results: Sequence[JsonObject], frequent: Path | None
    ) -> None:
        """What stands beside the dialogues."""
        examples: list[Example] = []
        for name in self._unit_names():
            of_unit = orjson.loads(self._examples(name).read_bytes())
            examples = least_examples([*examples, *of_unit])
        findings = Findings(
            inventory=self._inventory,
            counts=counts,
            damages=[result["damage"] for result in results if result.get("damage")],
            unusable=_unusable(results),
            examples=examples,
            frequent=read_frequent(frequent) if self._drops_bland else None,
        )
        for file_name, text in summary_files(findings).items():
            write_text(self._final / file_name, text)
        if self._writes_test_items:
            self._write_test_items()
        if self._config.keep_rejects:
            (self._final / "rejects").mkdir(exist_ok=True)
            for path in filter(None, map(self._rejects, self._unit_names())):
                link_or_copy(path, self._final / "rejects" / path.name)

    def _unit_names(self) -> list[str]:
        """Of all units of this run that drop something; there may be files of others about."""
        dumps = [f"read-{dump.kind}_{dump.month}" for dump in self._inventory.dumps]
        names = [part.name for part in self._parts]
        return dumps + [f"{stage}-{name}" for stage in ("build", "finish") for name in names]

    def _write_test_items(self) -> None:
        """The items of all partitions as one file."""
        (self._final / "testset").mkdir(exist_ok=True)
        with (self._final / "testset" / "multiref.jsonl").open("wb") as output:
            for part in self._parts:
                with BuiltFiles.of(self._work, part.name).test_items.open("rb") as items:
                    shutil.copyfileobj(items, output)

    def _manifest(
        self,
        counts: MonthCounts,
        readings: Sequence[JsonObject],
        finished: Sequence[JsonObject],
    ) -> JsonObject:
        files = {
            f"{DIALOGUES_FOLDER}/{path}": description
            for result in finished
            for path, description in result["files"].items()
        }
        return {
            "rules": RULES,
            "settings": self._settings,
            "num_partitions": self._layout.asked_for,
            "inputs": {
                dump.name: input_note(dump, reading["sha256"])
                for dump, reading in zip(self._inventory.dumps, readings, strict=True)
            },
            "purged_ids": purged_digest(self._output / PURGED_IDS_FILE),
            "counts": with_total(counts)["total"],
            "damaged_archives": [r["damage"] for r in readings if r["damage"]],
            "files": files,
        }


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no such thing."""
    target.unlink(missing_ok=True)  # of a run that was killed after this
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _unusable(results: Sequence[JsonObject]) -> dict[str, list[str]]:
    """Reason -> the first unusable lines of each file."""
    unusable: dict[str, list[str]] = {}
    for result in results:
        for reason, lines in result.get("unusable", {}).items():
            unusable.setdefault(reason, []).extend(lines)
    return unusable
