"""The output folder of an import: it appears when all is done, and says what it was made of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import yaml

from data_prep.extract_plan import differences
from data_prep.importing.config import ImportConfig
from data_prep.importing.dataset_files import files_by_split, local_files
from data_prep.importing.inputs import paths_of
from data_prep.importing.sources import hides_names
from dialogpt.command_line import UserError, as_plain
from dialogpt.data.manifest import file_sha256
from dialogpt.folders import LOCK_FILE, sole_use
from dialogpt.records import write_json
from dialogpt.text import TEXT_RULES

IMPORT_RULES = "import-2"
"""Name of what an import does to a given input; change it when the output changes."""

MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "import.yaml"

_INPUTS = ("input", "train", "valid", "test", "test_references", "path")
_HIDDEN = "(not written: the names of chat files name people)"


def make_manifest(config: ImportConfig) -> dict[str, Any]:
    """All that the output depends on: rules, options, and a checksum of every input file.

    Raises:
        UserError: an input is not there.
    """
    settings = as_plain(config)
    del settings["output"]
    inputs = {}
    for name in _INPUTS:
        given = settings.pop(name)
        if given:
            inputs[name] = _checksums(given, config)
    return {
        "rules": f"{IMPORT_RULES}, text {TEXT_RULES}",
        "inputs": inputs,
        "settings": settings,
    }


def _checksums(given: str, config: ImportConfig) -> str:
    """SHA-256 of the files in order, cut to 16 digits each; the name of a data set on the hub.

    Where the names of files tell their splits, the splits stand before the sums.
    """
    if config.source == "datasets":
        paths = local_files(given)
        if not paths:
            return given
        return " ".join(
            f"{split}:{_checksum(path)}" if split else _checksum(path)
            for split, files in files_by_split(given, paths).items()
            for path in files
        )
    paths = [path for found in paths_of(given, config.source) for path in _files(found)]
    return " ".join(map(_checksum, paths))


def _checksum(path: Path) -> str:
    return file_sha256(path)[:16]


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(p for p in path.rglob("*.json") if p.is_file())


def config_without_names(config: ImportConfig, resolved: str) -> str:
    """The resolved config as it is saved: without file names that may be those of people."""
    if not hides_names(config):
        return resolved
    values = yaml.safe_load(resolved)
    for name in _INPUTS:
        if values[name]:
            values[name] = _HIDDEN
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def is_finished(output: Path, manifest: dict[str, Any]) -> bool:
    """Whether this very import is there already.

    Raises:
        UserError: something else is.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    path = output / MANIFEST_FILE
    if not path.is_file():
        raise UserError(
            f"{output}: expected a new or empty folder, or one that this command wrote, found "
            f"{'other files' if output.is_dir() else 'a file'}; choose another --output"
        )
    before = orjson.loads(path.read_bytes())
    changed = differences({name: before.get(name) for name in manifest}, manifest)
    if changed:
        raise UserError(
            f"{output}: holds another import: {'; '.join(changed)}. Choose another --output, or "
            "delete this one"
        )
    return True


@contextmanager
def appearing(output: Path, manifest: dict[str, Any]) -> Iterator[Path | None]:
    """A folder to write to, which becomes the output when the block ends without an exception.

    Yields None if the same import is there already.

    Args:
        output: the final name.
        manifest: what the import is made of.

    Raises:
        UserError: the output holds something else, or another run is at work on it.
    """
    work = output.absolute().with_name(output.name + ".unfinished")
    fresh = work / "output"
    output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with sole_use(work):
        try:
            if is_finished(output, manifest):
                yield None
                return
            if fresh.exists():  # of a run that was killed
                shutil.rmtree(fresh)
            fresh.mkdir()
            yield fresh
            write_json(fresh / MANIFEST_FILE, manifest)
            if output.exists():  # empty, see `is_finished`
                output.rmdir()
            fresh.replace(output)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            with suppress(OSError):  # Windows deletes no open file
                (work / LOCK_FILE).unlink()
                work.rmdir()
