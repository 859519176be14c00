"""Input files: which ones, in which split, and their lines, whatever they are compressed with."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from data_prep.dump import DamagedArchiveError, read_blocks, read_lines
from data_prep.importing.config import CHAT_SOURCES, ImportConfig
from data_prep.importing.conversations import UnusableError
from data_prep.importing.import_log import ImportLog
from dialogpt.command_line import UserError
from dialogpt.records import Split

SHOWN_CHARACTERS = 60
"""How much of a record is shown where it is not what was expected."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file (or, of Slack, one folder) to read.

    Attributes:
        path: where it is.
        name: what messages call it. Chats are numbered, because their files are named for people.
        prefix: begins the ids of what has none of its own.
        split: the published split that the file holds, or None.
    """

    path: Path
    name: str
    prefix: str
    split: Split | None

    @property
    def column(self) -> str:
        """Where its counts stand."""
        return self.split or "input"


def input_files(config: ImportConfig) -> list[InputFile]:
    """All files, validation and test first: leaks into training are looked for later.

    Raises:
        UserError: a name or pattern leads to no file.
    """
    wanted: list[tuple[str, Split | None]] = [
        (config.test, "test"),
        (config.valid, "valid"),
        (config.train, "train"),
        (config.input, None),
    ]
    files = []
    for given, split in wanted:
        paths = paths_of(given, config.source) if given else []
        for number, path in enumerate(paths):
            label = split or "input"
            several = f"-{number}" if len(paths) > 1 else ""
            prefix = f"{config.source}_{label}{several}"
            hidden = config.source in CHAT_SOURCES
            files.append(InputFile(path, prefix if hidden else str(path), prefix, split))
    return files


def paths_of(given: str, source: str) -> list[Path]:
    """The files behind a file name, a folder or a pattern, by name; of WhatsApp's folders the .txt.

    Raises:
        UserError: there is none.
    """
    path = Path(given)
    if path.is_dir() and source != "slack":
        paths = [p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")]
        if source == "whatsapp":  # beside the chat are the photos that were exported with it
            paths = [p for p in paths if ".txt" in map(str.lower, p.suffixes)]
    elif path.exists():
        paths = [path]
    else:
        paths = [Path(p) for p in sorted(glob.glob(given, recursive=True))]  # noqa: PTH207
    if not paths:
        kind = ".txt files" if source == "whatsapp" else "files"
        found = f"a folder without {kind}" if path.is_dir() else "nothing"
        raise UserError(f"{given}: expected a file, a folder of files or a pattern, found {found}")
    if source == "slack" and not path.is_dir():
        raise UserError(f"{given}: expected the folder of a Slack export; unpack the archive first")
    return paths


def numbered_lines(file: InputFile, log: ImportLog) -> Iterator[tuple[int, str]]:
    r"""Number (from 1) and text of each line that is not blank, without its end.

    Lines end with "\n" or "\r\n" and nothing else: texts hold other characters that Python takes
    for the end of a line. A line that is not UTF-8 is dropped and counted as `not_utf8`.

    Raises:
        UserError: the file is damaged, or no text.
    """
    for number, line in numbered_bytes(file, log):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            log.add("records_read")
            found = f"expected UTF-8, found the byte {line[error.start]:#04x}"
            log.drop("records", "not_utf8", f"{file.name}:{number}", found)
            continue
        if not text.isspace():
            yield number, text


def numbered_bytes(file: InputFile, log: ImportLog) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line that is not blank, see `numbered_lines`.

    Raises:
        UserError: the file is damaged, or no text.
    """
    with _damage_named(file):
        for block in read_lines(file.path, log.report):
            if block.first_line == 1:
                _require_text(file, block.data)
            for offset, line in enumerate(block.data.split(b"\n")):
                line = line.removesuffix(b"\r")
                if line.strip():
                    yield block.first_line + offset, line


def _require_text(file: InputFile, content: bytes) -> None:
    if content.startswith(b"PK\x03\x04"):
        raise UserError(
            f"{file.path}: expected text, found a zip archive; unpack it and give the file in it"
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{file.path}: expected UTF-8, found UTF-16; save the file as UTF-8")


def json_document(file: InputFile, log: ImportLog) -> Any:
    """The one JSON value that a file holds.

    Raises:
        UserError: the file is damaged, or holds something else.
    """
    with _damage_named(file):
        content = b"".join(read_blocks(file.path, log.report)).removeprefix(b"\xef\xbb\xbf")
    _require_text(file, content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"{file.path}:{error.lineno}: expected one JSON document, found an error "
            f"({error.msg}); fetch the file again, or choose another --source"
        ) from error


def json_value(line: str) -> Any:
    """The JSON value of a line.

    Raises:
        UnusableError: it is none.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UnusableError(
            "not_json", f"expected JSON, found {line[:SHOWN_CHARACTERS]!r} ({error.msg})"
        ) from error


def shown(value: Any) -> str:
    """The beginning of a value as it stands in messages."""
    return repr(value)[:SHOWN_CHARACTERS]


@contextmanager
def _damage_named(file: InputFile) -> Iterator[None]:
    """Say which file is damaged."""
    try:
        yield
    except DamagedArchiveError as error:
        raise UserError(
            f"{file.path}: expected a whole archive, found damage: {error}; fetch the file again"
        ) from error
