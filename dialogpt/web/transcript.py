"""What is stored of conversations where the operator asked for it: lines of JSON, no addresses."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.decode.response import Response
from dialogpt.web.sliders import Choice


def transcript_writer(
    path: Path, *, settings: Callable[[Choice], dict[str, Any]]
) -> Callable[[Response, Choice], None]:
    """What appends a response to the file: its time, context, candidates, scores and settings.

    Args:
        path: JSON Lines file; made if absent, lengthened if there.
        settings: what a line says about the models and how they replied with a choice.

    Returns:
        It raises OSError if the file cannot be written to then.

    Raises:
        UserError: the file cannot be written to now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise UserError(f"--transcript {path}: cannot be written to ({error.strerror})") from error
    lock = threading.Lock()

    def keep(response: Response, choice: Choice) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"time": now, **response.as_record(), "settings": settings(choice)}
        with lock, path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")

    return keep
