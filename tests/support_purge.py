"""A folder of dialogues and shards to purge, and ways to look at what is left."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import zstandard
from support_dialogues import WORDS, write_dialogues

from data_prep.config import ShardsConfig
from data_prep.dialogues import dialogues_of, read_dialogues
from data_prep.ids import base36
from data_prep.purging.command import PurgeConfig, main
from data_prep.write_shards import write_shards
from dialogpt.data.manifest import finished_shard, read_manifest, verify_checksums
from dialogpt.data.shards import ShardReader
from dialogpt.records import SPLITS, Dialogue, EncodedDialogue
from dialogpt.tokenization import load_tokenizer, train_sentencepiece

ROOT = Path(__file__).parent.parent
CHUNK_DIALOGUES = 4
PURGED = ["t1_2f", "t1_1a", "t3_3"]
"""Comments of two threads, and a third thread; see `conversations`."""
NOT_THERE = ["t1_zzzz", "t3_zzzz"]


def conversations(first: int, number: int) -> list[Dialogue]:
    """Dialogues of two to four turns, four of a thread, which share their first turn.

    Thread n holds the comments from 36 n on, so t1_2f is in t3_2. A turn spells its own id.
    """
    dialogues = []
    for row in range(first, first + number):
        thread = row // 4
        numbers = [
            36 * thread,
            *(36 * thread + 1 + 8 * (row % 4) + turn for turn in range(row % 3)),
        ]
        numbers.append(36 * thread + 8 * (row % 4) + 7)
        names = [base36(comment_number) for comment_number in numbers]
        texts = [f"{WORDS[row % len(WORDS)]} said{name}said to you" for name in names]
        dialogues.append(
            Dialogue(
                turns=tuple(texts),
                speakers=tuple(turn % 2 for turn in range(len(texts))),
                turn_ids=tuple(f"t1_{name}" for name in names),
                thread_id=f"t3_{base36(thread)}",
            )
        )
    return dialogues


def make_tokenizer(folder: Path) -> Path:
    texts = [turn for dialogue in conversations(0, 60) for turn in dialogue.turns]
    train_sentencepiece(texts, folder, vocab_size=310)
    return folder


def make_shards(folder: Path, tokenizer: Path) -> None:
    """Make the shards of the dialogues in a folder beside them."""
    write_shards(
        ShardsConfig(
            dialogues=str(folder / "extracted"),
            tokenizer=str(tokenizer),
            output=str(folder / "shards"),
            chunk_dialogues=CHUNK_DIALOGUES,
            num_workers=1,
        )
    )


def make_folder(folder: Path, tokenizer: Path) -> None:
    """Make `extracted` and `shards`; the second part of train holds nothing of PURGED."""
    parts = {
        "train": [conversations(0, 14), conversations(40, 9)],
        "valid": [conversations(14, 5), []],
    }
    write_dialogues(folder / "extracted", parts)
    (folder / "extracted" / "extract.json").write_text("{}")
    work = folder / "extracted" / "work" / "spills"
    work.mkdir(parents=True)
    for month in ("2015-01", "2015-02"):
        (work / f"RC_{month}.arrow").write_text("all comments")
    make_shards(folder, tokenizer)


def words_of(folder: Path, *options: str, of: Sequence[str] = ("dialogues", "shards")) -> list[str]:
    (folder / "ids.txt").write_text("\n".join([*PURGED, *NOT_THERE]))
    places = {"dialogues": folder / "extracted", "shards": folder / "shards"}
    named = [word for name in of for word in (f"--{name}", str(places[name]))]
    return ["--ids", str(folder / "ids.txt"), *named, *options]


def config_of(folder: Path) -> PurgeConfig:
    """What `words_of` says."""
    words_of(folder)
    return PurgeConfig(
        ids=str(folder / "ids.txt"),
        dialogues=(str(folder / "extracted"),),
        shards=(str(folder / "shards"),),
    )


def run(words: Sequence[str]) -> int:
    """The exit code of the command, run in this process."""
    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def is_concerned(dialogue: Dialogue) -> bool:
    return any(name in PURGED for name in (*dialogue.turn_ids, dialogue.thread_id))


def in_parquet(folder: Path) -> dict[str, list[Dialogue]]:
    return {
        split: [
            dialogue
            for rows in read_dialogues(folder / "extracted", split)
            for dialogue in dialogues_of(rows)
        ]
        for split in SPLITS
    }


def in_shards(folder: Path) -> dict[str, list[EncodedDialogue]]:
    found: dict[str, list[EncodedDialogue]] = {}
    for split in SPLITS:
        manifest = read_manifest(folder / "shards" / split)
        verify_checksums(folder / "shards" / split, manifest)
        found[split] = []
        for info in manifest.shards:
            assert finished_shard(folder / "shards" / split, info.name) == info
            reader = ShardReader(folder / "shards" / split, info, vocab_size=manifest.vocab_size)
            chunks = [[*reader.read_chunk(n).dialogues()] for n in range(info.num_chunks)]
            assert all(len(chunk) == CHUNK_DIALOGUES for chunk in chunks[:-1])
            found[split] += [dialogue for chunk in chunks for dialogue in chunk]
            reader.close()
        assert len(found[split]) == manifest.num_dialogues
    return found


def texts_of(dialogues: Iterable[EncodedDialogue], tokenizer: Path) -> list[tuple[str, ...]]:
    decode = load_tokenizer(str(tokenizer)).decode
    return [tuple(decode(turn.tolist()) for turn in dialogue.turns) for dialogue in dialogues]


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file, but for locks and the ids that were given."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "ids.txt")
    }


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def everything_in(path: Path) -> bytes:
    """All bytes of a file, and of whatever zstd frames lie in it, also in pages no longer used."""
    raw = path.read_bytes()
    pieces = [raw]
    for frame in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), raw):
        try:
            decompressor = zstandard.ZstdDecompressor().decompressobj()
            pieces.append(decompressor.decompress(raw[frame.start() :]))
        except zstandard.ZstdError:
            continue
    return b"\n".join(pieces)
