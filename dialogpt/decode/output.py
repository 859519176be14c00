"""The file of responses, in one of three formats, whole or not at all."""

import json
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Literal, Self

from dialogpt.command_line import refuse_to_overwrite
from dialogpt.config.decoding import OutputFormat
from dialogpt.decode.response import Response
from dialogpt.dialogue_text import join_turns
from dialogpt.text import clean_turn

_ENDINGS: dict[str, OutputFormat] = {".tsv": "tsv", ".txt": "text"}


def output_format_of(name: str, wanted: OutputFormat | Literal["auto"]) -> OutputFormat:
    """The format of a file to write: as wanted, or by its ending."""
    return _ENDINGS.get(PurePath(name).suffix.lower(), "jsonl") if wanted == "auto" else wanted


def format_response(
    response: Response, output_format: OutputFormat, *, settings: dict[str, Any]
) -> str:
    """A line of the file, without its end.

    Args:
        response: what was said.
        output_format: jsonl has every hypothesis, tsv the context and the reply, text the reply.
        settings: what jsonl says about how it was made; the others have no place for it.
    """
    if output_format == "jsonl":
        return json.dumps({**response.as_record(), "settings": settings}, ensure_ascii=False)
    # A scorer or filter of one's own may have put another text there: a line stays a line.
    reply = clean_turn(response.text)
    return reply if output_format == "text" else f"{join_turns(response.context)}\t{reply}"


class ResponseWriter:
    """Lines of responses under the file's final name once all are written, not before.

    Args:
        path: the file to be; must not exist yet.
        settings: what each line says about how it was made.
        output_format: of the lines, see `format_response`.

    Raises:
        UserError: the file exists already.
    """

    def __init__(
        self, path: Path, *, settings: dict[str, Any], output_format: OutputFormat = "jsonl"
    ) -> None:
        refuse_to_overwrite(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._unfinished = path.with_name(path.name + ".unfinished")
        self._settings = settings
        self._format: OutputFormat = output_format
        self._lines = self._unfinished.open("w", encoding="utf-8")

    def write(self, response: Response) -> None:
        """Add one line."""
        line = format_response(response, self._format, settings=self._settings)
        self._lines.write(line + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        if error_type is None:
            self._unfinished.replace(self._path)
