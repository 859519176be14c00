"""Purging a folder of shards: whoever reads it finds the old shards, the new ones, or no manifest.

A shard with dialogues that are concerned is written anew, without them, in the same order and
chunks: it is, byte for byte, the shard that `python -m data_prep shards` makes of the purged part.
So its marker may say that it was made of that, and the next `shards` has nothing to do.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from data_prep.dialogues import DIALOGUES_FOLDER
from data_prep.purging import places as purge_places
from data_prep.purging.dialogues import FolderPurge
from data_prep.purging.files import Removal
from data_prep.purging.ids import PurgedIds
from data_prep.purging.places import UNFINISHED, place_for_rest
from data_prep.write_shards import MARKERS_FOLDER, ORIGIN_FILE, TOKENIZER_FOLDER, shard_key
from dialogpt.command_line import UserError, require_folder
from dialogpt.data.manifest import (
    MANIFEST_FILE,
    ShardInfo,
    file_sha256,
    finished_shard,
    read_manifest,
    save_manifest,
)
from dialogpt.data.shards import ShardReader, ShardWriter
from dialogpt.records import SPLITS, Split, write_json
from dialogpt.tokenization import Tokenizer, load_tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class PartChange:
    """A file of dialogues before and after a purge.

    Attributes:
        split, number: which.
        before, after: SHA-256 of the file.
    """

    split: Split
    number: int
    before: str
    after: str


def part_changes(dialogues: Path) -> Iterator[PartChange]:
    """What becomes of all files of dialogues, once `purge_dialogues.prepare` has written the rest.

    Args:
        dialogues: folder of an extraction.
    """
    for split in SPLITS:
        parts = sorted((dialogues / DIALOGUES_FOLDER / split).glob("part-*.parquet"))
        for number, part in enumerate(parts):
            rest = dialogues / UNFINISHED / part.relative_to(dialogues)
            before = file_sha256(part)
            after = file_sha256(rest) if rest.is_file() else before
            yield PartChange(split=split, number=number, before=before, after=after)


def go_on(folder: Path) -> None:
    """Do what is left of an interrupted purge, if there was one; see `purge_places.go_on`.

    Where `shards` has been interrupted in the same place since, files of both may stand side by
    side: such a split loses its manifest, and with that it is refused.
    """
    purge_places.go_on(folder)
    for split in _splits(folder):
        path = folder / split / MANIFEST_FILE
        described = json.loads(path.read_bytes())["shards"] if path.is_file() else []
        # Not by `read_manifest`, which refuses such a split already where sizes differ.
        if any(
            finished_shard(path.parent, shard["name"]) != ShardInfo(**shard) for shard in described
        ):
            path.unlink()


def require_shards(folder: Path) -> None:
    """Raise UserError unless the folder is one of shards."""
    require_folder(folder, "a folder of shards", "check --shards")
    if not _splits(folder):
        raise UserError(
            f"{folder}: expected the output folder of `python -m data_prep shards`, found none of "
            f"the folders {', '.join(SPLITS)} in it; check --shards"
        )


def require_manifests(folder: Path) -> None:
    """Raise UserError unless all shards of the folder are whole."""
    for split in _splits(folder):
        read_manifest(folder / split)


def _splits(folder: Path) -> list[Split]:
    return [split for split in SPLITS if (folder / split).is_dir()]


def prepare(
    folder: Path, ids: PurgedIds, changes: Iterable[PartChange], *, write: bool
) -> FolderPurge:
    """What is to be purged from a folder of shards; its files stay as they are.

    Args:
        folder: of shards.
        ids: of comments and threads.
        changes: of the dialogues that are purged as well.
        write: whether to write what is to take the places of files, for
            `purge_places.put_in_place`; else they are only searched.

    Raises:
        UserError: a file is damaged, or not of the tokenizer beside the shards.
    """
    purge = FolderPurge(folder)
    tokenizer = load_tokenizer(str(folder / TOKENIZER_FOLDER))
    new_keys = _new_keys(folder, changes)
    for split in _splits(folder):
        manifest = read_manifest(folder / split, tokenizer=tokenizer)
        shards = []
        for number, shard in enumerate(
            tqdm(manifest.shards, desc=f"purge {folder / split}", disable=None)
        ):
            rest = place_for_rest(folder, split) if write else None
            with closing(ShardReader(folder / split, shard, vocab_size=manifest.vocab_size)) as old:
                removal, shard = _purge_shard(old, ids, rest, tokenizer)
            purge.add(split, removal)
            shards.append(shard)
            if write:
                _write_marker(folder, split, shard, new_keys.get((split, number), {}))
        if shards != [*manifest.shards]:
            save_manifest(folder / UNFINISHED / split, replace(manifest, shards=tuple(shards)))
    return purge


def _purge_shard(
    reader: ShardReader, ids: PurgedIds, rest: Path | None, tokenizer: Tokenizer
) -> tuple[Removal, ShardInfo]:
    """What goes from a shard; and the shard as it will be, written to a folder if one is given."""
    info = reader.info
    concerned = [ids.in_chunk(reader.read_chunk(number)) for number in range(info.num_chunks)]
    num_removed = sum(int(of_chunk.sum()) for of_chunk in concerned)
    removal = Removal(num_before=info.num_dialogues, num_removed=num_removed)
    if not removal or rest is None:
        return removal, info
    writer = ShardWriter(rest, info.name, tokenizer=tokenizer, chunk_dialogues=info.chunk_dialogues)
    for number, of_chunk in enumerate(concerned):
        dialogues = reader.read_chunk(number).dialogues()
        for dialogue, goes in zip(dialogues, of_chunk.tolist(), strict=True):
            if not goes:
                writer.add(dialogue)
    return removal, writer.close()


def _new_keys(
    folder: Path, changes: Iterable[PartChange]
) -> dict[tuple[Split, int], dict[str, str]]:
    """Split and number of a shard -> its key if it was made of a part -> the same after the purge.

    See `write_shards.write_shards` for what the key stands for.
    """
    path = folder / ORIGIN_FILE
    origin = json.loads(path.read_bytes()) if path.is_file() else {}
    keys: dict[tuple[Split, int], dict[str, str]] = {}
    for change in changes:
        of_shard = keys.setdefault((change.split, change.number), {})
        of_shard[shard_key(origin, change.before)] = shard_key(origin, change.after)
    return keys


def _write_marker(
    folder: Path, split: Split, shard: ShardInfo, new_keys: Mapping[str, str]
) -> None:
    """Write what vouches for a shard towards `shards`, if it is to change."""
    name = f"{MARKERS_FOLDER}/{split}/{shard.name}.json"
    if not (folder / name).is_file():
        return
    before = json.loads((folder / name).read_bytes())
    key = before["key"]
    after = {"key": new_keys.get(key, key), "result": shard.to_json()}
    if after != before:
        write_json(place_for_rest(folder, name), after)
