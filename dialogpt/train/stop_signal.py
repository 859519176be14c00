"""SIGTERM and Ctrl-C as a request that the training loop answers between two steps."""

import signal
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """While entered, the first SIGTERM or SIGINT is noted; a second one acts at once.

    Attributes:
        received: the signal's number; 0 before any.
    """

    def __init__(self) -> None:
        self.received = 0
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignal":
        self._former = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    @property
    def exit_code(self) -> int:
        """128 + signal, as shells have it; SIGTERM's where another rank received the signal."""
        return 128 + (self.received or int(signal.SIGTERM))

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
