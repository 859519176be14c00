"""The Triton kernels without a GPU: what they compute, not how fast.

`pip install triton` brings what this takes; with torch for CUDA it is there already.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


def test_the_kernels_compute_what_torch_does_in_float64():
    # An earlier interpreter does not work with the newest NumPy.
    pytest.importorskip("triton", minversion="3.7", reason="Triton 3.7 is not installed")
    paths = [str(TESTS.parent), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "interpreted/kernels.py"],
        cwd=TESTS,
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
