"""Threads of this process in the place of others: for work that ends before a process has started.

A process imports for half a second before it does anything. Threads start at once, but run beside
one another only where the work is compiled.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from data_prep.stages import Stage, Task, Unit, Workers, do_unit, run_at_once

if TYPE_CHECKING:
    from tqdm import tqdm


class ThreadWorkers(Workers):
    """Threads that do the units of a stage; the memory of all of them is that of one process."""

    def __init__(self, num_workers: int = 0) -> None:
        """Prepare for so many threads; 0 takes one for each core."""
        super().__init__(num_workers)
        self._executor = self._threads = ThreadPoolExecutor(self.num_workers)
        self._num_done = 0
        self._lock = threading.Lock()

    def run(self, stage: Stage[Task], units: Sequence[Unit[Task]], bar: "tqdm[Any]") -> None:
        """Do some units, write their markers, and move the bar on."""
        if min(self.num_workers, len(units)) <= 1:
            super().run(stage, units, bar)
            return
        run_at_once(
            stage,
            units,
            bar,
            submit=lambda unit: self._threads.submit(do_unit, stage, unit, self._report),
            num_done=lambda: self._num_done,
        )

    def _report(self, amount: int) -> None:
        with self._lock:
            self._num_done += amount
