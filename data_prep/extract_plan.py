"""What an extraction was begun with, so that only the same extraction is gone on with."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from data_prep.config import ExtractConfig
from data_prep.dump import fingerprint
from data_prep.inventory import Inventory
from data_prep.partitions import choose_num_partitions
from dialogpt.command_line import UserError, as_plain
from dialogpt.folders import begin_folder
from dialogpt.text import TEXT_RULES

EXTRACT_RULES = "extract-1"
"""Name of what extraction does to a given input; change it when the output changes."""

_SHIPPED = ("", "default")
_WITHOUT_EFFECT = ("dumps", "output", "num_workers", "keep_work_files")
"""Options that do not change what is written."""


def make_plan(config: ExtractConfig, inventory: Inventory) -> dict[str, Any]:
    """All that the output depends on, as JSON: rules, input files, options, lists.

    Raises:
        UserError: a list named in the config cannot be read.
    """
    settings = {
        name: value for name, value in as_plain(config).items() if name not in _WITHOUT_EFFECT
    }
    settings["num_partitions"] = config.num_partitions or choose_num_partitions(
        sum(dump.size for dump in inventory.comment_dumps)
    )
    for name in ("offensive_phrases", "excluded_subreddits"):
        source = settings["filters"][name]
        if source not in _SHIPPED:
            settings["filters"][name] = f"{source} ({_digest(Path(source))})"
    return {
        "rules": f"{EXTRACT_RULES}, text {TEXT_RULES}",
        "dumps": {
            dump.name: f"{dump.size} bytes, {fingerprint(dump.path)}" for dump in inventory.dumps
        },
        "settings": settings,
    }


def _digest(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path}: expected a list, one entry a line, found no file; check filters")
    return blake2b(path.read_bytes(), digest_size=8).hexdigest()


def agree_on_plan(path: Path, plan: dict[str, Any]) -> None:
    """Note the plan of a new output folder; make sure that an old one was begun with the same.

    Args:
        path: the plan's file, in the output folder.
        plan: what is to be done now.

    Raises:
        UserError: the folder holds something else, or was begun otherwise; it says what differs.
    """
    output = path.parent
    if path.exists():
        before = _flat(orjson.loads(path.read_bytes()))
        now = _flat(plan)
        changed = [
            f"{name} was {before.get(name, 'absent')}, is {now.get(name, 'absent')}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise UserError(
                f"{output}: was begun with something else: {'; '.join(changed)}. Choose another "
                "--output, or delete this one"
            )
        return
    begin_folder(path, plan)


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat.update(
            _flat(item, f"{prefix}{name}.") if isinstance(item, dict) else {prefix + name: item}
        )
    return flat
