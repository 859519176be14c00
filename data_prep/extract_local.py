"""An extraction on this machine: what is left to do in an output folder, done and told."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from data_prep.config import ExtractConfig
from data_prep.extract_plan import (
    describe_inputs,
    input_changes,
    option_changes,
    purged_digest,
    settings_of,
)
from data_prep.extract_run import ExtractRun
from data_prep.filters import FilterSet
from data_prep.inventory import Inventory
from data_prep.publication import go_on_publishing, missing_results, read_manifest, require_no_links
from data_prep.purging.ids import PURGED_IDS_FILE
from data_prep.stages import JsonObject
from dialogpt.folders import begin_folder, sole_use

_LARGE = 10**9  # bytes of work files that are worth a word
_NOTE = "extract.json"  # says what the folder is for, from its first moment on


def extract_locally(
    config: ExtractConfig, inventory: Inventory, resolved: str, *, prog: str
) -> list[str]:
    """Do what the config says, or what is left of it, and print the counts.

    Args:
        config: what to do.
        inventory: the dumps.
        resolved: the config as YAML, to save beside the output.
        prog: the command as the user types it.

    Returns:
        what is wrong with archives that could not be read to their end.

    Raises:
        UserError: a dump or the output folder is not as it should be.
    """
    output = Path(config.output)
    filters = FilterSet.from_config(config.filters)
    settings = settings_of(config)
    if not (output / _NOTE).is_file():
        begin_folder(output / _NOTE, {"made_by": prog})
    with sole_use(output):
        require_no_links(output)
        go_on_publishing(output)
        manifest = read_manifest(output)
        news = _news(config, inventory, settings, manifest)
        if manifest is not None and not news:
            print(f"{output} is finished; nothing to do", file=sys.stderr)
        else:
            _say(inventory.remarks)
            _say(f"since the last run, {change}" for change in news)
            outcome = ExtractRun(config, inventory, settings, filters).extract()
            manifest = outcome.manifest
            print(outcome.table, end="")
            _say([f"no process held more than {outcome.peak_memory / 2**20:,.0f} MiB of memory"])
        (output / "extract.yaml").write_text(resolved, encoding="utf-8")
        if not config.keep_work_files:
            shutil.rmtree(output / "work", ignore_errors=True)
        elif (size := _size_of(output / "work")) > _LARGE:
            _say([f"{output / 'work'} holds {size / 1e9:.1f} GB; --no_keep_work_files deletes it"])
    damages: list[str] = manifest["damaged_archives"]
    return damages


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _news(
    config: ExtractConfig, inventory: Inventory, settings: JsonObject, manifest: JsonObject | None
) -> list[str]:
    """What is not as it was when the results were made; nothing if there are none."""
    if manifest is None:
        return []
    purged_ids = purged_digest(Path(config.output) / PURGED_IDS_FILE)
    inputs = describe_inputs(inventory, manifest["inputs"])
    return [
        *missing_results(Path(config.output), manifest),
        *input_changes(manifest["inputs"], inputs),
        *option_changes(manifest, settings, config.num_partitions, purged_ids),
    ]


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
