"""A terminal or a pipe as a place to talk: lines in, replies that grow out."""

import importlib
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from dialogpt.text import clean_turn

_CHUNK = 1 << 16
# Characters of an overlong line that are thrown away at once.


def line_reader(
    source: TextIO, out: TextIO, *, prompt: str, longest: int
) -> Callable[[], str | None]:
    """A function that returns the next line without its end, None after the last.

    On a terminal the line can be edited and earlier ones come back with the arrow keys, where
    Python has readline; they are kept in memory only. In a pipe there is no prompt.

    Args:
        source: where lines are typed; sys.stdin.
        out: where the prompt goes; sys.stdout.
        prompt: the invitation to type.
        longest: characters of a line; of a longer one so many and one more come back from a pipe,
            so that a line without end cannot fill the memory.
    """
    if not (source.isatty() and out.isatty()):
        return lambda: _piped_line(source, longest=longest)
    with suppress(ImportError):  # Windows has none
        importlib.import_module("readline")  # from here on input() edits with it
    return lambda: _typed_line(prompt)


def _typed_line(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


def _piped_line(source: TextIO, *, longest: int) -> str | None:
    line = source.readline(longest + 1)
    rest = line
    while rest and not rest.endswith("\n"):
        rest = source.readline(_CHUNK)
    return line.removesuffix("\n") if line else None


class ReplyLine:
    """A reply on a terminal, printed as it grows; in a pipe it is printed when it is whole.

    Args:
        out: where it is printed.
        label: what stands before the reply on a terminal.
        thinking: shown on a terminal until the reply begins.
    """

    def __init__(self, out: TextIO, *, label: str, thinking: str = "") -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._label = label if self._is_terminal else ""
        self._thinking = thinking if self._is_terminal else ""
        self._printed = ""

    def begin(self) -> None:
        """Show that a reply is on its way."""
        self._write(self._label + self._thinking)

    def grow(self, text: str) -> None:
        """Print what is new in the reply so far, as `Responder.respond` tells it."""
        text = clean_turn(text)
        if self._is_terminal and text.startswith(self._printed):
            self._print_rest_of(text)

    def finish(self, text: str) -> None:
        """Print the rest of the whole reply, and end the line."""
        text = clean_turn(text)
        if not text.startswith(self._printed):
            # What was printed cannot be taken back: the reply once more, whole.
            self._write("\n" + self._label)
            self._printed = ""
        self._print_rest_of(text)
        self._write("\n")

    def abandon(self) -> None:
        """End the line without a reply."""
        self._erase_thinking()
        self._write("\n" if self._is_terminal else "")

    def _print_rest_of(self, text: str) -> None:
        self._erase_thinking()
        self._write(text[len(self._printed) :])
        self._printed = text

    def _erase_thinking(self) -> None:
        # With blanks rather than a terminal's own commands: every terminal knows them.
        width = len(self._thinking)
        self._write("\b" * width + " " * width + "\b" * width)
        self._thinking = ""

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()
