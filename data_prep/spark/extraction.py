"""`python -m data_prep extract --engine spark`: everything around a SparkRun."""

import sys
from collections.abc import Iterable

from pyspark.sql import SparkSession

from data_prep.config import ExtractConfig
from data_prep.extract_plan import input_changes, option_changes, settings_of
from data_prep.purging.ids import PURGED_IDS_FILE
from data_prep.spark.building import PartitionBuilder
from data_prep.spark.config import PARQUET, SparkConfig
from data_prep.spark.executors import require_executors
from data_prep.spark.outputs import Output
from data_prep.spark.remote_output import RemoteOutput
from data_prep.spark.run import SparkRun, digest_of
from data_prep.spark.shared_output import SharedOutput
from data_prep.spark.sources import Sources, find_dumps, find_parquet
from data_prep.spark.storage import HadoopFolder
from data_prep.stages import JsonObject
from dialogpt.command_line import UserError


def extract_in(
    spark: SparkSession,
    config: ExtractConfig,
    spark_config: SparkConfig,
    resolved: str,
    *,
    builder: PartitionBuilder | None = None,
) -> list[str]:
    """Do what the config says, or what is left of it, and print the counts.

    Args:
        spark: does the work.
        config: what to do.
        spark_config: what the dumps are read as.
        resolved: the config as YAML, to save beside the output.
        builder: makes something of each partition; None makes dialogues.

    Returns:
        What is wrong with archives: all else was written.

    Raises:
        UserError: the sources, the output folder or the cluster are not as they should be.
    """
    if config.preset != "paper":
        raise UserError(
            f"--engine spark has no preset {config.preset!r}; give --engine local or another preset"
        )
    folder = HadoopFolder(spark, config.dumps)
    is_parquet = spark_config.read == PARQUET
    sources = find_parquet(folder) if is_parquet else find_dumps(folder)
    output = _output(spark, config)
    settings = settings_of(config)
    with output.sole_use():
        paths = (folder.local_path, output.work.local_path)
        require_executors(spark, [path for path in paths if path is not None])
        run = SparkRun(
            spark,
            config,
            route=spark_config.read,
            sources=sources,
            settings=settings,
            output=output,
            builder=builder,
        )
        manifest = output.manifest()
        news = _news(config, sources, settings, output, manifest)
        if manifest is not None and not news:
            print(f"{config.output} is finished; nothing to do", file=sys.stderr)
        else:
            _say(sources.inventory.remarks)
            _say(f"since the last run, {change}" for change in news)
            manifest, table = run.extract()
            output.publish(manifest, resolved)
            print(table, end="")
        if not config.keep_work_files:
            output.work.delete()
    damages: list[str] = manifest["damaged_archives"]
    return damages


def _output(spark: SparkSession, config: ExtractConfig) -> Output:
    folder = HadoopFolder(spark, config.output)
    path = folder.local_path
    if path is not None:
        return SharedOutput(spark, folder, path)
    if config.duplicates.drop != "none":
        raise UserError(
            f"{folder}: the search for duplicates needs an output folder that all machines share "
            "as a file system; choose such an --output, or --duplicates.drop none"
        )
    return RemoteOutput(spark, folder)


def _news(
    config: ExtractConfig,
    sources: Sources,
    settings: JsonObject,
    output: Output,
    manifest: JsonObject | None,
) -> list[str]:
    """What is not as it was when the results were made; nothing if there are none."""
    if manifest is None:
        return []
    purged_ids = digest_of(output.read(PURGED_IDS_FILE))
    before = manifest["inputs"]
    inputs = {name: _described(facts, before.get(name)) for name, facts in sources.files.items()}
    return [
        *input_changes(before, inputs),
        *option_changes(manifest, settings, config.num_partitions, purged_ids),
    ]


def _described(facts: JsonObject, before: JsonObject | None) -> JsonObject:
    """A file, as it was if it has the size and time of change that it had."""
    is_same = before is not None and all(before[name] == value for name, value in facts.items())
    return before if before is not None and is_same else facts


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
