"""Reading the lists that select a published test set."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from dialogpt.command_line import UserError

_HASH = re.compile(r"[0-9a-f]{56}")


def list_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line of a file, without its end; blank ones are left out.

    Args:
        path: the file.
        what: what it should be, for the message where it cannot be read.

    Raises:
        UserError: it is absent, or not UTF-8.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected {what}, cannot read it ({error})") from error


def read_names(path: Path, what: str) -> frozenset[str]:
    """The names in a file, one a line.

    Raises:
        UserError: see `list_lines`.
    """
    return frozenset(line.strip() for _, line in list_lines(path, what))


def read_hashes(path: Path, what: str) -> frozenset[str]:
    """The hashes in a file, one a line.

    Raises:
        UserError: see `list_lines`; or a line is no hash.
    """
    hashes = set()
    for number, line in list_lines(path, what):
        if not is_hash(line):
            raise UserError(
                f"{path}:{number}: expected 56 hexadecimal digits, found {line[:80]!r}; give {what}"
            )
        hashes.add(line)
    return frozenset(hashes)


def is_hash(text: str) -> bool:
    """Whether a text looks like the hash of an instance (SHA-224)."""
    return _HASH.fullmatch(text) is not None


def list_digest(path: Path | None) -> str:
    """What stands for the content of a list; "" for none.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
    except OSError as error:
        raise UserError(f"{path}: expected a list, cannot read it ({error})") from error
