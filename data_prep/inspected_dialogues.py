"""Dialogues to look at, one by one: in the files of `extract` and `import`, or in shards."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from data_prep.dialogues import dialogues_of, num_dialogues, part_files, read_dialogues, read_part
from data_prep.encode import encode_dialogues
from dialogpt.command_line import require_folder
from dialogpt.data.manifest import ShardInfo, read_manifest
from dialogpt.data.shards import ShardReader
from dialogpt.records import EncodedDialogue, Split
from dialogpt.text import record_key
from dialogpt.tokenization import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectedDialogue:
    """A dialogue as text and as token ids.

    Attributes:
        encoded: what a model's row is made of.
        turns, knowledge: texts.
        turn_ids, thread_id: where they come from; "" in shards, which hold hashes of them.
    """

    encoded: EncodedDialogue
    turns: tuple[str, ...]
    knowledge: tuple[str, ...]
    turn_ids: tuple[str, ...]
    thread_id: str


class Dialogues(Protocol):
    """The dialogues of a split, numbered from 0."""

    def __len__(self) -> int: ...

    def at(self, number: int) -> InspectedDialogue:
        """One of them; number must be below the length."""
        ...

    def with_id(self, record_id: str) -> Iterator[int]:
        """Numbers of the dialogues with a turn or thread of this id."""
        ...

    def with_text(self, text: str) -> Iterator[int]:
        """Numbers of the dialogues with this text in a turn, in any case."""
        ...


class DialogueFiles:
    """The dialogues of Parquet files.

    Args:
        folder: what `extract` or `import` wrote.
        split: which split.
        tokenizer: turns texts into ids.

    Raises:
        UserError: the folder holds no finished dialogues.
    """

    def __init__(self, folder: Path, split: Split, tokenizer: Tokenizer) -> None:
        require_folder(folder, "dialogues", "run `python -m data_prep extract` or `import` first")
        self._folder, self._split, self._tokenizer = folder, split, tokenizer
        self._parts = [(path, num_dialogues(path)) for path in part_files(folder, split)]

    def __len__(self) -> int:
        return sum(size for _, size in self._parts)

    def at(self, number: int) -> InspectedDialogue:
        """One of them; the rows before it in its file are passed over."""
        for path, size in self._parts:
            if number < size:
                return self._inspected(_row(path, number))
            number -= size
        raise IndexError(number)

    def with_id(self, record_id: str) -> Iterator[int]:
        """Numbers of the dialogues with a turn or thread of this id."""
        for number, row in self._rows("turn_ids", "thread_id"):
            if record_id in row["turn_ids"] or record_id == row["thread_id"]:
                yield number

    def with_text(self, text: str) -> Iterator[int]:
        """Numbers of the dialogues with this text in a turn, in any case."""
        wanted = text.casefold()
        for number, row in self._rows("turns"):
            if any(wanted in turn.casefold() for turn in row["turns"]):
                yield number

    def _rows(self, *columns: str) -> Iterator[tuple[int, dict[str, Any]]]:
        number = 0
        for batch in read_dialogues(self._folder, self._split):
            for row in batch.select(list(columns)).to_pylist():
                yield number, row
                number += 1

    def _inspected(self, row: pa.RecordBatch) -> InspectedDialogue:
        dialogue = next(dialogues_of(row))
        return InspectedDialogue(
            encoded=encode_dialogues([dialogue], self._tokenizer)[0],
            turns=dialogue.turns,
            knowledge=dialogue.knowledge,
            turn_ids=dialogue.turn_ids,
            thread_id=dialogue.thread_id,
        )


class DialogueShards:
    """The dialogues of shards.

    Args:
        folder: of one split.
        tokenizer: the one that is saved beside the splits.

    Raises:
        UserError: the shards are not whole, or of another tokenizer.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        manifest = read_manifest(folder, tokenizer=tokenizer)
        self._tokenizer = tokenizer
        self._shards = [
            (info, ShardReader(folder, info, vocab_size=manifest.vocab_size))
            for info in manifest.shards
        ]

    def __len__(self) -> int:
        return sum(info.num_dialogues for info, _ in self._shards)

    def at(self, number: int) -> InspectedDialogue:
        """One of them; its chunk alone is read."""
        for info, reader in self._shards:
            if number < info.num_dialogues:
                chunk, place = divmod(number, info.chunk_dialogues)
                with closing(reader):
                    return self._inspected(list(reader.read_chunk(chunk).dialogues())[place])
            number -= info.num_dialogues
        raise IndexError(number)

    def with_id(self, record_id: str) -> Iterator[int]:
        """Numbers of the dialogues with a turn or thread of this id."""
        key = record_key(record_id)
        for number, dialogue in enumerate(self._dialogues()):
            if dialogue.thread_key == key or bool(np.any(dialogue.turn_keys == np.uint64(key))):
                yield number

    def with_text(self, text: str) -> Iterator[int]:
        """Numbers of the dialogues with this text in a turn, in any case."""
        wanted = text.casefold()
        for number, dialogue in enumerate(self._dialogues()):
            if any(wanted in self._text(turn.tolist()).casefold() for turn in dialogue.turns):
                yield number

    def _dialogues(self) -> Iterator[EncodedDialogue]:
        for info, reader in self._shards:
            yield from _all_of(info, reader)

    def _text(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids)

    def _inspected(self, encoded: EncodedDialogue) -> InspectedDialogue:
        return InspectedDialogue(
            encoded=encoded,
            turns=tuple(self._text(turn.tolist()) for turn in encoded.turns),
            knowledge=tuple(self._text(sentence.tolist()) for sentence in encoded.knowledge),
            turn_ids=("",) * len(encoded.turns),
            thread_id="",
        )


def _row(path: Path, number: int) -> pa.RecordBatch:
    for batch in read_part(path):
        if number < batch.num_rows:
            return batch.slice(number, 1)
        number -= batch.num_rows
    raise IndexError(number)


def _all_of(info: ShardInfo, reader: ShardReader) -> Iterator[EncodedDialogue]:
    # Not left to whoever drops the reader last: LMDB opens no file a second time in a process.
    with closing(reader):
        for chunk in range(info.num_chunks):
            yield from reader.read_chunk(chunk).dialogues()
