"""Commands in processes of their own that need not import: forked from one that has imported.

Importing torch and transformers takes longer than a tiny training run. A server imports once and
forks; the child is then an ordinary `python -m MODULE`, with its own arguments, folder, variables,
streams, signals and exit code, and can be killed as any other.
"""

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TRAINING = ("dialogpt.train.run", "dialogpt.models.gpt2", "torch.utils.data")
"""What to import before for `dialogpt.train`."""


class ForkedProcess:
    """A forked command, used as a subprocess.Popen whose standard error is a pipe of text."""

    def __init__(self, server: "_Server", request: dict[str, Any], errors: Path) -> None:
        self._server = server
        self._errors = errors
        self.pid = server.ask(request)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code as of Popen, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 240) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise subprocess.TimeoutExpired(str(self.pid), timeout, stderr=self._said())
            time.sleep(0.005)
        return code

    def communicate(self, timeout: float = 240) -> tuple[None, str]:
        """Wait for the end; what it said on standard error comes second."""
        self.wait(timeout)
        return None, self._said()

    def send_signal(self, number: int) -> None:
        """Nothing if it has ended: until it is asked for, the system keeps its number for it."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _said(self) -> str:
        return self._errors.read_text(encoding="utf-8", errors="replace")


def start_forked(
    module: str,
    words: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    imported: Iterable[str] = TRAINING,
) -> ForkedProcess:
    """Start what `python -m MODULE WORDS` starts in a folder, with all imports done before.

    Args:
        module: the command.
        words: of its command line.
        folder: where it runs.
        environment: all of its variables; those that are read while importing are as of the first
            call, but for PYTHONPATH and OMP_NUM_THREADS.
        imported: names of modules to import before. Each choice, of these and of the two
            variables, has a server of its own, which stays until the tests end.
    """
    server = _server(tuple(imported), environment["PYTHONPATH"], environment["OMP_NUM_THREADS"])
    handle, name = tempfile.mkstemp(prefix="stderr-", dir=server.folder)
    os.close(handle)
    request = {
        "argv": [module, *words],
        "folder": str(folder),
        "environment": dict(environment),
        "errors": name,
    }
    return ForkedProcess(server, request, Path(name))


class _Server:
    def __init__(self, imported: Sequence[str], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = self._folder.name
        self._process = subprocess.Popen(
            [sys.executable, __file__, *imported],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the server of forks has ended with {self._process.poll()}"
        return json.loads(answer)


@cache
def _server(imported: tuple[str, ...], path: str, num_threads: str) -> _Server:
    variables = {"PYTHONPATH": path, "OMP_NUM_THREADS": num_threads}
    return _Server(imported, {**os.environ, **variables})


def _serve() -> dict[str, Any] | None:
    """Answer requests until there are no more; in a child that is forked, return its request."""
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                return request
        os.write(1, json.dumps(answer).encode() + b"\n")
    return None


def _become(request: dict[str, Any]) -> None:
    """Be an ordinary command from here on."""
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(request["errors"], os.O_WRONLY | os.O_APPEND)
    for there, here in ((nothing, 0), (nothing, 1), (errors, 2)):
        os.dup2(there, here)
    os.close(nothing)
    os.close(errors)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    module, *words = request["argv"]
    sys.argv = [module, *words]
    sys.path[0] = request["folder"]  # as `python -m` has it
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        import_module(name)
    gc.freeze()  # so that no child copies what it only looks at
    child = _serve()
    if child is not None:
        _become(child)
