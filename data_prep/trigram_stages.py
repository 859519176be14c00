"""What each partition says of its trigrams -> the frequent ones of the corpus, in two stages."""

from collections.abc import Sequence
from math import isqrt
from pathlib import Path

from data_prep.blandness import (
    GatherTask,
    MergeTask,
    gather_runs,
    join_buckets,
    merge_bucket,
)
from data_prep.stages import Stage, Unit, Workers, key_of, run_stage

_MANY_RUNS = 512


def find_frequent_trigrams(
    runs: Sequence[Path],
    work: Path,
    *,
    num_buckets: int,
    min_count: int,
    key: str,
    workers: Workers,
) -> Path:
    """The file of the frequent trigrams, in no order that would depend on partitions.

    Args:
        runs: of `blandness.write_trigram_counts`, one a partition.
        work: folder of the intermediate files.
        num_buckets: to which the trigrams are dealt; each is summed up by itself.
        min_count: a trigram is frequent that was seen more often than this.
        key: stands for what is in the runs.
        workers: do the work.
    """
    if len(runs) > _MANY_RUNS:
        runs = _gathered(runs, work, num_buckets, key, workers)
    units = [
        Unit(
            f"bucket-{bucket:05d}",
            MergeTask(
                bucket=bucket,
                runs=tuple(runs),
                output=work / "frequent" / f"bucket-{bucket:05d}.parquet",
                min_count=min_count,
            ),
            1,
            key_of(key, min_count),
        )
        for bucket in range(num_buckets)
    ]
    markers = work / "markers" / "merge"
    stage: Stage[MergeTask] = Stage(
        label="merge", measure=" buckets", work=merge_bucket, markers=markers
    )
    run_stage(stage, units, workers=workers)
    frequent = work / "frequent.parquet"
    join_buckets([unit.task.output for unit in units], frequent)
    return frequent


def _gathered(
    runs: Sequence[Path], work: Path, num_buckets: int, key: str, workers: Workers
) -> list[Path]:
    """Fewer files with the same rows.

    Each of many buckets opening each of many files would take longer than all the rest. So the
    files are put together by groups: their square is what opening them costs.
    """
    size = isqrt(len(runs))
    units = []
    for number, start in enumerate(range(0, len(runs), size)):
        name = f"group-{number:05d}"
        output = work / "trigrams" / f"{name}.arrow"
        task = GatherTask(
            runs=tuple(runs[start : start + size]), output=output, num_buckets=num_buckets
        )
        units.append(Unit(name, task, len(task.runs), key_of(key, size)))
    markers = work / "markers" / "gather"
    stage: Stage[GatherTask] = Stage(
        label="gather", measure=" parts", work=gather_runs, markers=markers
    )
    run_stage(stage, units, workers=workers)
    return [unit.task.output for unit in units]
