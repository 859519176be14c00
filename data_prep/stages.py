"""One stage over many units of work: processes, a progress bar, and a marker for each unit done.

The marker is written after the unit's output, so that the same command goes on where a killed one
stopped. It holds the unit's key, which stands for all that the output depends on: a unit is done
again when its key has changed, and only then. A unit's output must not depend on the others'.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing import connection, forkserver
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

import orjson
from tqdm import tqdm

from dialogpt.command_line import UserError
from dialogpt.records import write_json

if sys.platform != "win32":
    import resource

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
        key: stands for all that the unit's output depends on: see `key_of`.
    """

    name: str
    task: Task
    size: int
    key: str = ""


def key_of(*parts: Any) -> str:
    """16 hexadecimal digits that stand for some values (JSON); other values have others."""
    return blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


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

    def is_done(self, unit: Unit[Task]) -> bool:
        """Whether the unit was done with the key that it has now."""
        marker = self.marker(unit)
        return marker.is_file() and bool(orjson.loads(marker.read_bytes())["key"] == unit.key)

    def result(self, unit: Unit[Task]) -> JsonObject:
        """What the work function returned for a unit that is done."""
        result: JsonObject = orjson.loads(self.marker(unit).read_bytes())["result"]
        return result


def run_stage(
    stage: Stage[Task],
    units: Sequence[Unit[Task]],
    *,
    num_workers: int = 0,
    workers: "Workers | None" = None,
) -> list[JsonObject]:
    """Do the units that are not done; the results of all units, in their order.

    Args:
        stage: what to do.
        units: to what.
        num_workers: processes; 0 takes one for each core. One works in this process.
        workers: processes that are there already; num_workers has no effect then.

    Raises:
        UserError: a file could not be read or written, or a process was killed.
        RuntimeError: the work failed in any other way; units done before keep their markers.
    """
    pending = [unit for unit in units if not stage.is_done(unit)]
    for unit in pending:
        # Of an older key. While the output is written over, no marker may vouch for it.
        stage.marker(unit).unlink(missing_ok=True)
        stage.marker(unit).parent.mkdir(parents=True, exist_ok=True)
    total = sum(unit.size for unit in units)
    with tqdm(
        total=total,
        initial=total - sum(unit.size for unit in pending),
        desc=stage.label,
        unit=stage.measure,
        unit_scale=True,
        dynamic_ncols=True,
    ) as bar:
        if workers is None:
            with Workers(num_workers) as workers:
                workers.run(stage, pending, bar)
        else:
            workers.run(stage, pending, bar)
    return [stage.result(unit) for unit in units]


def do_unit(stage: Stage[Task], unit: Unit[Task], report: Report) -> None:
    """Do a unit, here and now, and write its marker."""
    result = stage.work(unit.task, report)
    write_json(stage.marker(unit), {"key": unit.key, "result": result})


def peak_memory() -> int:
    """The most bytes that this process has held in memory; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def num_cores() -> int:
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
    except MemoryError as error:
        raise UserError(
            f"{where}: not enough memory; give the same command again with fewer --num_workers"
        ) from error
    except BrokenProcessPool as error:
        raise UserError(
            f"{where}: a process was killed, perhaps for want of memory; give the same command "
            "again with fewer --num_workers"
        ) from error
    except Exception as error:
        raise RuntimeError(f"{where} failed; units done before are kept") from error


class Workers:
    """Processes that start when they are first needed and stay until the block ends.

    Attributes:
        num_workers: how many.
    """

    def __init__(self, num_workers: int = 0) -> None:
        """Prepare for so many processes; 0 takes one for each core."""
        self.num_workers = num_workers or num_cores()
        self._executor: Executor | None = None
        self._progress: Synchronized[int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def run(self, stage: Stage[Task], units: Sequence[Unit[Task]], bar: "tqdm[Any]") -> None:
        """Do some units, write their markers, and move the bar on."""
        if min(self.num_workers, len(units)) > 1:
            executor, progress = self.executor()
            run_at_once(
                stage,
                units,
                bar,
                submit=lambda unit: executor.submit(_do_in_worker, stage, unit),
                num_done=lambda: int(progress.value),
            )
            return
        for unit in units:
            with _named_errors(stage, unit):
                do_unit(stage, unit, bar.update)

    def executor(self) -> tuple[Executor, "Synchronized[int]"]:
        """The processes, and the number in which they report how much all of them have done."""
        if self._executor is None or self._progress is None:
            self._progress = _CONTEXT.Value("q", 0)
            self._executor = ProcessPoolExecutor(
                self.num_workers,
                mp_context=_CONTEXT,
                initializer=_start_worker,
                initargs=(self._progress,),
            )
        return self._executor, self._progress


# Not fork: this process has threads (pyarrow's), whose locks a fork would copy as they are. A fork
# server has none.
_CONTEXT: Any = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)


def import_for_workers(module: str) -> None:
    """Let a module be imported once for all processes to come, in the background.

    Where the system has no fork server each process imports what it needs when it starts.
    """
    if num_cores() > 1 and _CONTEXT.get_start_method() == "forkserver":
        _CONTEXT.set_forkserver_preload([module])
        forkserver.ensure_running()


_progress: "Synchronized[int]"
"""In a worker process: how much all workers have done."""


def run_at_once(
    stage: Stage[Task],
    units: Sequence[Unit[Task]],
    bar: "tqdm[Any]",
    *,
    submit: Callable[[Unit[Task]], Future[None]],
    num_done: Callable[[], int],
) -> None:
    """Let several workers do some units, and move the bar on.

    Args:
        stage: what to do.
        units: to what.
        bar: shows how far it is.
        submit: hands a unit to the workers.
        num_done: how much they have done since they started, in the measure of `Unit.size`.
    """
    # The largest first, so that no large one is left alone at the end.
    units = sorted(units, key=lambda unit: -unit.size)
    shown = num_done()
    running = {submit(unit): unit for unit in units}
    try:
        while running:
            finished, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            done = num_done()
            bar.update(done - shown)
            shown = done
            for future in finished:
                with _named_errors(stage, running.pop(future)):
                    future.result()
    finally:
        for future in running:
            future.cancel()


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
    do_unit(stage, unit, _report_to_parent)


def _report_to_parent(amount: int) -> None:
    with _progress.get_lock():
        _progress.value += amount
