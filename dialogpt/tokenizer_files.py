"""What all kinds of tokenizers do with their files: a fingerprint, a description, named errors."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from dialogpt.command_line import UserError
from dialogpt.records import write_json

DESCRIPTION_FILE = "dialogpt_tokenizer.json"


class Described(Protocol):
    """What a description says; `dialogpt.tokenization.Tokenizer` says what it means."""

    kind: str
    vocab_size: int
    eos_id: int
    fingerprint: str


def content_fingerprint(kind: str, content: bytes) -> str:
    """16 hexadecimal digits of all that says what the ids of a tokenizer mean."""
    return hashlib.sha256(kind.encode() + b"\0" + content).hexdigest()[:16]


def write_description(folder: Path, tokenizer: Described) -> None:
    """Write what a reader of the folder may want to know; loading does not need it."""
    names = ("kind", "vocab_size", "eos_id", "fingerprint")
    write_json(folder / DESCRIPTION_FILE, {name: getattr(tokenizer, name) for name in names})


@contextmanager
def broken_files_named(files: str, whose: str) -> Iterator[None]:
    """Say of which files a tokenizer cannot be made.

    Args:
        files: those that are read meanwhile.
        whose: kind they should be of, say "GPT-2's".

    Raises:
        UserError: for whatever a file that is no such tokenizer makes its reader raise.
    """
    try:
        yield
    except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{files}: not a tokenizer of {whose} kind ({error}); fetch the files again or name "
            "another tokenizer"
        ) from error
