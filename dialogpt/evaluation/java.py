"""The two programs in Java that evaluation may use, if they are there: METEOR and a tokenizer.

Nothing is installed or downloaded. What is missing is said in a sentence, which tables have beside
their "n/a".
"""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import IO

_PACKAGE = "pycocoevalcap"


class UnavailableError(Exception):
    """Something cannot be measured on this machine; the message says why and what would help."""


def java_program() -> str:
    """The path of Java.

    Raises:
        UnavailableError: there is none.
    """
    program = shutil.which("java")
    if program is None:
        raise UnavailableError("no Java is found on PATH; install a Java runtime, 8 or newer")
    return program


def shipped_jar(*parts: str) -> Path:
    """A file within the installed package pycocoevalcap, which is not imported.

    Raises:
        UnavailableError: it is not installed, or lacks the file.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        jar = Path(folder).joinpath(*parts)
        if jar.is_file():
            return jar
    raise UnavailableError(
        f"{parts[-1]} is not found; pip install 'pycocoevalcap>=1.2', which has it"
    )


def last_line(output: IO[bytes]) -> str:
    """What a program said last, for a message; "" if nothing.

    Args:
        output: a file that its errors went to.
    """
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    # The cause stands before the places that Java lists.
    causes = [line for line in said if "Error" in line or "Exception" in line]
    return "".join(filter(str.isprintable, (causes or said or [""])[-1]))[:200]
