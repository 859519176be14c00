"""python -m data_prep tokenizer: a tokenizer from the training dialogues."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from data_prep.config import TokenizerConfig
from data_prep.dialogues import dialogues_fingerprint, part_files, read_part
from dialogpt.command_line import UserError, parse_config, require_folder, run_command
from dialogpt.records import write_json
from dialogpt.tokenization import load_tokenizer, train_sentencepiece
from dialogpt.wordpiece_training import train_wordpiece

ORIGIN_FILE = "trained_on.json"
"""What the tokenizer of the folder was made of; its presence means that the folder is whole."""


def main(argv: list[str]) -> None:
    """Train the tokenizer that the command line asks for."""
    config, _ = parse_config(TokenizerConfig, argv, prog="python -m data_prep tokenizer")
    run_command(lambda: print(train_tokenizer(config)))


def train_tokenizer(config: TokenizerConfig) -> str:
    """Train unless the same tokenizer is there already; the line that the user reads.

    The folder appears whole or not at all, and `load_tokenizer` reads it. The same dialogues and
    settings give the same bytes.

    Raises:
        UserError: no finished dialogues, too little text for the vocabulary, or an output folder
            that holds something else.
    """
    dialogues, folder = Path(config.dialogues), Path(config.output)
    require_folder(dialogues, "dialogues", "run `python -m data_prep extract` first")
    num_found = count_turns(dialogues)
    num_turns = min(num_found, config.max_turns)
    origin: dict[str, Any] = {
        "dialogues": dialogues_fingerprint(part_files(dialogues, "train")),
        "num_turns": num_turns,
        "vocab_size": config.vocab_size,
    }
    if config.kind != "sentencepiece":  # the one there was first is written down without its name
        origin["kind"] = config.kind
    if _is_finished(folder, origin):
        return f"{folder}: nothing to do, the tokenizer is there already"
    if num_found == 0:
        raise UserError(
            f"{dialogues}: expected turns in the training split, found none; "
            "extract dialogues from more dumps"
        )
    unfinished = folder.absolute().with_name(folder.name + ".unfinished")
    if unfinished.exists():  # of a run that was killed
        shutil.rmtree(unfinished)
    texts = training_turns(dialogues, max_turns=config.max_turns, num_distinct=num_found)
    progress = tqdm(texts, total=num_turns, unit=" turns")
    train = train_wordpiece if config.kind == "wordpiece" else train_sentencepiece
    train(progress, unfinished, vocab_size=config.vocab_size)
    write_json(unfinished / ORIGIN_FILE, origin)
    unfinished.replace(folder)
    tokenizer = load_tokenizer(str(folder))
    return (
        f"{folder}: {tokenizer.vocab_size:,} pieces from {origin['num_turns']:,} of "
        f"{num_found:,} distinct turns, fingerprint {tokenizer.fingerprint}"
    )


def training_turns(folder: Path, *, max_turns: int, num_distinct: int) -> Iterator[str]:
    """At most max_turns turns of the training split, spread evenly over all of them.

    Args:
        folder: the output folder of `extract`.
        max_turns: the most that are yielded.
        num_distinct: what `count_turns` says.
    """
    num_wanted = min(max_turns, num_distinct)
    for index, text in enumerate(_distinct_turns(folder)):
        # The integer part of index * wanted / distinct moves on `num_wanted` times in all.
        if (index + 1) * num_wanted // num_distinct > index * num_wanted // num_distinct:
            yield text


def count_turns(folder: Path) -> int:
    """Distinct turns of the training split."""
    return sum(1 for _ in _distinct_turns(folder))


def _distinct_turns(folder: Path) -> Iterator[str]:
    """Each turn of the training split once, though it may stand in many dialogues.

    All dialogues of a thread are in one part, so what has been seen is forgotten with the part.
    """
    for path in part_files(folder, "train"):
        seen: set[str] = set()
        for rows in read_part(path):
            for turn_id, text in zip(_flat(rows, "turn_ids"), _flat(rows, "turns"), strict=True):
                if turn_id not in seen:
                    seen.add(turn_id)
                    yield text


def _flat(rows: pa.RecordBatch, name: str) -> list[Any]:
    return list(rows.column(name).flatten().to_pylist())


def _is_finished(folder: Path, origin: dict[str, Any]) -> bool:
    """Whether this very tokenizer is there; UserError if something else is."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    path = folder / ORIGIN_FILE
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    if found != origin:
        raise UserError(
            f"{folder}: expected nothing, or a tokenizer trained on {origin}, found "
            f"{'other files' if found is None else found}; delete it or choose another --output"
        )
    return True
