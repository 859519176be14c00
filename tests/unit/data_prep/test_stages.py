import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_prep.stages import Report, Stage, Unit, Workers, key_of, run_stage
from data_prep.thread_workers import ThreadWorkers
from dialogpt.command_line import UserError

ROOT = Path(__file__).parents[3]
Task = tuple[str, str]  # folder, what to do


def work(task: Task, report: Report) -> dict[str, Any]:
    """Leave a file that counts the calls, and then do as told."""
    folder, action = task
    log = Path(folder) / action.replace(" ", "_")
    log.write_text(log.read_text() + "x" if log.exists() else "x")
    report(1)
    if action.startswith("fault"):
        raise KeyError("a fault of ours")
    if action.startswith("unreadable"):
        raise PermissionError(13, "Permission denied", "RC_2015-01.zst")
    if action.startswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"pid": os.getpid()} if action.startswith("pid") else {"did": action}


def stage(folder: Path) -> Stage[Task]:
    return Stage(label="try", measure="B", work=work, markers=folder / "markers")


def units(folder: Path, *actions: str) -> list[Unit[Task]]:
    return [
        Unit(f"unit-{number}", (str(folder), action), size=1)
        for number, action in enumerate(actions)
    ]


@pytest.fixture(params=["one", "processes", "one thread", "threads"])
def workers(request: pytest.FixtureRequest) -> Workers:
    """The ways of doing the units of a stage."""
    kinds = {"processes": Workers, "threads": ThreadWorkers, "one thread": ThreadWorkers}
    kind = kinds.get(request.param, Workers)
    return kind(1 if request.param.startswith("one") else 2)


def test_results_come_in_the_order_of_units_and_nothing_is_done_twice(
    workers: Workers, tmp_path: Path
) -> None:
    todo = units(tmp_path, "a", "b", "c")
    (tmp_path / "markers").mkdir()
    (tmp_path / "markers" / "unit-1.json").write_text('{"key": "", "result": {"did": "before"}}')
    with workers:
        for _ in range(2):
            results = run_stage(stage(tmp_path), todo, workers=workers)
            assert results == [{"did": "a"}, {"did": "before"}, {"did": "c"}]
    assert not (tmp_path / "b").exists()
    assert (tmp_path / "a").read_text() == (tmp_path / "c").read_text() == "x"


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ("fault", RuntimeError, "try: unit-1 failed"),
        ("unreadable", UserError, r"try: unit-1: .*Permission denied: 'RC_2015-01.zst'"),
    ],
)
def test_an_error_names_its_unit_and_keeps_what_was_done(
    action: str, error: type[Exception], message: str, workers: Workers, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message), workers:
        run_stage(stage(tmp_path), units(tmp_path, "a", action), workers=workers)
    marker = json.loads((tmp_path / "markers" / "unit-0.json").read_bytes())
    assert marker == {"key": "", "result": {"did": "a"}}
    assert not (tmp_path / "markers" / "unit-1.json").exists()


def test_a_unit_of_another_key_is_done_again(tmp_path: Path) -> None:
    for key, times in (("old", 1), ("old", 1), ("new", 2), ("old", 3)):
        unit = Unit("unit", (str(tmp_path), "a"), size=1, key=key)
        assert run_stage(stage(tmp_path), [unit], num_workers=1) == [{"did": "a"}]
        assert (tmp_path / "a").read_text() == "x" * times


def test_while_a_unit_is_done_again_no_marker_vouches_for_it(tmp_path: Path) -> None:
    for action, key in (("a", "old"), ("fault", "new")):
        unit = Unit("unit", (str(tmp_path), action), size=1, key=key)
        if action == "fault":
            with pytest.raises(RuntimeError):
                run_stage(stage(tmp_path), [unit], num_workers=1)
        else:
            run_stage(stage(tmp_path), [unit], num_workers=1)
    assert not (tmp_path / "markers" / "unit.json").exists()


def test_keys_stand_for_values_whatever_the_order_of_their_names() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    values = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {}]
    assert len({key_of(value) for value in values} | {key_of(), key_of({}, {})}) == 8


def test_processes_stay_from_stage_to_stage(tmp_path: Path) -> None:
    with Workers(2) as workers:
        first = run_stage(stage(tmp_path), units(tmp_path, "pid 1", "pid 2"), workers=workers)
        again = [Unit(f"again-{n}", (str(tmp_path), f"pid {n}"), size=1) for n in range(4)]
        second = run_stage(stage(tmp_path), again, workers=workers)
    pids = {result["pid"] for result in (*first, *second)}
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_threads_work_beside_one_another_in_this_process(tmp_path: Path) -> None:
    """Each of two units waits for the other: one after the other they would never end."""
    both = threading.Barrier(2, timeout=30)

    def meet(task: Task, report: Report) -> dict[str, Any]:
        report(3)
        both.wait()
        return {"pid": os.getpid()}

    meeting = Stage(label="try", measure="B", work=meet, markers=tmp_path / "markers")
    with ThreadWorkers(2) as workers:
        results = run_stage(meeting, units(tmp_path, "a", "b"), workers=workers)
    assert results == [{"pid": os.getpid()}] * 2


def test_threads_move_the_bar_by_what_they_report(tmp_path: Path) -> None:
    moves: list[float | None] = []
    bar = SimpleNamespace(update=moves.append)
    (tmp_path / "markers").mkdir()
    with ThreadWorkers(2) as workers:
        for _ in range(2):
            workers.run(stage(tmp_path), units(tmp_path, "a", "b", "c"), bar)
    assert sum(move or 0 for move in moves) == 6


def test_a_killed_worker_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--num_workers"):
        run_stage(stage(tmp_path), units(tmp_path, "die", "die too"), num_workers=2)


def test_no_units_are_done_at_once(tmp_path: Path) -> None:
    assert run_stage(stage(tmp_path), [], num_workers=0) == []
