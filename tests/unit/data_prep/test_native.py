"""The compiled loops are there where they can be, and refuse what would crash them."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from data_prep import native

needs_compiled = pytest.mark.skipif(
    native.compiled is None,
    reason="nothing was compiled: there was no C compiler when the project was installed",
)


def test_the_loops_are_compiled_where_there_is_a_compiler() -> None:
    """The build lets a failure pass as a warning, so that the project installs without one."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if shutil.which(compiler) is None or not headers.is_file():
        pytest.skip(f"no {compiler}, or no {headers}")
    if os.environ.get("DIALOGPT_NO_NATIVE"):
        pytest.skip("DIALOGPT_NO_NATIVE is set")
    assert native.compiled is not None


def test_they_can_be_switched_off() -> None:
    code = "from data_prep import native; print(native.compiled)"
    environment = {**os.environ, "DIALOGPT_NO_NATIVE": "1"}
    root = Path(__file__).parents[3]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, check=True
    )
    assert found.stdout == b"None\n"


@needs_compiled
@pytest.mark.parametrize("offsets", [[], [-1, 0], [0, 4], [0, 2, 1], [3, 3]])
def test_offsets_that_lead_out_of_the_text_are_refused(offsets: list[int]) -> None:
    bounds = np.array(offsets, np.int64)
    for function, rest in (
        (native.compiled.turns_of_bodies, (True,)),
        (native.compiled.words_of_texts, (b"",)),
        (native.compiled.trigrams_of_words, ()),
    ):
        with pytest.raises(ValueError, match="offsets must ascend"):
            function(bounds, b"ab", *rest)


@needs_compiled
def test_wrong_arguments_are_errors_and_not_crashes() -> None:
    with pytest.raises(TypeError):
        native.compiled.posts_of_lines("text", ())
    for field in ((b"", 0, b"t1_", 0, 0, False), (b"id", 9, b"t1_", 0, 0, False),
                  (b"id", 0, b"t1", 0, 0, False)):  # fmt: skip
        with pytest.raises(ValueError, match="a field needs"):
            native.compiled.posts_of_lines(b"{}", (field,))
    with pytest.raises(ValueError, match="at most 16 fields"):
        native.compiled.posts_of_lines(b"{}", ((b"id", 0, b"t1_", 0, 0, False),) * 17)
    with pytest.raises(ValueError, match="line break"):
        native.compiled.words_of_texts(np.zeros(1, np.int64), b"", b"the")
