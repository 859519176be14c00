"""JSON objects and tables that people may have edited: read value by value, each with its place."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError

_MOST_SHOWN = 60
MOST_SECONDS = 10 * 366 * 86_400
"""No judge takes longer; sums of such numbers stay finite."""


class Fields:
    """The values of a JSON object, each of the kind that is expected of it.

    Args:
        value: what stands there; must be an object.
        where: file and place, for messages.

    Raises:
        UserError: from here and every method, if something else stands there.
    """

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise mistake(where, "a JSON object", value)
        self._values = value

    def text(self, name: str) -> str:
        """A string."""
        value = self.value(name)
        if not isinstance(value, str):
            raise mistake(self._place(name), "a string", value)
        return value

    def whole(self, name: str) -> int:
        """An integer of at least 0."""
        value = self.value(name)
        if type(value) is not int or value < 0:
            raise mistake(self._place(name), "a whole number of at least 0", value)
        return value

    def seconds(self, name: str) -> float:
        """A number from 0 to MOST_SECONDS."""
        value = self.value(name)
        # Compared before it becomes a float, which an integer of 400 digits cannot.
        if type(value) not in (int, float) or not 0 <= value <= MOST_SECONDS:
            raise mistake(self._place(name), "a number of seconds, 10 years at most", value)
        return float(value)

    def flag(self, name: str) -> bool:
        """A truth value."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise mistake(self._place(name), "true or false", value)
        return value

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """One of the strings."""
        value = self.value(name)
        if not isinstance(value, str) or value not in allowed:
            raise mistake(self._place(name), f"one of {', '.join(allowed)}", value)
        return value

    def moment(self, name: str) -> datetime:
        """A time in ISO 8601 with its zone, as JavaScript's toISOString writes it."""
        value = self.text(name)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = datetime.min
        if moment.tzinfo is None:
            raise mistake(self._place(name), "a time such as 2026-01-31T12:00:00Z", value)
        return moment

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self.rows(name)
        if not all(isinstance(value, str) for value in values):
            raise mistake(self._place(name), "a list of strings", values)
        return tuple(values)

    def rows(self, name: str) -> list[Any]:
        """A list."""
        value = self.value(name)
        if not isinstance(value, list):
            raise mistake(self._place(name), "a list", value)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object."""
        value = self.value(name)
        if not isinstance(value, dict):
            raise mistake(self._place(name), "a JSON object", value)
        return value

    def value(self, name: str) -> Any:
        """Whatever stands there."""
        if name not in self._values:
            raise UserError(
                f"{self.where}: expected the key {name!r}, found the keys "
                f"{', '.join(map(repr, self._values)) or 'none'}; take a file as it was written"
            )
        return self._values[name]

    def others(self, name: str) -> dict[str, Any]:
        """All values but one."""
        return {key: value for key, value in self._values.items() if key != name}

    def _place(self, name: str) -> str:
        return f"{self.where}, {name!r}"


def mistake(where: str, expected: str, found: Any, remedy: str = "mend the file") -> UserError:
    """The message that something else stands there."""
    return UserError(f"{where}: expected {expected}, found {brief(found)}; {remedy}")


def brief(value: Any) -> str:
    """A value for a message: short, in one line, and nothing in it acts on a terminal."""
    written = ascii(value) if not isinstance(value, str) else repr(value)
    return written if len(written) <= _MOST_SHOWN else written[: _MOST_SHOWN - 3] + "..."


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """While an output is written: a UserError with a remedy for an OSError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{output}: expected an output that can be written, found: {error.strerror or error}; "
            "make room or change its rights, or name another --output"
        ) from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without the mark of its encoding (BOM).

    Raises:
        UserError: there is no such file, or it is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(
            f"{path}: expected a file, found none that opens ({error}); name another one"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: expected UTF-8, found the byte 0x{error.object[error.start]:02x} at "
            f"{error.start:,}; save it as UTF-8"
        ) from error


def read_object(path: Path, *, format_name: str) -> Fields:
    """The object of a JSON file that names its format, in version 1.

    Raises:
        UserError: the file cannot be read, or is of another format or version.
    """
    fields = Fields(parsed(read_text(path), str(path)), str(path))
    fields.one_of("format", [format_name])
    version = fields.whole("version")
    if version != 1:
        raise mistake(f"{path}, 'version'", "1", version, "use the program that wrote it")
    return fields


def parsed(text: str, where: str) -> Any:
    """The value of a JSON text.

    Raises:
        UserError: it is none, or an object has a key twice, so that one of two values would be
            lost.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            twice = next(key for key, num in Counter(key for key, _ in pairs).items() if num > 1)
            raise UserError(
                f"{where}: expected each key of an object once, found {brief(twice)} twice; "
                "take the file as it was written"
            )
        return values

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{where}: expected JSON, found what is none ({error}); take the file as it was written"
        ) from error
