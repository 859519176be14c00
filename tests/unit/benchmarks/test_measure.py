"""No process that a command starts is left out of what it took."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import MeasuredCommandError, run_measured

BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
LEFT_BEHIND = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {BURN!r}])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets orphans be adopted")
def test_the_time_of_processes_that_are_left_behind_counts(tmp_path: Path) -> None:
    usage = run_measured([sys.executable, "-c", LEFT_BEHIND], cwd=tmp_path, log=tmp_path / "log")
    assert usage.cpu_seconds > 0.3


def test_other_processes_are_not_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        run_measured([sys.executable, "-c", LEFT_BEHIND], cwd=tmp_path, log=tmp_path / "log")
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_a_command_that_fails_is_an_error_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(MeasuredCommandError, match="oops"):
        run_measured(
            [sys.executable, "-c", "raise SystemExit('oops')"], cwd=tmp_path, log=tmp_path / "log"
        )
