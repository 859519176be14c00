"""A command that dies at a chosen call of one of its functions, as if the system had killed it."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from support_forks import ForkedProcess, start_forked

ROOT = Path(__file__).parent.parent
TESTS = Path(__file__).parent
IMPORTED = ("data_prep.extract_local", "data_prep.purging.command")
"""What the commands of `run_until_killed` import."""


def run_until_killed(command: str, call: str, argv: Sequence[str]) -> ForkedProcess:
    """Start a command that dies at the beginning of the n-th call of a function.

    Args:
        command: module whose `main(argv)` it is.
        call: module, name in it and n: "data_prep.publication Path.rename 1".
        argv: of the command.

    Returns:
        The process, to which the imports are given.
    """
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
    return start_forked(
        "support_kills",
        [command, *call.split(), *argv],
        folder=ROOT,
        environment={**os.environ, **paths},
        imported=IMPORTED,
    )


def _kill_at(module: str, path: str, number: int) -> None:
    """Let the process die at the beginning of the n-th call of a function."""
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function = getattr(owner, name)
    calls = count(1)

    def killed(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(owner, name, killed)


if __name__ == "__main__":
    main, module, path, number, *words = sys.argv[1:]
    run = import_module(main).main
    _kill_at(module, path, int(number))
    run(words)
