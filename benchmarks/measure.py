"""Wall time, CPU time and memory of child processes, and what they ran on.

This module imports little on purpose: Linux counts the memory of the process that starts a child
into the child's peak, so whoever measures must be small.
"""

import ctypes
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

_LIBRARIES = ("zstandard", "orjson", "pyarrow", "numpy")
_LOG_TAIL = 2_000
_PR_SET_CHILD_SUBREAPER = 36


class MeasuredCommandError(Exception):
    """A command that was to be measured failed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run took.

    Attributes:
        wall_seconds: from start to end.
        cpu_seconds: user and system time of all its processes.
        peak_bytes: resident memory of its largest process at most.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int

    def __add__(self, other: "Usage") -> "Usage":
        """One after the other."""
        return Usage(
            self.wall_seconds + other.wall_seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_bytes, other.peak_bytes),
        )


def run_measured(command: Sequence[str | Path], *, cwd: Path, log: Path) -> Usage:
    """Run a command, its output into a file.

    Raises:
        MeasuredCommandError: it failed; with the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    others = _children()
    _adopt_orphans()
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    usages = [usage, *_usages_of_orphans(others)]
    if process.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]
        shown = " ".join(map(str, command))
        raise MeasuredCommandError(f"{shown}: exit code {process.returncode}\n{text}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return Usage(
        wall_seconds,
        sum(usage.ru_utime + usage.ru_stime for usage in usages),
        max(usage.ru_maxrss for usage in usages) * unit,
    )


def _adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends without waiting for them.

    Python's fork server is one: without this, the time of all workers that it forked would be lost.
    """
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> set[int]:
    """Numbers of the child processes; none where the system knows no adoption of orphans."""
    if platform.system() != "Linux":
        return set()
    lists = [task / "children" for task in Path("/proc/self/task").iterdir()]
    return {int(number) for path in lists for number in path.read_text().split()}


def _usages_of_orphans(others: set[int]) -> list[resource.struct_rusage]:
    """What the processes took that were left behind; waits until they end.

    Args:
        others: children of this process that have nothing to do with the command, and may go on.
    """
    usages = []
    while orphans := _children() - others:
        usages += [os.wait4(number, 0)[2] for number in orphans]
    return usages


def median_usage(runs: Sequence[Usage]) -> Usage:
    """The median of each number by itself, but the largest peak."""
    return Usage(
        median(run.wall_seconds for run in runs),
        median(run.cpu_seconds for run in runs),
        max(run.peak_bytes for run in runs),
    )


def empty_folder(path: Path) -> Path:
    """The folder, without what was in it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def warm_up(folder: Path) -> None:
    """Read the files of a folder, so that all programs find them in the system's cache."""
    for path in folder.iterdir():
        with path.open("rb") as source:
            while source.read(1 << 20):
                pass


def environment() -> list[str]:
    """Hardware, versions and date, as lines of a list."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return [
        f"Hardware: {_cpu_model()}, {_num_cores()} cores, {_memory_gib():.0f} GiB of memory",
        f"System: {platform.system()} {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {libraries}",
        f"Project: commit {_commit()}, {_compiled_part()}",
        f"Date: {datetime.now(UTC):%Y-%m-%d}",
    ]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _commit() -> str:
    """The checkout's commit, and whether files differ from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return "unknown"
    changed = _git("status", "--porcelain", "--", "data_prep", "dialogpt", "setup.py")
    return f"{commit}, with uncommitted changes" if changed else commit


def _compiled_part() -> str:
    """Whether the compiled part of data_prep, which is optional, was built."""
    built = any((ROOT / "data_prep").glob("_native*.so"))
    return "with data_prep._native" if built else "without data_prep._native"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
