"""Shards in LMDB: turns as token ids, the only border between data_prep and dialogpt.

A split is a folder:

    manifest.json          written last; see `dialogpt.data.manifest`
    shard-00000.lmdb       chunk number (4 bytes, big-endian) -> zstd frame with checksum, holding
                           what `dialogpt.data.chunks` packs
    shard-00000.sizes.npy  (dialogues, 3) uint32: tokens with one end-of-turn token a turn, tokens
                           of knowledge, and how many of the first the dialogue shares with the one
                           before it, as a path of the same tree; memory-mapped, so that batches are
                           planned without touching the data
    shard-00000.json       the shard's counts and checksums, written when the shard is whole
"""

from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import zstandard
from numpy.typing import NDArray

from dialogpt.command_line import UserError
from dialogpt.data.chunks import Chunk, pack_chunk, unpack_chunk
from dialogpt.data.manifest import ShardInfo, file_sha256
from dialogpt.records import EncodedDialogue, write_json
from dialogpt.tokenization import Tokenizer

_COMPRESSION_LEVEL = 3
_FIRST_MAP_SIZE = 64 * 2**20


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
        self._vocab_size = tokenizer.vocab_size
        self._compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_checksum=True)
        self._pending: list[EncodedDialogue] = []
        self._before: EncodedDialogue | None = None
        self._sizes: list[tuple[int, int, int]] = []
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
            ValueError: a token id of the chunk that this fills is outside the vocabulary.
        """
        self._pending.append(dialogue)
        num_tokens = sum(map(len, dialogue.turns))
        num_knowledge_tokens = sum(map(len, dialogue.knowledge))
        shared = num_shared_tokens(self._before, dialogue)
        self._sizes.append((num_tokens + len(dialogue.turns), num_knowledge_tokens, shared))
        self._before = dialogue
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
        sizes = np.array(self._sizes, dtype="<u4").reshape(-1, 3)
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
        value = self._compressor.compress(pack_chunk(self._pending, self._vocab_size))
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

    Attributes:
        sizes_file: where `sizes` come from.
    """

    def __init__(self, folder: Path, info: ShardInfo, *, vocab_size: int) -> None:
        self.info = info
        self._database, self.sizes_file = _shard_files(folder, info.name)
        self._vocab_size = vocab_size
        self._environment: Any = None
        self._sizes: NDArray[np.uint32] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # An LMDB environment must not cross a fork, and cannot be pickled.
        return {**self.__dict__, "_environment": None, "_sizes": None}

    @property
    def sizes(self) -> NDArray[np.uint32]:
        """(dialogues, 3) uint32, memory-mapped.

        Tokens with end-of-turn tokens; tokens of knowledge; tokens that the dialogue before has
        too, a column that shards of version 1 lack.
        """
        if self._sizes is None:
            if not self.sizes_file.is_file():
                raise UserError(f"{self.sizes_file}: missing; write the shards again")
            self._sizes = np.load(self.sizes_file, mmap_mode="r", allow_pickle=False)
        return self._sizes

    def read_chunk(self, number: int) -> Chunk:
        """Chunk `number`, decompressed and checked.

        Raises:
            UserError: the file is missing or damaged.
        """
        if self._environment is None:
            if not self._database.is_file():
                raise UserError(f"{self._database}: missing; write the shards again")
            try:
                self._environment = lmdb.open(
                    str(self._database), subdir=False, readonly=True, lock=False, readahead=False
                )
            except lmdb.Error as error:
                raise UserError(
                    f"{self._database}: damaged ({error}); unless it is open in "
                    "this process already, write the shards again"
                ) from error
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
        return unpack_chunk(payload, self._vocab_size)

    def close(self) -> None:
        """Close the database, if open; it opens again when read."""
        if self._environment is not None:
            self._environment.close()
            self._environment = None


def num_shared_tokens(before: EncodedDialogue | None, dialogue: EncodedDialogue) -> int:
    """Tokens of the turns with which both begin, one end-of-turn token a turn included."""
    if before is None or before.thread_key != dialogue.thread_key:
        return 0
    shared = 0
    same_keys = before.turn_keys[: len(dialogue.turns)] == dialogue.turn_keys[: len(before.turns)]
    for is_same, left, right in zip(same_keys, before.turns, dialogue.turns, strict=False):
        if not is_same or not np.array_equal(left, right):
            break
        shared += len(right) + 1
    return shared


def _shard_files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.lmdb", folder / f"{name}.sizes.npy"
