"""Who does the work of an extraction on this machine: processes, threads, or both."""

from collections.abc import Sequence

from data_prep import native
from data_prep.config import ExtractConfig
from data_prep.inventory import DumpFile, Inventory
from data_prep.stages import Workers, num_cores
from data_prep.thread_workers import ThreadWorkers

FEW_CORES = 4
"""On so many, one process keeps all cores busy while dumps are read."""

SMALL_DUMPS = 1 << 30
"""Bytes of dumps, compressed, whose partitions fit the memory of one process together."""


def threads_suffice(config: ExtractConfig, inventory: Inventory) -> bool:
    """Whether threads of one process do all of it as fast as processes would, but for their start.

    They do where nearly everything is compiled, as with preset "reference": threads run beside one
    another then. Natural text takes more of Python's own time, which only processes share.
    """
    return (
        native.compiled is not None
        and config.preset == "reference"
        and (config.num_workers or num_cores()) <= FEW_CORES
        and sum(dump.size for dump in inventory.dumps) <= SMALL_DUMPS
    )


def workers_for(config: ExtractConfig, inventory: Inventory) -> Workers:
    """Those that do the stages; a context manager."""
    if threads_suffice(config, inventory):
        return ThreadWorkers(config.num_workers)
    return Workers(config.num_workers)


def share_out(dumps: Sequence[DumpFile], num_workers: int) -> tuple[int, list[int]]:
    """How many processes read, and how many threads of a process read each dump.

    The compiled reader lets threads run beside one another: then even a single month keeps all
    cores busy. On few cores one process is enough, which saves the start of others.
    """
    if native.compiled is None:
        return num_workers, [1] * len(dumps)
    if num_workers <= FEW_CORES:
        return 1, [num_workers] * len(dumps)
    total = sum(dump.size for dump in dumps) or 1
    return num_workers, [max(1, round(num_workers * dump.size / total)) for dump in dumps]
