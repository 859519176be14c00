"""Output folders that one run at a time works in."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialogpt.command_line import UserError

if sys.platform != "win32":
    import fcntl

LOCK_FILE = ".lock"


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs; the hold ends with the process, killed or not.

    On Windows, and on file systems without locks, nothing is held.

    Args:
        folder: made if absent; keeps an empty file `.lock`.

    Raises:
        UserError: another run is at work in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a", encoding="utf-8") as holder:
        if sys.platform != "win32":
            try:
                # Not flock: worker processes would inherit it, and hold it on after a kill.
                fcntl.lockf(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise UserError(
                        f"{folder}: another run is at work in this folder; wait for it, stop it, "
                        "or name another output"
                    ) from error
        yield
