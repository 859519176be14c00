"""The same dialogues as each program of the benchmark of loading stores them.

    python benchmarks/loading_data.py --output FOLDER [--shards FOLDER] [--release CHECKOUT]

Runs in a process of its own: whoever measures must be small.
"""

import argparse
import gzip
import importlib
import importlib.util
import json
import shelve
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from benchmarks.training_data import EOS_ID, MAX_SEQ_LEN, dialogues_of, made_up_dialogues
from dialogpt.data.features import fit_turns
from dialogpt.data.manifest import write_manifest
from dialogpt.data.shards import ShardWriter
from dialogpt.records import EncodedDialogue
from dialogpt.tokenization import load_tokenizer

CHUNK_DIALOGUES = 512
STORES_FILE = "stores.json"
_RELEASE_CHUNK = 65_536
"""Rows that the release puts into one value; its default."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--output", type=Path, required=True, help="an empty folder")
    parser.add_argument("--shards", type=Path, help="take dialogues from here; else made-up ones")
    parser.add_argument("--release", type=Path, help="checkout of microsoft/DialoGPT")
    parser.add_argument("--dialogues", type=int, default=60_000, help="at most so many")
    options = parser.parse_args()
    if options.shards:
        indexed = dialogues_of(options.shards, options.dialogues)
    else:
        indexed = made_up_dialogues(options.dialogues)
    dialogues = [fitted(d) for _, d in indexed if len(d.turns) > 1]
    write_stores(dialogues, options.output, release=options.release)


def fitted(dialogue: EncodedDialogue) -> EncodedDialogue:
    """The dialogue cut to a row, so that every program reads the same tokens."""
    kept = fit_turns(dialogue.turns, MAX_SEQ_LEN)
    return replace(
        dialogue,
        turns=tuple(kept.turns),
        speakers=dialogue.speakers[kept.first :],
        num_words=dialogue.num_words[kept.first :],
        num_chars=dialogue.num_chars[kept.first :],
        turn_keys=dialogue.turn_keys[kept.first :],
        knowledge=(),
    )


def row_of(dialogue: EncodedDialogue) -> tuple[NDArray[np.uint16], int]:
    """The forward row (T,) uint16, and how many of its tokens are given and no targets."""
    pieces = [piece for turn in dialogue.turns for piece in (turn, [EOS_ID])]
    return np.concatenate(pieces).astype(np.uint16), len(dialogue.turns[0]) + 1


def write_stores(
    dialogues: Sequence[EncodedDialogue], folder: Path, *, release: Path | None
) -> None:
    """Write a folder a program, and STORES_FILE: counts, bytes, and what was left out and why."""
    writers: dict[str, Callable[[], None]] = {
        "ours": lambda: _write_ours(dialogues, folder / "ours"),
        "datasets": lambda: _write_arrow(dialogues, folder / "datasets"),
    }
    skipped = {}
    if importlib.util.find_spec("streaming"):
        writers["streaming"] = lambda: _write_mds(dialogues, folder / "streaming")
    else:
        skipped["streaming"] = "not installed: pip install mosaicml-streaming"
    if release is not None:
        writers["release"] = lambda: _write_shelve(dialogues, folder / "release", release)
    else:
        skipped["release"] = "no checkout of microsoft/DialoGPT was named by --release"
    for write in writers.values():
        write()
    lengths = np.array([sum(map(len, d.turns)) + len(d.turns) for d in dialogues], np.uint32)
    np.save(folder / "lengths.npy", lengths, allow_pickle=False)
    stores = {
        "num_dialogues": len(dialogues),
        "num_tokens": int(lengths.sum()),
        "bytes": {name: _size(folder / name) for name in writers},
        "skipped": skipped,
    }
    (folder / STORES_FILE).write_text(json.dumps(stores, indent=1), encoding="utf-8")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_ours(dialogues: Sequence[EncodedDialogue], folder: Path) -> None:
    tokenizer = load_tokenizer("gpt2")
    writer = ShardWriter(
        folder, "shard-00000", tokenizer=tokenizer, chunk_dialogues=CHUNK_DIALOGUES
    )
    for dialogue in dialogues:
        writer.add(dialogue)
    write_manifest(folder, "train", tokenizer=tokenizer, shards=[writer.close()])


def _write_arrow(dialogues: Sequence[EncodedDialogue], folder: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    rows = [row_of(dialogue) for dialogue in dialogues]
    columns = {"input_ids": [ids for ids, _ in rows], "num_given": [given for _, given in rows]}
    features = datasets.Features(
        {
            "input_ids": datasets.Sequence(datasets.Value("uint16")),
            "num_given": datasets.Value("int32"),
        }
    )
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder)


def _write_mds(dialogues: Sequence[EncodedDialogue], folder: Path) -> None:
    streaming: Any = importlib.import_module("streaming")
    columns = {"input_ids": "ndarray:uint16", "num_given": "int"}
    with streaming.MDSWriter(out=str(folder), columns=columns) as writer:
        for dialogue in dialogues:
            ids, given = row_of(dialogue)
            writer.write({"input_ids": ids, "num_given": given})


def _write_shelve(dialogues: Sequence[EncodedDialogue], folder: Path, release: Path) -> None:
    """What `prepro.py` of the release writes, with its own function for a row."""
    prepro = release_module(release, "prepro")
    tokenizer = SimpleNamespace(encoder={"<|endoftext|>": EOS_ID})
    rows: list[dict[str, Any]] = []
    for number, dialogue in enumerate(dialogues):
        turns = [turn.tolist() for turn in dialogue.turns]
        weights = [1.0] * len(turns)
        made = prepro._make_features(number, weights, turns, tokenizer, MAX_SEQ_LEN)
        rows += [vars(features) for features in made]
    folder.mkdir(parents=True)
    with shelve.open(str(folder / "db"), "n") as database:
        for number, start in enumerate(range(0, len(rows), _RELEASE_CHUNK)):
            text = json.dumps(rows[start : start + _RELEASE_CHUNK])
            database[f"chunk_{number}"] = gzip.compress(text.encode("utf-8"))


def release_module(checkout: Path, name: str) -> ModuleType:
    """A module of a checkout of the release.

    Its package `lsp_model` is stood in for by an empty one: it imports pytorch_pretrained_bert,
    which current versions of Python do not run, and neither reading nor writing needs it.

    Raises:
        FileNotFoundError: it is no such checkout.
    """
    if not (checkout / f"{name}.py").is_file():
        raise FileNotFoundError(
            f"{checkout}: expected a checkout of microsoft/DialoGPT with {name}.py; check --release"
        )
    model = ModuleType("lsp_model")
    optim = ModuleType("lsp_model.optim")
    for stand_in, names in (
        (model, ["GPT2Tokenizer"]),
        (optim, ["warmup_linear", "noam_decay", "noamwd_decay"]),
    ):
        for attribute in names:
            setattr(stand_in, attribute, None)
        sys.modules[stand_in.__name__] = stand_in
    sys.path.insert(0, str(checkout.resolve()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(checkout.resolve()))


if __name__ == "__main__":
    main()
