"""A command that dies at a chosen call of one of its functions, as if the system had killed it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent

_PROGRAM = """
import os, signal, sys
from importlib import import_module

main, module, path, number = sys.argv[1:5]
run = import_module(main).main
*owners, name = path.split(".")
owner = import_module(module)
for part in owners:
    owner = getattr(owner, part)
function = getattr(owner, name)
calls = 0

def killed(*args, **keywords):
    global calls
    calls += 1
    if calls == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*args, **keywords)

setattr(owner, name, killed)
run(sys.argv[5:])
"""


def run_until_killed(command: str, call: str, argv: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a command that dies at the beginning of the n-th call of a function.

    Args:
        command: module whose `main(argv)` it is.
        call: module, name in it and n: "data_prep.publication Path.rename 1".
        argv: of the command.

    Returns:
        The process, in a group of its own.
    """
    program = [sys.executable, "-c", _PROGRAM, command, *call.split(), *argv]
    return subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
