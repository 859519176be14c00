"""The way into this package for commands: it can be imported without pyspark."""

from collections.abc import Iterator
from contextlib import contextmanager

from data_prep.config import ExtractConfig, ShardsConfig
from data_prep.spark.config import SparkConfig
from data_prep.spark.requirements import require_spark
from data_prep.stages import Workers


def extract_with_spark(
    config: ExtractConfig, spark_config: SparkConfig, resolved: str, *, master: str
) -> list[str]:
    """Extract on a cluster, and print the counts.

    Args:
        config: what to do.
        spark_config: what the dumps are read as, and settings of the cluster.
        resolved: the config as YAML, to save beside the output.
        master: of the cluster; "" leaves it to spark-submit.

    Returns:
        What is wrong with archives: all else was written.

    Raises:
        UserError: Spark cannot start, or the dumps or the output folder are not as they should be.
    """
    require_spark()
    from data_prep.spark.extraction import extract_in
    from data_prep.spark.session import spark_session

    with spark_session(spark_config, master) as spark:
        return extract_in(spark, config, spark_config, resolved)


@contextmanager
def shard_workers(
    config: ShardsConfig, spark_config: SparkConfig, *, master: str
) -> Iterator[tuple[ShardsConfig, Workers]]:
    """What `write_shards` is to be given, so that executors write the shards.

    Args:
        config: what to do.
        spark_config: settings of the cluster.
        master: of the cluster; "" leaves it to spark-submit.

    Raises:
        UserError: Spark cannot start, or the folders are not as they should be.
    """
    require_spark()
    from data_prep.spark.session import spark_session
    from data_prep.spark.shards import shard_workers_in

    with spark_session(spark_config, master) as spark, shard_workers_in(spark, config) as given:
        yield given
