"""Dialogues of a split by number, read from shards that each process opens for itself."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dialogpt.command_line import UserError
from dialogpt.data.chunks import Chunk, gather, in_columns
from dialogpt.data.manifest import Manifest
from dialogpt.data.shards import ShardReader
from dialogpt.records import EncodedDialogue

IndexedDialogue = tuple[int, EncodedDialogue]


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexedDialogues:
    """The dialogues of a micro-batch.

    Attributes:
        indices: number of each in the split.
        columns: the dialogues, in the same order.
    """

    indices: Sequence[int]
    columns: Chunk


def in_indexed_columns(dialogues: Sequence[IndexedDialogue]) -> IndexedDialogues:
    """The same dialogues in columns."""
    return IndexedDialogues(
        indices=[index for index, _ in dialogues],
        columns=in_columns([dialogue for _, dialogue in dialogues]),
    )


class ShardDataset(Dataset[IndexedDialogue]):
    """The dialogues of all shards of a split, numbered through.

    Safe to send to worker processes: databases are opened on first use, by whoever reads.

    Args:
        folder: the split's folder.
        manifest: what `read_manifest` returned for it.
        max_dialogues: take the first so many; 0 takes all.
        cached_chunks: decompressed chunks kept per process. Batches draw from a window of chunks in
            any order, so this must be no less than the window, or chunks are decompressed over and
            over.

    Attributes:
        folder: as given.
        chunk_starts: (chunks + 1,) int64, number of the first dialogue of each chunk, then the
            number of dialogues.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, max_dialogues: int = 0, cached_chunks: int = 128
    ) -> None:
        self.folder = folder
        self._readers = [
            ShardReader(folder, shard, vocab_size=manifest.vocab_size) for shard in manifest.shards
        ]
        self._cached_chunks = cached_chunks
        self._cache: OrderedDict[int, tuple[Chunk, list[list[int]]]] = OrderedDict()
        starts: list[int] = []
        self._places: list[tuple[int, int]] = []  # chunk -> shard, number of the chunk in it
        offset = 0
        for shard_number, shard in enumerate(manifest.shards):
            for chunk in range(shard.num_chunks):
                starts.append(offset + chunk * shard.chunk_dialogues)
                self._places.append((shard_number, chunk))
            offset += shard.num_dialogues
        num_dialogues = min(offset, max_dialogues) if max_dialogues else offset
        starts = [start for start in starts if start < num_dialogues]
        self.chunk_starts = np.array([*starts, num_dialogues], dtype=np.int64)
        self._starts = starts

    def __len__(self) -> int:
        return int(self.chunk_starts[-1])

    def row_lengths(self, max_seq_len: int) -> NDArray[Any]:
        """(dialogues,) uint16 or uint32: tokens a row has at most, read from the index alone.

        A truncated row may be shorter, because turns are dropped whole.
        """
        dtype = _length_dtype(max_seq_len)
        pieces = [np.minimum(r.sizes[:, 0], max_seq_len).astype(dtype) for r in self._readers]
        return np.concatenate(pieces or [np.zeros(0, dtype)])[: len(self)]

    def shared_lengths(self, max_seq_len: int) -> NDArray[Any]:
        """(dialogues,) uint16 or uint32: tokens of each row that the row before begins with too.

        Raises:
            UserError: the shards do not say.
        """
        pieces = [_shared(reader, max_seq_len) for reader in self._readers]
        return np.concatenate(pieces or [np.zeros(0, np.uint16)])[: len(self)]

    def __getitem__(self, index: int) -> IndexedDialogue:
        if not 0 <= index < len(self):
            raise IndexError(f"dialogue {index} of {len(self)}")
        (dialogue,) = self.__getitems__([index]).columns.dialogues()
        return index, dialogue

    def __getitems__(self, indices: Sequence[int]) -> IndexedDialogues:
        """The dialogues of a batch, in the order asked for; torch's fetcher calls this."""
        numbers = self.chunk_numbers(indices)
        chunks = {number: self._chunk(number) for number in dict.fromkeys(numbers)}
        sources = [
            (*chunks[number], index - self._starts[number])
            for index, number in zip(indices, numbers, strict=True)
        ]
        return IndexedDialogues(indices=indices, columns=gather(sources))

    def sizes(self) -> list[NDArray[np.uint32]]:
        """Of each shard, what `ShardReader.sizes` says."""
        return [reader.sizes for reader in self._readers]

    def chunk_numbers(self, indices: Sequence[int]) -> list[int]:
        """The chunk of each dialogue."""
        numbers = np.searchsorted(self.chunk_starts[:-1], indices, "right") - 1
        return [int(number) for number in numbers]

    def chunk(self, number: int) -> Chunk:
        """A whole chunk, which may go on behind the last dialogue of this data set."""
        return self._chunk(number)[0]

    def num_chunks(self) -> int:
        """Chunks that hold its dialogues."""
        return len(self._starts)

    def _chunk(self, number: int) -> tuple[Chunk, list[list[int]]]:
        """A chunk, and where its dialogues begin, for `gather`."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        shard, place = self._places[number]
        chunk = self._readers[shard].read_chunk(place)
        entry = chunk, chunk.starts().tolist()
        self._cache[number] = entry
        if len(self._cache) > self._cached_chunks:
            self._cache.popitem(last=False)
        return entry

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict()}


def _length_dtype(max_seq_len: int) -> type[np.uint16] | type[np.uint32]:
    # 16 bits where they do: such arrays are as long as the corpus, and every rank holds them.
    return np.uint16 if max_seq_len < 2**16 else np.uint32


def _shared(reader: ShardReader, max_seq_len: int) -> NDArray[Any]:
    sizes = reader.sizes
    if sizes.shape[1] < 3:
        raise UserError(
            f"{reader.sizes_file}: expected shards that say which turns dialogues share, found "
            "those of format version 1; run `python -m data_prep shards` again, which replaces "
            "them, or take batch.layout packed"
        )
    # A row that is shortened begins elsewhere: neither it nor the one after it can share.
    is_whole = sizes[:, 0] <= max_seq_len
    is_whole[1:] &= is_whole[:-1].copy()
    return np.where(is_whole, sizes[:, 2], 0).astype(_length_dtype(max_seq_len))
