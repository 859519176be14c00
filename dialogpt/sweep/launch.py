"""Runs as processes of their own: several at once, each stopped with its work saved."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialogpt.command_line import UserError
from dialogpt.folders import sole_use
from dialogpt.run_log import METRICS_FILE
from dialogpt.sweep.outcomes import LOG_FILE, diverged_step, metrics_of
from dialogpt.sweep.plan import Point
from dialogpt.train.stop_signal import StopSignal

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_SHOWN_LOG_LINES = 15


@dataclass(kw_only=True, slots=True)
class _Run:
    """A run at work.

    Attributes:
        point: which one.
        name: what it is called on the console.
        process: the launcher, first of a process group of its own.
        gpus: what it has as CUDA_VISIBLE_DEVICES; "" leaves that as it is.
        log_start: bytes that earlier attempts left in the log.
        shown_step: the last validation on the console.
        shown_bytes: of the metrics, when they were last read.
    """

    point: Point
    name: str
    process: "subprocess.Popen[bytes]"
    gpus: str
    log_start: int
    shown_step: int
    shown_bytes: int = 0


def run_points(
    points: Sequence[Point],
    *,
    command: Callable[[Point], list[str]],
    gpus: Sequence[str],
    finished: Callable[[Point, int | None], None],
) -> int:
    """Train all points, as many at once as there are values in gpus, or one after another.

    Args:
        points: in the order in which they start.
        command: the words that train a point; the same words go on with it.
        gpus: values of CUDA_VISIBLE_DEVICES, one for each run at a time.
        finished: told of each run that is over, and the step at which it diverged, if it did.

    Returns:
        0; or 128 + signal where SIGTERM or Ctrl-C came: the runs at work have then saved and ended.

    Raises:
        UserError: a run ended otherwise than by finishing or diverging.
    """
    waiting = deque(enumerate(points, start=1))
    free = list(gpus) or [""]
    running: list[_Run] = []
    with StopSignal() as stop:
        try:
            while waiting or running:
                while waiting and free:
                    number, point = waiting.popleft()
                    name = f"[{number}/{len(points)}] rate {point.learning_rate!r}"
                    name += f" seed {point.seed}"
                    running.append(_start(point, name, command(point), free.pop(0)))
                time.sleep(_POLL_SECONDS)
                ended = [run for run in running if run.process.poll() is not None]
                # Looked at after them: the signal may have reached the runs too, whose end would
                # pass for a failure. What they came to is for the next call.
                if stop.received:
                    break
                for run in running:
                    _show_validations(run)
                for run in ended:
                    # A run that failed is not stopped again below.
                    running.remove(run)
                    free.append(run.gpus)
                    diverged_at = _judge(run)
                    logger.info("%s  %s", run.name, _ending(diverged_at))
                    finished(run.point, diverged_at)
        finally:
            _stop(running)
        if stop.received:
            logger.warning("Stopped by a signal; give the same command again to go on")
            return stop.exit_code
    return 0


def _start(point: Point, name: str, words: list[str], gpus: str) -> _Run:
    if point.folder.is_dir():
        with sole_use(point.folder):  # else a run that outlived a killed sweep is still at work
            pass
    point.folder.mkdir(parents=True, exist_ok=True)
    log = point.folder / LOG_FILE
    environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": gpus} if gpus else {})}
    with log.open("ab") as stream:
        log_start = stream.tell()
        try:
            # A group of its own: Ctrl-C would reach it from the terminal and from us, and the
            # second signal acts at once.
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UserError(
                f"launcher: expected a command, found none called {words[0]!r}; give its path, or "
                "activate the environment that has it"
            ) from error
    records = metrics_of(point.folder)
    shown_step = records[-1]["step"] if records else -1
    logger.info("%s  %s, log in %s", name, "goes on" if records else "starts", log)
    return _Run(
        point=point,
        name=name,
        process=process,
        gpus=gpus,
        log_start=log_start,
        shown_step=shown_step,
    )


def _show_validations(run: _Run) -> None:
    metrics = run.point.folder / METRICS_FILE
    num_bytes = metrics.stat().st_size if metrics.is_file() else 0
    if num_bytes == run.shown_bytes:
        return
    run.shown_bytes = num_bytes
    for record in metrics_of(run.point.folder):
        if record["kind"] == "valid" and record["step"] > run.shown_step:
            run.shown_step = record["step"]
            logger.info(
                "%s  step %s  validation loss %.4f",
                run.name,
                f"{record['step']:,}",
                record["loss"],
            )


def _judge(run: _Run) -> int | None:
    """None for a run that came to its end, or the step at which it diverged.

    Raises:
        UserError: it ended in another way, which the next point would do as well.
    """
    if run.process.returncode == 0:
        return None
    path = run.point.folder / LOG_FILE
    with path.open("rb") as stream:
        stream.seek(run.log_start)
        said = stream.read().decode(errors="replace")
    diverged_at = diverged_step(said)
    if diverged_at is None:
        lines = said.strip().splitlines()[-_SHOWN_LOG_LINES:]
        raise UserError(
            f"{path}: expected a run that finishes or diverges, found exit code "
            f"{run.process.returncode} after these words; mend what they say and give the same "
            "command again\n" + "\n".join(f"  | {line}" for line in lines)
        )
    return diverged_at


def _ending(diverged_at: int | None) -> str:
    return "finished" if diverged_at is None else f"diverged at step {diverged_at:,}"


def _stop(running: Sequence[_Run]) -> None:
    """Tell runs to save and end, and wait until they have."""
    for run in running:
        run.process.terminate()
    for run in running:
        run.process.wait()
        # `accelerate launch` with one process ends at once and tells nobody; torchrun tells its
        # processes and waits for them. So who is still there by now has not been told.
        if sys.platform != "win32":
            try:
                os.killpg(run.process.pid, signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                continue
        while _is_at_work(run.point.folder):
            time.sleep(_POLL_SECONDS)


def _is_at_work(folder: Path) -> bool:
    try:
        with sole_use(folder):
            return False
    except UserError:
        return True
