"""What the output of each stage of an extraction depends on, as keys: no change, no work.

A stage is done again for a unit whose key has changed. The keys of later stages hold those of
earlier ones, and these hold the checksums of the dumps: so a new month, another filter or a
mended archive costs what depends on it, and a second run costs nothing.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from data_prep.config import ExtractConfig
from data_prep.filters import LISTS, SHIPPED, list_path
from data_prep.inventory import DumpFile, Inventory
from data_prep.partitions import choose_num_partitions
from data_prep.stages import JsonObject, Stage, Unit, key_of
from dialogpt.command_line import UserError, as_plain
from dialogpt.data.manifest import file_sha256
from dialogpt.records import write_json
from dialogpt.text import TEXT_RULES

READ_RULES = "read-1"
"""Name of how dumps become spills; change it when they come out otherwise. So for the others."""
BUILD_RULES = f"build-2, text {TEXT_RULES}"
FINISH_RULES = "finish-2"
RULES = [READ_RULES, BUILD_RULES, FINISH_RULES]

_WITHOUT_EFFECT = {
    *("dumps", "output", "num_workers", "num_partitions", "keep_work_files"),
    *("engine", "master", "spark"),
}
"""Options that do not change which dialogues are written."""
_FINISHING = {"bland_share", "bland_count"}
"""Filters that act when the whole corpus is known."""


def settings_of(config: ExtractConfig) -> JsonObject:
    """All options that change what is written, and the digests of the files that they name.

    Raises:
        UserError: a list named in the config cannot be read.
    """
    settings = {
        name: value for name, value in as_plain(config).items() if name not in _WITHOUT_EFFECT
    }
    if config.preset == "reference":
        if keys := settings["reference"]["keys"]:
            settings["reference"]["keys"] = f"{keys} (sha256 {_digest(Path(keys))[:16]})"
        return settings
    del settings["reference"]
    settings["shipped_lists"] = {}  # another version of this project may ship others
    for name in LISTS:
        if path := list_path(config.filters, name):
            source, digest = settings["filters"][name], _digest(path)[:16]
            if source == SHIPPED:
                settings["shipped_lists"][name] = digest
            else:
                settings["filters"][name] = f"{source} (sha256 {digest})"
    return settings


def _digest(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: expected a list, one entry a line, found no file; check filters")
    return file_sha256(path)


def read_key(dump: DumpFile, num_partitions: int, config: ExtractConfig) -> str:
    """Of reading a dump. Size and time of change stand for the content, as they do for make."""
    reading = _reading(dump, num_partitions, config)
    return key_of(reading, dump.size, dump.changed_ns)


def _reading(dump: DumpFile, num_partitions: int, config: ExtractConfig) -> list[Any]:
    reading = [READ_RULES, dump.kind, dump.month, num_partitions, config.keep_rejects]
    if config.preset == "reference":
        reference = config.reference
        keys = _digest(Path(reference.keys)) if reference.keys else ""
        reading += [reference.max_words, reference.use_title, keys]
    return reading


def build_key(
    settings: JsonObject, inputs: Sequence[tuple[DumpFile, JsonObject]], num_partitions: int
) -> str:
    """Of making candidates.

    Args:
        settings: of `settings_of`.
        inputs: the dumps with the results of reading them.
        num_partitions: how many there are.
    """
    filters = {name: value for name, value in settings["filters"].items() if name not in _FINISHING}
    filters["counts_trigrams"] = settings["filters"]["bland_share"] > 0
    others = {name: value for name, value in settings.items() if name != "duplicates"}
    read = [[dump.kind, dump.month, reading["sha256"]] for dump, reading in inputs]
    return key_of(RULES[:2], read, num_partitions, {**others, "filters": filters})


def finish_key(settings: JsonObject, built_key: str, purged_ids: Path) -> str:
    """Of the rules about the whole corpus, but for that on duplicates.

    Args:
        settings: of `settings_of`.
        built_key: of making candidates.
        purged_ids: file of ids that must not come back; may be absent.
    """
    return key_of(FINISH_RULES, built_key, settings["filters"], purged_digest(purged_ids))


def purged_digest(purged_ids: Path) -> str:
    """Stands for what somebody wanted to have removed; "" if there is no such file."""
    return file_sha256(purged_ids) if purged_ids.is_file() else ""


def forgive_touched_dumps(
    stage: Stage[Any], units: Sequence[Unit[Any]], config: ExtractConfig
) -> None:
    """Take readings of dumps that are the same to the byte for those of the dumps of now.

    A copied or touched file has another time of change. Its checksum decides.

    Args:
        stage: of reading; the results have "sha256" and what `reading_note` gives.
        units: with a ReadTask each.
        config: what else a reading depends on.
    """
    for unit in units:
        marker = stage.marker(unit)
        if stage.is_done(unit) or not marker.is_file():
            continue
        result, dump = stage.result(unit), unit.task.dump
        reading = _reading(dump, unit.task.num_partitions, config)
        same = result["reading"] == reading and result["size"] == dump.size
        if same and result["sha256"] == file_sha256(dump.path):
            write_json(marker, {"key": unit.key, "result": result})


def reading_note(dump: DumpFile, num_partitions: int, config: ExtractConfig) -> JsonObject:
    """What a reading must note for `forgive_touched_dumps`, but for the checksum."""
    return {"reading": _reading(dump, num_partitions, config), "size": dump.size}


def input_note(dump: DumpFile, sha256: str) -> JsonObject:
    """What the manifest says of a dump.

    Size and time are those from before it was read: one that changed meanwhile is read again.
    """
    return {"size": dump.size, "sha256": sha256, "changed_ns": dump.changed_ns}


def describe_inputs(inventory: Inventory, before: Mapping[str, JsonObject]) -> JsonObject:
    """The dumps as the manifest describes them, for comparison with it.

    Args:
        inventory: the dumps of now.
        before: what the manifest says. A dump of the same size and time of change is taken for the
            same; another time of change alone means that the checksum is looked at.
    """
    inputs = {}
    for dump in inventory.dumps:
        old = before.get(dump.name)
        if old is None or old["size"] != dump.size:
            inputs[dump.name] = input_note(dump, "")
        elif old["changed_ns"] == dump.changed_ns:
            inputs[dump.name] = old
        else:
            same = file_sha256(dump.path) == old["sha256"]
            inputs[dump.name] = old if same else input_note(dump, "")
    return inputs


def input_changes(before: Mapping[str, JsonObject], now: Mapping[str, JsonObject]) -> list[str]:
    """What differs between two descriptions of the dumps, as sentences."""
    changes = [f"{name} has come" for name in sorted(now.keys() - before.keys())]
    changes += [f"{name} has gone" for name in sorted(before.keys() - now.keys())]
    common = sorted(now.keys() & before.keys())
    return changes + [f"{name} has changed" for name in common if now[name] != before[name]]


def option_changes(
    manifest: JsonObject, settings: JsonObject, num_partitions: int, purged_ids: str
) -> list[str]:
    """What else is not as it was when the results were made, as sentences.

    Args:
        manifest: of the results.
        settings: of `settings_of`.
        num_partitions: what the user says, or 0.
        purged_ids: of `purged_digest`.
    """
    now = {
        "rules": RULES,
        "settings": settings,
        "num_partitions": num_partitions or manifest["num_partitions"],
        "purged_ids": purged_ids,
    }
    return differences({name: manifest[name] for name in now}, now)


def agree_on_num_partitions(asked_for: int, dumps: Sequence[DumpFile], work: Path) -> int:
    """How many partitions the comments of some dumps are dealt to.

    If the user does not say, the number of an earlier run is kept as long as it suits: with another
    number nothing of what was done before can be used, and it is deleted.

    Args:
        asked_for: what the user says, or 0.
        dumps: of comments.
        work: folder of the intermediate files, in which the number is noted.
    """
    note = work / "num_partitions.json"
    before = int(orjson.loads(note.read_bytes())) if note.is_file() else 0
    wanted = asked_for or choose_num_partitions(sum(dump.size for dump in dumps))
    if not asked_for and before and before // 4 <= wanted <= 2 * before:
        wanted = before
    if wanted != before:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write_json(note, wanted)
    return wanted


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two nested mappings, as sentences: "filters.urls was True, is False"."""
    old, new = _flat(before), _flat(now)
    return [
        f"{name} was {old.get(name, 'absent')}, is {new.get(name, 'absent')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> JsonObject:
    """Nested mappings as one, with dotted names."""
    flat: JsonObject = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat.update(_flat(item, f"{prefix}{name}."))
        else:
            flat[prefix + name] = item
    return flat
