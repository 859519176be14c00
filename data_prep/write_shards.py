"""python -m data_prep shards: dialogues -> token ids -> LMDB shards, one shard for each part.

Parts are independent: processes share them out, and a run that was killed goes on with those that
have no finished shard. The manifests come when all shards are whole.
"""

import json
import multiprocessing
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.config import ShardsConfig
from data_prep.dialogues import dialogues_of, num_dialogues, part_files, read_part
from data_prep.encode import encode_dialogues
from data_prep.stages import JsonObject, Report, Stage, Unit, Workers, key_of, run_stage
from dialogpt.command_line import UserError, parse_config, require_folder, run_command
from dialogpt.data.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    Manifest,
    ShardInfo,
    file_sha256,
    read_manifest,
    write_manifest,
)
from dialogpt.data.shards import ShardWriter
from dialogpt.folders import begin_folder, sole_use
from dialogpt.records import SPLITS
from dialogpt.tokenization import Tokenizer, load_tokenizer

ORIGIN_FILE = "made_from.json"
"""What the shards of the folder are made with; written before the first of them."""

TOKENIZER_FOLDER = "tokenizer"
MARKERS_FOLDER = "markers"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardTask:
    """One part to encode, and where to: all that a worker process needs to know.

    Attributes:
        part: the Parquet file.
        folder: the split's folder of shards.
        name: the shard, e.g. `shard-00000`.
        tokenizer_folder: the saved tokenizer.
        chunk_dialogues: dialogues in a chunk.
    """

    part: Path
    folder: Path
    name: str
    tokenizer_folder: Path
    chunk_dialogues: int


def main(argv: list[str]) -> None:
    """Write the shards that the command line asks for."""
    config, _ = parse_config(ShardsConfig, argv, prog="python -m data_prep shards")
    run_command(lambda: print(describe(_write_shards(config), Path(config.output))))


def _write_shards(config: ShardsConfig) -> list[Manifest]:
    if config.engine == "local":
        return write_shards(config)
    from data_prep.spark.entry import shard_workers  # an optional library

    with shard_workers(config, config.spark, master=config.master) as given:
        return write_shards(*given)


def write_shards(config: ShardsConfig, workers: Workers | None = None) -> list[Manifest]:
    """Write all shards that are not there yet; the manifest of every split.

    A part whose dialogues have changed since its shard was written gets a new one.

    Args:
        config: what to do.
        workers: do the work; None starts processes, as many as the config says.

    Raises:
        UserError: no finished dialogues; no such tokenizer; or the output folder holds shards of
            another tokenizer, or another run is at work in it.
    """
    dialogues, output = Path(config.dialogues), Path(config.output)
    require_folder(dialogues, "dialogues", "run `python -m data_prep extract` first")
    parts = {split: part_files(dialogues, split) for split in SPLITS}
    tokenizer = load_tokenizer(config.tokenizer)
    origin = {
        "tokenizer": tokenizer.fingerprint,
        "chunk_dialogues": config.chunk_dialogues,
    }
    _claim_folder(output, origin)
    with sole_use(output):
        _save_tokenizer(tokenizer, output / TOKENIZER_FOLDER)
        stage = Stage(
            label="shards", measure=" dialogues", work=write_shard, markers=output / MARKERS_FOLDER
        )
        units = {
            split: [
                _unit(part, number, output / split, config, shard_key(origin, file_sha256(part)))
                for number, part in enumerate(parts[split])
            ]
            for split in SPLITS
        }
        for split in SPLITS:
            _open_split(output / split, stage, units[split])
        all_units = [unit for split in SPLITS for unit in units[split]]
        finished = iter(
            run_stage(stage, all_units, num_workers=config.num_workers, workers=workers)
        )
        manifests = []
        for split in SPLITS:
            shards = [ShardInfo(**next(finished)) for _ in parts[split]]
            if not (output / split / MANIFEST_FILE).is_file():
                write_manifest(output / split, split, tokenizer=tokenizer, shards=shards)
            manifests.append(read_manifest(output / split, tokenizer=tokenizer))
        return manifests


def _open_split(folder: Path, stage: Stage[ShardTask], units: Sequence[Unit[ShardTask]]) -> None:
    """Take the manifest away from a split that will change, and the shards of parts that are gone.

    Without a manifest nobody reads the split until all of it is whole again.
    """
    wanted = {unit.task.name for unit in units}
    markers = (stage.markers / folder.name).glob("*.json")
    old = [
        path
        for path in (*markers, *folder.glob("shard-*"))
        if path.name.split(".")[0] not in wanted
    ]
    if old or not all(stage.is_done(unit) for unit in units):
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
        for path in old:
            path.unlink()


def shard_key(origin: dict[str, Any], digest: str) -> str:
    """Stands for all that a shard depends on.

    Args:
        origin: what the folder is for.
        digest: SHA-256 of the file of dialogues.
    """
    return key_of(origin, FORMAT_VERSION, digest)


def write_shard(task: ShardTask, report: Report) -> JsonObject:
    """Encode one part into one shard; the shard's description.

    Args:
        task: which.
        report: told how many dialogues were written, each time that some were.
    """
    tokenizer = _worker_tokenizer(task.tokenizer_folder)
    writer = ShardWriter(
        task.folder, task.name, tokenizer=tokenizer, chunk_dialogues=task.chunk_dialogues
    )
    for rows in read_part(task.part):
        for dialogue in encode_dialogues(list(dialogues_of(rows)), tokenizer):
            writer.add(dialogue)
        report(rows.num_rows)
    return writer.close().to_json()


@cache  # loading takes longer than a small part
def _worker_tokenizer(folder: Path) -> Tokenizer:
    if multiprocessing.parent_process() is not None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes use all cores already
    return load_tokenizer(str(folder))


def describe(manifests: Sequence[Manifest], output: Path) -> str:
    """A table of counts, one row a split."""
    lines = [
        f"{'split':<6}{'dialogues':>13}{'turns':>13}{'tokens':>15}{'bytes':>15}{'tok/word':>10}"
    ]
    for manifest in manifests:
        num_turns = sum(shard.num_turns for shard in manifest.shards)
        num_words = sum(shard.num_words for shard in manifest.shards)
        num_bytes = sum(shard.num_bytes for shard in manifest.shards)
        ratio = f"{manifest.num_tokens / num_words:.3f}" if num_words else "n/a"
        lines.append(
            f"{manifest.split:<6}{manifest.num_dialogues:>13,}{num_turns:>13,}"
            f"{manifest.num_tokens:>15,}{num_bytes:>15,}{ratio:>10}"
        )
    return "\n".join([*lines, f"written to {output}"])


def _claim_folder(output: Path, origin: dict[str, Any]) -> None:
    """Note what the folder is for; UserError if it is for something else."""
    path = output / ORIGIN_FILE
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, value in origin.items():
            if found[name] != value:
                raise UserError(
                    f"{output}: holds shards made with {name} {found[name]}, and this command "
                    f"gives {name} {value}; delete the folder or choose another --output"
                )
        return
    begin_folder(path, origin)


def _save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Save the tokenizer whole or not at all; workers and training read it from there."""
    if folder.exists():
        return
    unfinished = folder.with_name(folder.name + ".unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    tokenizer.save(unfinished)
    unfinished.replace(folder)


def _unit(part: Path, number: int, folder: Path, config: ShardsConfig, key: str) -> Unit[ShardTask]:
    name = f"shard-{number:05d}"
    task = ShardTask(
        part=part,
        folder=folder,
        name=name,
        tokenizer_folder=folder.parent / TOKENIZER_FOLDER,
        chunk_dialogues=config.chunk_dialogues,
    )
    return Unit(f"{folder.name}/{name}", task, num_dialogues(part), key)
