"""Rule 7 of DialoGPT: bland responses, those that say what everybody says.

The paper drops responses of which 90 % of the trigrams (three words in a row) were seen more than
1,000 times. Its corpus is, here, the responses of all dialogues that no other rule drops, each
counted once. Counting is exact and needs little memory: each partition writes how often it holds
which trigram, dealt into buckets by a checksum; a bucket then sums up what all partitions say of
its trigrams, and keeps the frequent ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_prep.partitions import gather_dealt, read_owned, write_dealt
from data_prep.responses import response_words, trigrams_of
from data_prep.stages import JsonObject, Report
from data_prep.text_columns import BoolArray, as_text_array
from data_prep.threads import IntArray

TRIGRAM_SCHEMA = pa.schema(
    [
        pa.field("trigram", pa.large_string(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
    ]
)
"""Three words in lower case with a blank between two, and how often they were seen."""

RUN_SCHEMA = TRIGRAM_SCHEMA.append(pa.field("checksum", pa.uint32(), nullable=False))
"""What a partition says of its trigrams; the checksum is CRC-32."""


def last_turns(dialogues: pa.Table) -> pa.Array:
    """The response of each dialogue, as large strings."""
    turns = dialogues.column("turns").combine_chunks()
    lasts = np.asarray(turns.offsets)[1:] - 1
    return as_text_array(turns.values.take(pa.array(lasts)))


def write_trigram_counts(candidates: Iterable[pa.Table], path: Path, *, num_buckets: int) -> None:
    """Count the trigrams of the responses of one partition.

    Args:
        candidates: dialogues.
        path: the file to write: RUN_SCHEMA, dealt to buckets.
        num_buckets: how many buckets there are.
    """
    table = trigram_counts(candidates)
    write_dealt(table, np.asarray(table.column("checksum")) % num_buckets, path)


def trigram_counts(candidates: Iterable[pa.Table]) -> pa.Table:
    """How often the responses of some dialogues hold which trigram, a table of RUN_SCHEMA."""
    parts = [trigrams_of(response_words(last_turns(t), frozenset()).joined) for t in candidates]
    texts = pa.chunked_array([part.texts for part in parts], pa.large_string())
    encoded = texts.combine_chunks().dictionary_encode()
    codes = np.asarray(encoded.indices)
    counts = np.bincount(codes, minlength=len(encoded.dictionary))
    checksums = np.concatenate([np.zeros(0, np.uint32), *(part.checksums for part in parts)])
    # Codes are given in the order of appearance: where one is first seen, there is its checksum.
    checksums = checksums[np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))]
    columns = [encoded.dictionary, pa.array(counts, pa.int64()), pa.array(checksums)]
    return pa.table(columns, schema=RUN_SCHEMA)


@dataclass(frozen=True, kw_only=True, slots=True)
class GatherTask:
    """Files of several partitions to put together, so that a bucket need not open them all.

    Attributes:
        runs: the file of each partition.
        output: the file for all of them.
        num_buckets: how many there are.
    """

    runs: tuple[Path, ...]
    output: Path
    num_buckets: int


def gather_runs(task: GatherTask, report: Report) -> JsonObject:
    """Put together what some partitions say of their trigrams; nothing is summed up.

    Returns:
        JSON without anything in it.
    """
    gather_dealt(task.runs, task.num_buckets, task.output)
    report(len(task.runs))
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeTask:
    """A bucket to sum up.

    Attributes:
        bucket: its number.
        runs: the files of all partitions.
        output: Parquet file for the frequent trigrams.
        min_count: a trigram is frequent that was seen more often than this.
    """

    bucket: int
    runs: tuple[Path, ...]
    output: Path
    min_count: int


def merge_bucket(task: MergeTask, report: Report) -> JsonObject:
    """Write the frequent trigrams of one bucket, in the order of their letters.

    Returns:
        JSON: "num_frequent".
    """
    runs = [read_owned(path, task.bucket) for path in task.runs]
    table = pa.concat_tables(runs) if runs else RUN_SCHEMA.empty_table()
    frequent = frequent_trigrams(table, min_count=task.min_count)
    task.output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = task.output.with_name(task.output.name + ".unfinished")
    pq.write_table(frequent, unfinished, compression="zstd")
    unfinished.replace(task.output)
    report(1)
    return {"num_frequent": frequent.num_rows}


def frequent_trigrams(runs: pa.Table, *, min_count: int) -> pa.Table:
    """The trigrams that are seen more often than min_count, in the order of their letters.

    Args:
        runs: RUN_SCHEMA: what all partitions say.
        min_count: the paper's is 1,000.
    """
    # Numbers are added up several times as fast as strings. A checksum is seen at least as often as
    # each of its trigrams, so none is lost; those that are left are told apart by their letters.
    checksums, positions = np.unique(np.asarray(runs.column("checksum")), return_inverse=True)
    counts = np.asarray(runs.column("count"))
    sums = np.zeros(len(checksums), np.int64)
    np.add.at(sums, positions, counts)
    runs = runs.filter(pa.array(sums[positions] > min_count))
    totals = runs.group_by("trigram", use_threads=False).aggregate([("count", "sum")])
    frequent = totals.filter(pc.greater(totals.column("count_sum"), min_count))
    return frequent.rename_columns(["trigram", "count"]).sort_by("trigram").cast(TRIGRAM_SCHEMA)


def join_buckets(buckets: Sequence[Path], path: Path) -> None:
    """Write the frequent trigrams of all buckets as one file."""
    unfinished = path.with_name(path.name + ".unfinished")
    with pq.ParquetWriter(unfinished, TRIGRAM_SCHEMA, compression="zstd") as writer:
        for bucket in buckets:
            writer.write_table(pq.read_table(bucket, schema=TRIGRAM_SCHEMA))
    unfinished.replace(path)


def read_frequent(path: Path | None) -> pa.Table:
    """The frequent trigrams of the corpus, a table of TRIGRAM_SCHEMA; none without a file."""
    if path is None:
        return TRIGRAM_SCHEMA.empty_table()
    return pq.read_table(path, schema=TRIGRAM_SCHEMA)


def is_bland(responses: pa.Array, frequent: pa.Array, *, min_share: float) -> BoolArray:
    """Whether at least min_share of a response's trigrams is frequent.

    A response of fewer than three words has no trigram, and is not bland.

    Args:
        responses: m large strings.
        frequent: the frequent trigrams.
        min_share: the paper's is 0.9.
    """
    if not len(frequent):
        return np.zeros(len(responses), np.bool_)
    trigrams = trigrams_of(response_words(responses, frozenset()).joined)
    owners = np.repeat(np.arange(len(responses)), trigrams.counts)
    hits = np.asarray(pc.is_in(trigrams.texts, value_set=frequent))
    num_frequent: IntArray = np.bincount(owners[hits], minlength=len(responses))
    # Not the share itself: 9 of 10 must not fail to be 0.9 for want of binary digits.
    return (trigrams.counts > 0) & (num_frequent >= trigrams.counts * min_share - 1e-9)
