"""One stage over many units of work: processes, a progress bar, and a marker for each unit done.

The marker is written after the unit's output, so that the same command goes on where a killed one
stopped: units with a marker are not done again. A unit's output must not depend on the others'.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import orjson
from tqdm import tqdm

from dialogpt.command_line import UserError
from dialogpt.records import write_json

Task = TypeVar("Task")
JsonObject: TypeAlias = dict[str, Any]
Report: TypeAlias = Callable[[int], object]
"""Called with how much was done since the last call, in the measure of `Unit.size`."""

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Unit(Generic[Task]):
    """A unit of work.

    Attributes:
        name: names its marker, and the unit in messages.
        task: what the work function is given; it travels to another process.
        size: its share of the progress bar.
    """

    name: str
    task: Task
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage(Generic[Task]):
    """What is done to each unit, and where is noted what was done.

    Attributes:
        label: names the stage on the progress bar.
        measure: what sizes count, e.g. "B".
        work: task and progress report -> what to note in the marker (JSON). A function of a
            module, so that other processes can import it.
        markers: folder of the markers; made if absent.
    """

    label: str
    measure: str
    work: Callable[[Task, Report], JsonObject]
    markers: Path

    def marker(self, unit: Unit[Task]) -> Path:
        """Where it is noted that the unit is done."""
        return self.markers / f"{unit.name}.json"


def run_stage(
    stage: Stage[Task], units: Sequence[Unit[Task]], *, num_workers: int
) -> list[JsonObject]:
    """Do the units that have no marker; what the markers of all units say, in the order of units.

    Args:
        stage: what to do.
        units: to what.
        num_workers: processes; 0 takes one for each core. One works in this process.

    Raises:
        UserError: a file could not be read or written, or a process was killed.
        RuntimeError: the work failed in any other way; units done before keep their markers.
    """
    stage.markers.mkdir(parents=True, exist_ok=True)
    pending = [unit for unit in units if not stage.marker(unit).exists()]
    done_before = sum(unit.size for unit in units) - sum(unit.size for unit in pending)
    num_workers = min(num_workers or _num_cores(), len(pending))
    with tqdm(
        total=sum(unit.size for unit in units),
        initial=done_before,
        desc=stage.label,
        unit=stage.measure,
        unit_scale=True,
        dynamic_ncols=True,
    ) as bar:
        if num_workers > 1:
            _run_in_processes(stage, pending, num_workers, bar)
        else:
            for unit in pending:
                with _named_errors(stage, unit):
                    _do(stage, unit, bar.update)
    return [orjson.loads(stage.marker(unit).read_bytes()) for unit in units]


def _do(stage: Stage[Task], unit: Unit[Task], report: Report) -> None:
    write_json(stage.marker(unit), stage.work(unit.task, report))


def _num_cores() -> int:
    """The cores that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _named_errors(stage: Stage[Task], unit: Unit[Task]) -> Iterator[None]:
    """Say which unit an error came from."""
    where = f"{stage.label}: {unit.name}"
    try:
        yield
    except (UserError, OSError) as error:
        raise UserError(f"{where}: {error}; mend it, then give the same command again") from error
    except BrokenProcessPool as error:
        raise UserError(
            f"{where}: a process was killed, perhaps for want of memory; give the same command "
            "again with fewer --num_workers"
        ) from error
    except Exception as error:
        raise RuntimeError(f"{where} failed; units done before are kept") from error


# What follows runs the units in other processes.

_progress: "Synchronized[int]"
"""In a worker process: how much all workers have done."""


def _run_in_processes(
    stage: Stage[Task], units: Sequence[Unit[Task]], num_workers: int, bar: "tqdm[Any]"
) -> None:
    # Not fork: this process has threads (pyarrow's), whose locks a fork would copy as they are.
    context = multiprocessing.get_context("spawn")
    progress: Synchronized[int] = context.Value("q", 0)
    executor = ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_start_worker, initargs=(progress,)
    )
    try:
        # The largest first, so that no large one is left alone at the end.
        units = sorted(units, key=lambda unit: -unit.size)
        running: dict[Future[None], Unit[Task]] = {
            executor.submit(_do_in_worker, stage, unit): unit for unit in units
        }
        shown = 0
        while running:
            finished, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            done = int(progress.value)
            bar.update(done - shown)
            shown = done
            for future in finished:
                with _named_errors(stage, running.pop(future)):
                    future.result()
    finally:
        executor.shutdown(cancel_futures=True)


def _start_worker(progress: "Synchronized[int]") -> None:
    global _progress
    _progress = progress
    # Ctrl-C reaches all processes of the terminal; the parent alone says so.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    # A killed parent cannot stop its workers. Left alone they would go on writing to a folder in
    # which the next run is already at work.
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _do_in_worker(stage: Stage[Task], unit: Unit[Task]) -> None:
    _do(stage, unit, _report_to_parent)


def _report_to_parent(amount: int) -> None:
    with _progress.get_lock():
        _progress.value += amount
