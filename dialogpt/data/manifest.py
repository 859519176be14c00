"""What stands beside the shards of a split: their counts, checksums and tokenizer.

The manifest is written last, so that its presence means that the split is whole. docs/shards.md
describes every key.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.records import write_json
from dialogpt.text import TEXT_RULES
from dialogpt.tokenization import Tokenizer

FORMAT_NAME = "dialogpt-shards"
FORMAT_VERSION = 2
_READABLE_VERSIONS = (1, 2)
"""Version 1 does not say which turns neighbours share."""
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardInfo:
    """What a finished shard holds.

    Attributes:
        name: file name without ending, e.g. `shard-00000`.
        num_dialogues, num_turns, num_tokens: counts; tokens of turns only, end-of-turn tokens and
            knowledge apart.
        num_words: blank-separated words of all turns.
        num_chunks: entries of the LMDB file.
        chunk_dialogues: dialogues in each chunk but the last, which may hold fewer.
        num_bytes: size of the LMDB file.
        sha256: file ending -> checksum.
    """

    name: str
    num_dialogues: int
    num_turns: int
    num_tokens: int
    num_words: int
    num_chunks: int
    chunk_dialogues: int
    num_bytes: int
    sha256: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A split's description: `read_manifest` checks it, so whoever holds one can trust it."""

    split: str
    tokenizer_kind: str
    tokenizer_fingerprint: str
    vocab_size: int
    eos_id: int
    text_rules: str
    shards: tuple[ShardInfo, ...]
    format_version: int = FORMAT_VERSION
    """Of the oldest of the shards."""

    @property
    def num_dialogues(self) -> int:
        """Dialogues of all shards."""
        return sum(shard.num_dialogues for shard in self.shards)

    @property
    def num_tokens(self) -> int:
        """Tokens of all turns of all shards, end-of-turn tokens apart."""
        return sum(shard.num_tokens for shard in self.shards)


def finished_shard(folder: Path, name: str) -> ShardInfo | None:
    """The shard's description if it is whole, else None."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    return ShardInfo(**json.loads(path.read_text(encoding="utf-8")))


def write_manifest(
    folder: Path, split: str, *, tokenizer: Tokenizer, shards: Sequence[ShardInfo]
) -> Manifest:
    """Declare a split whole."""
    manifest = Manifest(
        split=split,
        tokenizer_kind=tokenizer.kind,
        tokenizer_fingerprint=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        eos_id=tokenizer.eos_id,
        text_rules=TEXT_RULES,
        shards=tuple(shards),
    )
    save_manifest(folder, manifest)
    return manifest


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest that there is already, or one that was made from it."""
    others = ("shards", "format_version")
    values = {name: getattr(manifest, name) for name in manifest.__slots__ if name not in others}
    totals = {"num_dialogues": manifest.num_dialogues, "num_tokens": manifest.num_tokens}
    write_json(
        folder / MANIFEST_FILE,
        {
            "format": FORMAT_NAME,
            "version": manifest.format_version,
            **values,
            **totals,
            "shards": [shard.to_json() for shard in manifest.shards],
        },
    )


def read_manifest(folder: Path, *, tokenizer: Tokenizer | None = None) -> Manifest:
    """The manifest of a split's folder, checked.

    Args:
        folder: the split's folder.
        tokenizer: if given, must be the one that the shards were written with.

    Raises:
        UserError: no manifest, another format or version, another tokenizer, or a file whose size
            is not the recorded one.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: expected the manifest of finished shards, found none; "
            "run `python -m data_prep shards` (again, if it was interrupted)"
        )
    values = json.loads(path.read_text(encoding="utf-8"))
    found = (values.pop("format", None), values.pop("version", None))
    if found[0] != FORMAT_NAME or found[1] not in _READABLE_VERSIONS:
        raise UserError(
            f"{path}: expected {FORMAT_NAME} version {FORMAT_VERSION}, found {found[0]} "
            f"version {found[1]}; write the shards again with this version of the project"
        )
    for derived in ("num_dialogues", "num_tokens"):
        values.pop(derived)
    shards = tuple(ShardInfo(**shard) for shard in values.pop("shards"))
    manifest = Manifest(**values, shards=shards, format_version=found[1])
    if tokenizer is not None and tokenizer.fingerprint != manifest.tokenizer_fingerprint:
        raise UserError(
            f"{path}: the shards were written with the {manifest.tokenizer_kind} tokenizer "
            f"{manifest.tokenizer_fingerprint} ({manifest.vocab_size} ids), this is "
            f"{tokenizer.kind} {tokenizer.fingerprint} ({tokenizer.vocab_size} ids); use the "
            "tokenizer saved beside the shards, or write the shards again"
        )
    _check_sizes(folder, shards)
    return manifest


def verify_checksums(folder: Path, manifest: Manifest) -> None:
    """Read every byte and compare with the manifest's checksums; UserError names the bad file."""
    for shard in manifest.shards:
        for ending, expected in shard.sha256.items():
            path = folder / f"{shard.name}.{ending}"
            found = file_sha256(path)
            if found != expected:
                raise UserError(
                    f"{path}: expected sha256 {expected[:16]}..., found {found[:16]}...; the file "
                    "is damaged: copy it again or write the shards again"
                )


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check_sizes(folder: Path, shards: Sequence[ShardInfo]) -> None:
    for shard in shards:
        path = folder / f"{shard.name}.lmdb"
        found = path.stat().st_size if path.is_file() else None
        if found != shard.num_bytes:
            raise UserError(
                f"{path}: expected {shard.num_bytes} bytes, found "
                f"{'no file' if found is None else found}; copy it again or write the shards again"
            )
