"""Parcels between two stages: files of Spark, whole or not there."""

from collections.abc import Iterator

import orjson
from pyspark.sql import DataFrame, SparkSession

from data_prep.spark.parcels import NOTE, PARCEL_COLUMNS
from data_prep.spark.storage import HadoopFolder
from data_prep.stages import JsonObject

# A row may be many megabytes: look at the size of pages and of groups after each.
_WRITING = {
    "compression": "none",  # payloads are compressed
    "parquet.page.size.row.check.min": "1",
    "parquet.page.size.row.check.max": "1",
    "parquet.block.size.row.check.min": "1",
    "parquet.block.size.row.check.max": "1",
    "parquet.enable.dictionary": "false",
}
READING = {"spark.sql.parquet.enableVectorizedReader": "false"}
"""Setting for reading parcels: a vector of 4,096 of them would not fit into memory."""


def write_parcels(parcels: DataFrame, folder: HadoopFolder) -> None:
    """Write parcels, a folder for each kind, in place of others."""
    writer = parcels.write.mode("overwrite").partitionBy("kind")
    for name, value in _WRITING.items():
        writer = writer.option(name, value)
    writer.parquet(folder.uri)


def read_parcels(spark: SparkSession, folder: HadoopFolder) -> DataFrame:
    """The parcels that were written; those of one kind are found without reading the others."""
    parcels = spark.read.schema(PARCEL_COLUMNS).parquet(folder.pattern)
    return parcels.select("kind", "partition", "name", "block", "number", "payload")


def notes_of(parcels: DataFrame) -> Iterator[tuple[int, JsonObject]]:
    """Partition and content of each note, some at a time."""
    notes = parcels.where(parcels.kind == NOTE).select("partition", "payload")
    for row in notes.toLocalIterator():
        yield row.partition, orjson.loads(row.payload)
