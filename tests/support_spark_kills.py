"""Tasks that kill the executor they run in, once. Executors import this module, too."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_prep.counts import Tally
from data_prep.finish import LastDrops
from data_prep.rejects import Rejects
from data_prep.spark.building import PartitionBuilder
from data_prep.spark.finishing import Finishing


def kill_executor_once(marker: Path) -> None:
    """SIGKILL to the JVM of the executor that runs this task, if nobody was killed so far."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    process = os.getppid()
    while b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{process}/cmdline").read_bytes():
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
        process = int(status.rpartition(")")[2].split()[1])  # its parent
    os.kill(process, signal.SIGKILL)
    time.sleep(60)  # ends with the executor


@dataclass(frozen=True)
class DeadlyBuilder:
    """A builder that kills an executor in the middle of a partition."""

    builder: PartitionBuilder
    marker: Path

    def __call__(
        self, comments: pa.Table, submissions: pa.Table, tally: Tally, rejects: Rejects
    ) -> Iterator[Any]:
        for number, made in enumerate(self.builder(comments, submissions, tally, rejects)):
            yield made
            if number == 0:
                kill_executor_once(self.marker)


@dataclass(frozen=True, kw_only=True)
class DeadlyFinishing(Finishing):
    """Kills an executor when other partitions have their files already."""

    marker: Path

    def drops(self, number: int, tally: Tally, rejects: Rejects) -> LastDrops:
        if number == 3:
            kill_executor_once(self.marker)
        return super().drops(number, tally, rejects)
