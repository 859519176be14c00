"""Folders on any file system that Spark knows, as the driver sees them.

Spark reads and writes HDFS, S3, GCS, Azure and local paths through Hadoop's FileSystem in its JVM;
so does this, with the same settings and credentials.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from dialogpt.command_line import UserError


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder holds.

    Attributes:
        name: in the folder.
        size: bytes; None of a folder.
        changed_ns: when it was last changed, nanoseconds since 1970.
    """

    name: str
    size: int | None
    changed_ns: int


class HadoopFolder:
    """A folder, which need not exist.

    Attributes:
        uri: with its scheme, such as hdfs://host/data or file:///data.
    """

    def __init__(self, spark: SparkSession, location: str) -> None:
        """Name a folder.

        Args:
            spark: knows the file systems.
            location: a URI or a path; a path without scheme is on Spark's default file system.

        Raises:
            UserError: Spark has no such file system.
        """
        self._spark = spark
        self._jvm: Any = spark._jvm
        with _user_errors(location):
            path = self._jvm.org.apache.hadoop.fs.Path(location)
            self._files: Any = path.getFileSystem(spark._jsc.hadoopConfiguration())
            self._path: Any = self._files.makeQualified(path)
        self.uri: str = self._path.toString()

    @property
    def local_path(self) -> Path | None:
        """The path, if it is one of this machine's file system."""
        scheme, _, path = self.uri.partition(":")
        return Path("/" + path.lstrip("/")) if scheme == "file" else None

    @property
    def pattern(self) -> str:
        """The URI, as Spark's readers want it: they take a path for a pattern of names."""
        return re.sub(r"([\\\[\]{}*?])", r"\\\1", self.uri)

    def __truediv__(self, name: str) -> "HadoopFolder":
        return HadoopFolder(self._spark, f"{self.uri.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return str(self.local_path or self.uri)

    def entries(self) -> list[Entry]:
        """What it holds, by name; nothing if it is absent.

        Raises:
            UserError: it cannot be read.
        """
        with _user_errors(str(self)):
            if not self._files.exists(self._path):
                return []
            found = [self._entry(status) for status in self._files.listStatus(self._path)]
        return sorted(found, key=lambda entry: entry.name)

    def _entry(self, status: Any) -> Entry:
        name = status.getPath().getName()
        changed_ns = status.getModificationTime() * 1_000_000
        if self.local_path is not None:  # more exactly
            changed_ns = (self.local_path / name).stat().st_mtime_ns
        return Entry(name, status.getLen() if status.isFile() else None, changed_ns)

    def head(self, name: str, num_bytes: int) -> bytes:
        """The first bytes of a file in it."""
        with _user_errors(f"{self}/{name}"):
            stream = self._files.open(self._child(name))
            try:
                return bytes(stream.readNBytes(num_bytes))
            finally:
                stream.close()

    def read(self, name: str) -> bytes | None:
        """A small file in it, or None if it is absent."""
        with _user_errors(f"{self}/{name}"):
            path = self._child(name)
            if not self._files.exists(path):
                return None
            stream = self._files.open(path)
            try:
                return bytes(stream.readAllBytes())
            finally:
                stream.close()

    @contextmanager
    def writer(self, name: str) -> Iterator[Any]:
        """A file in it, to be written; there is `write(bytes)`. It replaces an older one."""
        with _user_errors(f"{self}/{name}"):
            stream = self._files.create(self._child(name), True)
            try:
                yield _Writer(stream)
            finally:
                stream.close()

    def rename(self, name: str, target: "HadoopFolder") -> None:
        """Move what is of this name in it; the target must not exist, but its folder must.

        Raises:
            UserError: the file system refuses.
        """
        with _user_errors(f"{self}/{name}"):
            if not self._files.rename(self._child(name), target._path):
                raise UserError(f"{self}/{name}: cannot be renamed to {target}")

    def make(self) -> None:
        """Make it and the folders above it, where absent."""
        with _user_errors(str(self)):
            self._files.mkdirs(self._path)

    def delete(self, name: str = "") -> None:
        """Delete a file or folder in it, or all of it, if there is any."""
        with _user_errors(str(self)):
            self._files.delete(self._child(name) if name else self._path, True)

    def _child(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self._path, name)


class _Writer:
    """What Python's files have of Java's streams."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, content: bytes) -> None:
        self._stream.write(bytearray(content))


@contextmanager
def _user_errors(place: str) -> Iterator[None]:
    """Say what Java found wrong with a place, without a trace of stacks."""
    try:
        yield
    except Py4JJavaError as error:
        reason = error.java_exception.toString()
        raise UserError(
            f"{place}: Spark says {reason}; check the address, the credentials, and whether the "
            "file system's jars are there (docs/spark.md)"
        ) from error
