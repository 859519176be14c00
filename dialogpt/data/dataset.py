"""Dialogues of a split by number, read from shards that each process opens for itself."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dialogpt.data.manifest import Manifest
from dialogpt.data.shards import ShardReader
from dialogpt.records import EncodedDialogue

IndexedDialogue = tuple[int, EncodedDialogue]


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
        chunk_starts: (chunks + 1,) int64, number of the first dialogue of each chunk, then the
            number of dialogues.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, max_dialogues: int = 0, cached_chunks: int = 128
    ) -> None:
        self._readers = [
            ShardReader(folder, shard, vocab_size=manifest.vocab_size) for shard in manifest.shards
        ]
        self._cached_chunks = cached_chunks
        self._cache: OrderedDict[int, tuple[EncodedDialogue, ...]] = OrderedDict()
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
        # 16 bits where they do: this is the one array as long as the corpus that every rank holds.
        dtype = np.uint16 if max_seq_len < 2**16 else np.uint32
        pieces = [np.minimum(r.sizes[:, 0], max_seq_len).astype(dtype) for r in self._readers]
        return np.concatenate(pieces or [np.zeros(0, dtype)])[: len(self)]

    def __getitem__(self, index: int) -> IndexedDialogue:
        if not 0 <= index < len(self):
            raise IndexError(f"dialogue {index} of {len(self)}")
        chunk = bisect_right(self._starts, index) - 1
        return index, self._chunk(chunk)[index - self._starts[chunk]]

    def __getitems__(self, indices: Sequence[int]) -> list[IndexedDialogue]:
        """The dialogues of a batch, in the order asked for; torch's fetcher calls this."""
        return [self[index] for index in indices]

    def _chunk(self, number: int) -> tuple[EncodedDialogue, ...]:
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        shard, chunk = self._places[number]
        dialogues = tuple(self._readers[shard].read_chunk(chunk).dialogues())
        self._cache[number] = dialogues
        if len(self._cache) > self._cached_chunks:
            self._cache.popitem(last=False)
        return dialogues

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict()}
