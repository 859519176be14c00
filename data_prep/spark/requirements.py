"""Whether pyspark and Java are there. Imports neither, so that it can say how to get them."""

import os
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dialogpt.command_line import UserError

MIN_PYSPARK = (4, 1)
"""Older ones have no DataFrame.repartitionById."""
MIN_JAVA = 17

_HOW_JAVA = (
    "install Java 17 (Debian, Ubuntu: `sudo apt-get install openjdk-17-jre-headless`; macOS: "
    "`brew install openjdk@17`; conda: `conda install -c conda-forge openjdk=17`) and let "
    "JAVA_HOME name its folder, if `java` is not found"
)


def require_spark() -> None:
    """Make sure that Spark can start here.

    Raises:
        UserError: pyspark or Java is missing or too old; the message says how to install it.
    """
    try:
        found = version("pyspark")
    except PackageNotFoundError as error:
        raise UserError(
            "--engine spark needs the package pyspark, and it is not installed: "
            "pip install 'dialogpt[spark]'"
        ) from error
    if tuple(int(number) for number in re.findall(r"\d+", found)[:2]) < MIN_PYSPARK:
        raise UserError(
            f"--engine spark needs pyspark {'.'.join(map(str, MIN_PYSPARK))} or later, found "
            f"{found}: pip install --upgrade 'dialogpt[spark]'"
        )
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else spark-submit has started the JVM
        _require_java()


def _require_java() -> None:
    java = java_command()
    if java is None:
        raise UserError(f"--engine spark needs Java, and none is found: {_HOW_JAVA}")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if match is None or int(match[1]) < MIN_JAVA:
        said = (answer.stderr or answer.stdout).strip().split("\n")[0]
        raise UserError(f"--engine spark needs Java {MIN_JAVA}, {java} says {said!r}: {_HOW_JAVA}")


def java_command() -> str | None:
    """The program that Spark will start, or None if there is none."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return shutil.which(Path(home) / "bin" / "java")
    return shutil.which("java")
