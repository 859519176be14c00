"""What is stored of conversations where the operator asked for it: lines of JSON, no addresses."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.decode.respond import Response


def transcript_writer(path: Path, *, settings: dict[str, Any]) -> Callable[[Response], None]:
    """What appends a response to the file: its time, context, candidates and scores.

    Args:
        path: JSON Lines file; made if absent, lengthened if there.
        settings: what each line says about the models.

    Raises:
        UserError: the file cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise UserError(f"--transcript {path}: cannot be written to ({error.strerror})") from error
    lock = threading.Lock()

    def keep(response: Response) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"time": now, **response.as_record(), "settings": settings}
        with lock, path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")

    return keep
