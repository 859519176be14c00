"""How much memory a process and all that it starts hold together. Linux only.

Shared pages count once: each process reports its proportional share (PSS), and these are added.
Summing resident sizes instead would count what worker processes share as often as there are
workers. Pages of files that are mapped into memory (LMDB, Arrow) count while they are there, though
the system may take them back.
"""

import os
import sys
import threading
from pathlib import Path
from types import TracebackType

_PERIOD_SECONDS = 0.1


class PeakMemory:
    """Looks at this process's descendants while it is entered.

    Attributes:
        peak_bytes: the most that they held together; 0 where the system does not say.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        if sys.platform == "linux":
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_PERIOD_SECONDS):
            held = sum(map(proportional_bytes, descendants(os.getpid())))
            self.peak_bytes = max(self.peak_bytes, held)


def descendants(process: int) -> list[int]:
    """Children of a process, their children, and so on; those that end meanwhile may lack."""
    found = []
    waiting = [process]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = [int(number) for number in path.read_text().split()]
            except OSError:  # it has ended
                continue
            found += children
            waiting += children
    return found


def proportional_bytes(process: int) -> int:
    """A process's share of the memory it holds; 0 if it has ended."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
