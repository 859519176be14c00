"""The shard format: turns as token ids in LMDB, the only border between data_prep and dialogpt.

A split is a folder:

    manifest.json          written last: version, tokenizer, counts, checksums; its presence means
                           that the split is whole
    shard-00000.lmdb       chunk number (4 bytes, big-endian) -> zstd frame with checksum
    shard-00000.sizes.npy  (dialogues, 2) uint32: tokens with one end-of-turn token a turn, and
                           tokens of knowledge; memory-mapped, so that batches are planned without
                           touching the data
    shard-00000.json       the shard's counts and checksums, written when the shard is whole

A chunk is a header of little-endian uint32 (dialogues, turns, knowledge sentences, tokens) and then
the arrays of `Chunk`, each in one piece: columns compress better than records and are read
without a Python object a turn. Nothing is pickled. docs/shards.md has the byte layout.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, get_args

import lmdb
import numpy as np
import zstandard
from numpy.typing import NDArray

from dialogpt.command_line import UserError
from dialogpt.records import EncodedDialogue, write_json
from dialogpt.text import TEXT_RULES
from dialogpt.tokenization import Tokenizer

FORMAT_NAME = "dialogpt-shards"
FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_HEADER_BYTES = 16
_COMPRESSION_LEVEL = 3
_FIRST_MAP_SIZE = 64 * 2**20


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

    @property
    def num_dialogues(self) -> int:
        """Dialogues of all shards."""
        return sum(shard.num_dialogues for shard in self.shards)

    @property
    def num_tokens(self) -> int:
        """Tokens of all turns of all shards, end-of-turn tokens apart."""
        return sum(shard.num_tokens for shard in self.shards)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some dialogues in columns; `dialogue(i)` is a view without copies.

    Shapes: D dialogues, S segments (for each dialogue its knowledge sentences, then its turns),
    U turns, N tokens.
    """

    thread_keys: NDArray[np.uint64]
    """(D,)"""
    num_turns: NDArray[np.uint32]
    """(D,)"""
    num_knowledge: NDArray[np.uint32]
    """(D,)"""
    segment_lengths: NDArray[np.uint32]
    """(S,) tokens"""
    turn_keys: NDArray[np.uint64]
    """(U,)"""
    num_words: NDArray[np.uint32]
    """(U,)"""
    num_chars: NDArray[np.uint32]
    """(U,)"""
    speakers: NDArray[np.int8]
    """(U,)"""
    tokens: NDArray[Any]
    """(N,) uint16 or uint32"""

    def __len__(self) -> int:
        return len(self.num_turns)

    def dialogues(self) -> Iterator[EncodedDialogue]:
        """All dialogues of the chunk, in order."""
        token_ends = [0, *accumulate(self.segment_lengths.tolist())]
        segment = turn = 0
        counts = zip(self.num_knowledge.tolist(), self.num_turns.tolist(), strict=True)
        for index, (num_knowledge, num_turns) in enumerate(counts):
            pieces = tuple(
                self.tokens[token_ends[s] : token_ends[s + 1]]
                for s in range(segment, segment + num_knowledge + num_turns)
            )
            turns = slice(turn, turn + num_turns)
            yield EncodedDialogue(
                turns=pieces[num_knowledge:],
                speakers=self.speakers[turns],
                num_words=self.num_words[turns],
                num_chars=self.num_chars[turns],
                turn_keys=self.turn_keys[turns],
                thread_key=int(self.thread_keys[index]),
                knowledge=pieces[:num_knowledge],
            )
            segment += num_knowledge + num_turns
            turn += num_turns


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The narrowest of uint16 and uint32 that holds every id."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


class ShardWriter:
    """Writes one shard; nothing of it has its final name before `close`.

    Args:
        folder: the split's folder; made if absent.
        name: e.g. `shard-00000`.
        tokenizer: gives the vocabulary size and so the width of an id.
        chunk_dialogues: dialogues in a chunk.
    """

    def __init__(
        self, folder: Path, name: str, *, tokenizer: Tokenizer, chunk_dialogues: int = 512
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._chunk_dialogues = chunk_dialogues
        self._dtype = token_dtype(tokenizer.vocab_size)
        self._vocab_size = tokenizer.vocab_size
        self._compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_checksum=True)
        self._pending: list[EncodedDialogue] = []
        self._sizes: list[tuple[int, int]] = []
        self._num_chunks = self._num_turns = self._num_words = 0
        self._unfinished = folder / f"{name}.lmdb.unfinished"
        self._unfinished.unlink(missing_ok=True)
        self._map_size = _FIRST_MAP_SIZE
        self._environment = lmdb.open(
            str(self._unfinished),
            subdir=False,
            map_size=self._map_size,
            lock=False,
            sync=False,
            meminit=True,  # no stale memory in the file: the same input gives the same bytes
        )

    def add(self, dialogue: EncodedDialogue) -> None:
        """Append one dialogue.

        Raises:
            ValueError: a token id is outside the vocabulary.
        """
        for piece in (*dialogue.turns, *dialogue.knowledge):
            if len(piece) and not 0 <= int(piece.min()) <= int(piece.max()) < self._vocab_size:
                raise ValueError(f"token id outside [0, {self._vocab_size}) in {piece!r}")
        self._pending.append(dialogue)
        num_tokens = sum(map(len, dialogue.turns))
        num_knowledge_tokens = sum(map(len, dialogue.knowledge))
        self._sizes.append((num_tokens + len(dialogue.turns), num_knowledge_tokens))
        self._num_turns += len(dialogue.turns)
        self._num_words += int(dialogue.num_words.sum())
        if len(self._pending) == self._chunk_dialogues:
            self._flush()

    def close(self) -> ShardInfo:
        """Write what is left and give the files their names; the .json comes last."""
        self._flush()
        self._environment.sync(True)
        self._environment.close()
        database, sizes_file = _shard_files(self._folder, self._name)
        self._unfinished.replace(database)
        sizes = np.array(self._sizes, dtype="<u4").reshape(-1, 2)
        unfinished_sizes = sizes_file.with_name(sizes_file.name + ".unfinished")
        with unfinished_sizes.open("wb") as output:
            np.save(output, sizes, allow_pickle=False)
        unfinished_sizes.replace(sizes_file)
        info = ShardInfo(
            name=self._name,
            num_dialogues=len(sizes),
            num_turns=self._num_turns,
            num_tokens=int(sizes[:, 0].sum(dtype=np.int64)) - self._num_turns,
            num_words=self._num_words,
            num_chunks=self._num_chunks,
            chunk_dialogues=self._chunk_dialogues,
            num_bytes=database.stat().st_size,
            sha256={"lmdb": file_sha256(database), "sizes.npy": file_sha256(sizes_file)},
        )
        write_json(self._folder / f"{self._name}.json", info.to_json())
        return info

    def _flush(self) -> None:
        if not self._pending:
            return
        value = self._compressor.compress(_pack_chunk(self._pending, self._dtype))
        key = self._num_chunks.to_bytes(4, "big")
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    transaction.put(key, value, append=True)
                break
            except lmdb.MapFullError:
                self._map_size *= 2
                self._environment.set_mapsize(self._map_size)
        self._num_chunks += 1
        self._pending = []


class ShardReader:
    """Reads one shard. Opens LMDB on first use, so it can be sent to a worker process.

    Args:
        folder: the split's folder.
        info: the shard's entry in the manifest.
        vocab_size: the manifest's; gives the width of an id.
    """

    def __init__(self, folder: Path, info: ShardInfo, *, vocab_size: int) -> None:
        self.info = info
        self._database, self._sizes_file = _shard_files(folder, info.name)
        self._dtype = token_dtype(vocab_size)
        self._environment: Any = None
        self._sizes: NDArray[np.uint32] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # An LMDB environment must not cross a fork, and cannot be pickled.
        return {**self.__dict__, "_environment": None, "_sizes": None}

    @property
    def sizes(self) -> NDArray[np.uint32]:
        """(dialogues, 2) uint32, memory-mapped: tokens with end-of-turn tokens, knowledge."""
        if self._sizes is None:
            if not self._sizes_file.is_file():
                raise UserError(f"{self._sizes_file}: missing; write the shards again")
            self._sizes = np.load(self._sizes_file, mmap_mode="r", allow_pickle=False)
        return self._sizes

    def read_chunk(self, number: int) -> Chunk:
        """Chunk `number`, decompressed and checked.

        Raises:
            UserError: the file is missing or damaged.
        """
        if self._environment is None:
            if not self._database.is_file():
                raise UserError(f"{self._database}: missing; write the shards again")
            self._environment = lmdb.open(
                str(self._database), subdir=False, readonly=True, lock=False, readahead=False
            )
        try:
            with self._environment.begin(buffers=True) as transaction:
                value = transaction.get(number.to_bytes(4, "big"))
                if value is None:
                    raise UserError(
                        f"{self._database}: expected {self.info.num_chunks} chunks, found no "
                        f"chunk {number}; write the shards again"
                    )
                payload = zstandard.ZstdDecompressor().decompress(value)
        except (zstandard.ZstdError, lmdb.Error) as error:
            raise UserError(
                f"{self._database}: chunk {number} is damaged ({error}); write the shards again"
            ) from error
        return _unpack_chunk(payload, self._dtype)

    def close(self) -> None:
        """Close the database, if open; it opens again when read."""
        if self._environment is not None:
            self._environment.close()
            self._environment = None


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
    values = {name: getattr(manifest, name) for name in manifest.__slots__ if name != "shards"}
    totals = {"num_dialogues": manifest.num_dialogues, "num_tokens": manifest.num_tokens}
    write_json(
        folder / MANIFEST_FILE,
        {
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            **values,
            **totals,
            "shards": [shard.to_json() for shard in shards],
        },
    )
    return manifest


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
    if found != (FORMAT_NAME, FORMAT_VERSION):
        raise UserError(
            f"{path}: expected {FORMAT_NAME} version {FORMAT_VERSION}, found {found[0]} "
            f"version {found[1]}; write the shards again with this version of the project"
        )
    for derived in ("num_dialogues", "num_tokens"):
        values.pop(derived)
    shards = tuple(ShardInfo(**shard) for shard in values.pop("shards"))
    manifest = Manifest(**values, shards=shards)
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


def _shard_files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.lmdb", folder / f"{name}.sizes.npy"


def _check_sizes(folder: Path, shards: Sequence[ShardInfo]) -> None:
    for shard in shards:
        path = folder / f"{shard.name}.lmdb"
        found = path.stat().st_size if path.is_file() else None
        if found != shard.num_bytes:
            raise UserError(
                f"{path}: expected {shard.num_bytes} bytes, found "
                f"{'no file' if found is None else found}; copy it again or write the shards again"
            )


def _pack_chunk(dialogues: Sequence[EncodedDialogue], dtype: np.dtype[Any]) -> bytes:
    segments = [piece for d in dialogues for piece in (*d.knowledge, *d.turns)]
    columns: list[tuple[Any, Any]] = [
        ([d.thread_key for d in dialogues], "<u8"),
        ([len(d.turns) for d in dialogues], "<u4"),
        ([len(d.knowledge) for d in dialogues], "<u4"),
        ([len(piece) for piece in segments], "<u4"),
        (np.concatenate([d.turn_keys for d in dialogues]), "<u8"),
        (np.concatenate([d.num_words for d in dialogues]), "<u4"),
        (np.concatenate([d.num_chars for d in dialogues]), "<u4"),
        (np.concatenate([d.speakers for d in dialogues]), "i1"),
        (np.concatenate([np.asarray(p).astype(dtype) for p in segments]), dtype),
    ]
    arrays = [np.asarray(values, dtype=kind) for values, kind in columns]
    num_turns, num_knowledge = int(arrays[1].sum()), int(arrays[2].sum())
    header = np.array([len(dialogues), num_turns, num_knowledge, len(arrays[-1])], dtype="<u4")
    return header.tobytes() + b"".join(array.tobytes() for array in arrays)


def _unpack_chunk(payload: bytes, dtype: np.dtype[Any]) -> Chunk:
    header = np.frombuffer(payload, dtype="<u4", count=4)
    num_dialogues, num_turns, num_knowledge, num_tokens = map(int, header)
    layout: list[tuple[Any, int]] = [
        ("<u8", num_dialogues),
        ("<u4", num_dialogues),
        ("<u4", num_dialogues),
        ("<u4", num_turns + num_knowledge),
        ("<u8", num_turns),
        ("<u4", num_turns),
        ("<u4", num_turns),
        ("i1", num_turns),
        (dtype, num_tokens),
    ]
    arrays = []
    offset = _HEADER_BYTES
    for kind, count in layout:
        arrays.append(np.frombuffer(payload, dtype=kind, count=count, offset=offset))
        offset += count * np.dtype(kind).itemsize
    assert offset == len(payload)
    return Chunk(*arrays)
