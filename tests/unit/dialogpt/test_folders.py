import subprocess
import sys
from pathlib import Path

import pytest

from dialogpt.command_line import UserError
from dialogpt.folders import sole_use

HOLD_FOR_EVER = """
import sys, time
from pathlib import Path
from dialogpt.folders import sole_use
with sole_use(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_runs_cannot_work_in_one_folder_and_a_kill_frees_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLD_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(UserError, match="another run is at work"), sole_use(tmp_path):
                pass
        finally:
            other.kill()  # or a failure would wait for it
    with sole_use(tmp_path):
        pass
