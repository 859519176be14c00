"""One extraction on Spark, from what is read to results that wait for their names."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from data_prep.blandness import TRIGRAM_SCHEMA
from data_prep.config import ExtractConfig
from data_prep.counts import MonthCounts, as_text, with_total
from data_prep.extract_plan import RULES, build_key, finish_key
from data_prep.filters import FilterSet
from data_prep.finish import CorpusRules
from data_prep.partitions import choose_num_partitions
from data_prep.purging.ids import PURGED_IDS_FILE
from data_prep.spark.building import DialogueBuilder, PartitionBuilder, build_partition
from data_prep.spark.dealing import Reading
from data_prep.spark.duplicates import find_shared_duplicates
from data_prep.spark.finishing import Finishing
from data_prep.spark.outputs import Output
from data_prep.spark.parcel_files import READING, notes_of, read_parcels, write_parcels
from data_prep.spark.parcels import CANDIDATES, PARCEL_COLUMNS, REJECTS, TEST_ITEMS, pack
from data_prep.spark.posts import SETTINGS, posts_of
from data_prep.spark.session import named_errors, sql_settings
from data_prep.spark.sources import Sources
from data_prep.spark.summaries import Report
from data_prep.spark.trigrams import frequent_trigrams
from data_prep.stages import JsonObject, key_of
from data_prep.summaries import Findings, summary_files

_TASKS_PER_SLOT = 2
_BUILT, _BUILT_NOTE = "built", "built.json"


class SparkRun:
    """The stages of one extraction.

    Attributes:
        num_partitions: how many parts the threads are dealt to.
    """

    def __init__(
        self,
        spark: SparkSession,
        config: ExtractConfig,
        *,
        route: str,
        sources: Sources,
        settings: JsonObject,
        output: Output,
        builder: PartitionBuilder | None = None,
    ) -> None:
        """Prepare.

        Args:
            spark: does the work.
            config: what to do.
            route: what the sources are read as.
            sources: what is read.
            settings: of `extract_plan.settings_of`.
            output: where the results go.
            builder: makes something of each partition; None makes dialogues.
        """
        self._spark = spark
        self._config = config
        self._route = route
        self._sources = sources
        self._settings = settings
        self._output = output
        self._filters = FilterSet.from_config(config.filters)
        self._builder = builder or DialogueBuilder(config, self._filters)
        left = output.work.read(_BUILT_NOTE)
        self._left: JsonObject = orjson.loads(left) if left else {}
        self.num_partitions = config.num_partitions or self._suitable_num_partitions()

    def _suitable_num_partitions(self) -> int:
        """A power of two: what memory asks for, and enough to keep all cores busy.

        What an earlier run left is of use with its number only, so that is kept while it suits.
        """
        slots = _TASKS_PER_SLOT * int(self._spark.sparkContext.defaultParallelism)
        by_size = choose_num_partitions(self._sources.comment_bytes)
        wanted = max(by_size, 1 << (slots - 1).bit_length())
        before: int = self._left.get("num_partitions", 0)
        return before if before // 4 <= wanted <= 2 * before else wanted

    def extract(self) -> tuple[JsonObject, str]:
        """Do what is not done yet, and prepare the results.

        Returns:
            manifest: what the results were made of.
            table: the counts, for people.
        """
        with named_errors("read and build"):
            self._build()
        self._output.begin_results()
        report = Report()
        with sql_settings(self._spark, READING), named_errors("finish"):
            built = read_parcels(self._spark, self._output.work / _BUILT)
            for _, note in notes_of(built):
                report.add(note)
            frequent = self._finish(built, report)
            if self._config.multiref.min_responses:
                self._output.write("testset/multiref.jsonl", self._test_items(built))
            if self._config.keep_rejects:
                self._output.write_rejects(built.where(built.kind == REJECTS))
        counts = self._counts(report)
        inventory = self._sources.inventory
        findings = Findings(
            inventory=inventory,
            counts=counts,
            damages=report.damages,
            unusable=report.unusable(),
            examples=report.examples,
            frequent=frequent,
        )
        for name, text in summary_files(findings).items():
            self._output.write(name, [text.encode()])
        return self._manifest(counts, report), as_text(counts)

    @property
    def _built_key(self) -> str:
        """Stands for all that candidates depend on."""
        settings_key = build_key(self._settings, [], self.num_partitions)
        return key_of(settings_key, self._route, self._sources.files)

    def _build(self) -> None:
        """Sources -> parcels of candidates, unless an earlier run left them."""
        work = self._output.work
        note = {"key": self._built_key, "num_partitions": self.num_partitions}
        if self._left == note:
            return
        work.delete(_BUILT_NOTE)
        reading = Reading(self.num_partitions, self._config)
        build = partial(
            build_partition, builder=self._builder, keep_rejects=self._config.keep_rejects
        )
        with sql_settings(self._spark, SETTINGS[self._route]):
            posts = posts_of(self._spark, self._sources, reading, self._route)
            built = self._by_partition(posts).mapInArrow(build, PARCEL_COLUMNS)
            write_parcels(built, work / _BUILT)
        with work.writer(_BUILT_NOTE) as file:
            file.write(orjson.dumps(note))

    def _by_partition(self, parcels: DataFrame) -> DataFrame:
        """The parcels of each partition in a task of their own."""
        return parcels.repartitionById(self.num_partitions, "partition")

    def _finish(self, built: DataFrame, report: Report) -> pa.Table | None:
        """Candidates -> dialogues; the frequent trigrams, or None if nobody is to count them."""
        candidates = built.where(built.kind == CANDIDATES)
        filters = self._config.filters
        frequent = None
        if filters.bland_share > 0:
            frequent = frequent_trigrams(candidates, min_count=filters.bland_count)
        table = TRIGRAM_SCHEMA.empty_table() if frequent is None else frequent
        candidates = self._by_partition(candidates)
        finishing = Finishing(
            frequent=self._spark.sparkContext.broadcast(pack(table).to_pybytes()),
            min_share=filters.bland_share,
            purged=tuple(self._purged_ids().decode().split()),
            duplicates=self._duplicates(candidates, table),
            keep_rejects=self._config.keep_rejects,
        )
        self._output.write_dialogues(candidates, finishing, self.num_partitions, report)
        return frequent

    def _purged_ids(self) -> bytes:
        return self._output.read(PURGED_IDS_FILE) or b""

    def _duplicates(self, candidates: DataFrame, frequent: pa.Table) -> tuple[Path, ...]:
        if self._config.duplicates.drop == "none":
            return ()
        folder = self._output.work.local_path
        assert folder is not None, "extract_with_spark refuses such a config"
        purged_ids = folder.parent.parent / PURGED_IDS_FILE
        min_share = self._config.filters.bland_share
        key = finish_key(self._settings, self._built_key, purged_ids)
        return find_shared_duplicates(
            self._spark,
            candidates,
            self._config.duplicates,
            folder=folder / "duplicates",
            num_partitions=self.num_partitions,
            rules=CorpusRules(folder / "frequent.parquet", min_share, purged_ids, key),
            frequent=frequent,
        )

    def _test_items(self, built: DataFrame) -> Iterator[bytes]:
        """The items of all partitions, in the order of partitions."""
        items = self._by_partition(built.where(built.kind == TEST_ITEMS))
        for row in items.sortWithinPartitions("number").select("payload").toLocalIterator():
            yield bytes(row.payload)

    def _counts(self, report: Report) -> MonthCounts:
        months = [dump.month for dump in self._sources.inventory.dumps]
        return report.counts(months, self._filters.reasons)

    def _manifest(self, counts: MonthCounts, report: Report) -> JsonObject:
        inputs = {name: {**facts, "sha256": ""} for name, facts in self._sources.files.items()}
        for source in self._sources.dumps:
            inputs[source.dump.name]["sha256"] = report.sha256(source.number)
        return {
            "rules": RULES,
            "settings": self._settings,
            "num_partitions": self.num_partitions,
            "inputs": inputs,
            "purged_ids": digest_of(self._output.read(PURGED_IDS_FILE)),
            "counts": with_total(counts)["total"],
            "damaged_archives": report.damages,
            "files": report.files,
        }


def digest_of(content: bytes | None) -> str:
    """SHA-256 of a file, or "" if there is none."""
    return "" if content is None else hashlib.sha256(content).hexdigest()
