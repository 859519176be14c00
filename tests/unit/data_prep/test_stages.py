import json
import os
import signal
from pathlib import Path

import pytest

from data_prep.stages import Report, Stage, Unit, run_stage
from dialogpt.command_line import UserError

ROOT = Path(__file__).parents[3]
Task = tuple[str, str]  # folder, what to do


def work(task: Task, report: Report) -> dict[str, str]:
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
    return {"did": action}


def stage(folder: Path) -> Stage[Task]:
    return Stage(label="try", measure="B", work=work, markers=folder / "markers")


def units(folder: Path, *actions: str) -> list[Unit[Task]]:
    return [
        Unit(f"unit-{number}", (str(folder), action), size=1)
        for number, action in enumerate(actions)
    ]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_units_and_nothing_is_done_twice(
    num_workers: int, tmp_path: Path
) -> None:
    todo = units(tmp_path, "a", "b", "c")
    (tmp_path / "markers").mkdir()
    (tmp_path / "markers" / "unit-1.json").write_text('{"did": "before"}')
    for _ in range(2):
        results = run_stage(stage(tmp_path), todo, num_workers=num_workers)
        assert results == [{"did": "a"}, {"did": "before"}, {"did": "c"}]
    assert not (tmp_path / "b").exists()
    assert (tmp_path / "a").read_text() == (tmp_path / "c").read_text() == "x"


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ("fault", RuntimeError, "try: unit-1 failed"),
        ("unreadable", UserError, r"try: unit-1: .*Permission denied: 'RC_2015-01.zst'"),
    ],
)
def test_an_error_names_its_unit_and_keeps_what_was_done(
    action: str, error: type[Exception], message: str, num_workers: int, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        run_stage(stage(tmp_path), units(tmp_path, "a", action), num_workers=num_workers)
    assert json.loads((tmp_path / "markers" / "unit-0.json").read_bytes()) == {"did": "a"}
    assert not (tmp_path / "markers" / "unit-1.json").exists()


def test_a_killed_worker_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--num_workers"):
        run_stage(stage(tmp_path), units(tmp_path, "die", "die too"), num_workers=2)


def test_no_units_are_done_at_once(tmp_path: Path) -> None:
    assert run_stage(stage(tmp_path), [], num_workers=0) == []
