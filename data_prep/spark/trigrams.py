"""How often the responses of the corpus hold which trigram, counted by Spark."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_prep.blandness import TRIGRAM_SCHEMA, trigram_counts
from data_prep.spark.parcels import unpack

_COLUMNS = "trigram string, count long"
_ROWS_AT_ONCE = 65_536


def frequent_trigrams(candidates: DataFrame, *, min_count: int) -> pa.Table:
    """The trigrams that are seen more often than min_count: TRIGRAM_SCHEMA, by their letters.

    Args:
        candidates: parcels of candidates.
        min_count: the paper's is 1,000.
    """
    counted = candidates.select("payload").mapInArrow(_counts, _COLUMNS)
    totals = counted.groupBy("trigram").agg(F.sum("count").alias("count"))
    frequent: Any = totals.where(F.col("count") > min_count).toArrow()
    return frequent.cast(TRIGRAM_SCHEMA).sort_by("trigram")


def _counts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A task: candidates -> how often they hold which trigram."""
    for batch in batches:
        tables = [unpack(payload.as_buffer()) for payload in batch.column("payload")]
        counts = trigram_counts(tables).drop_columns(["checksum"])
        columns = pa.schema([("trigram", pa.string()), ("count", pa.int64())])
        yield from counts.cast(columns).to_batches(_ROWS_AT_ONCE)
