"""The settings kept with a run, and which of them may change when it goes on."""

from pathlib import Path
from typing import Any

import yaml

from dialogpt.command_line import UserError

CONFIG_FILE = "config.yaml"

# What changes neither the model nor the order of the data, so a run may go on with other values.
_FREE_KEYS = {
    "output",
    "data.num_workers",
    "log_every_steps",
    "tensorboard",
    "trackers",
    "checkpoint.every_steps",
    "checkpoint.keep_last",
    "compile",
    "batch.activation_checkpointing",
    # "auto" may mean another layout on another machine: `train.state` compares what it came to.
    "batch.layout",
}


def check_same_config(path: Path, resolved: str) -> None:
    """Refuse to go on with a run under other settings.

    Args:
        path: the run's config.yaml; nothing is checked if there is none.
        resolved: the settings now, as YAML.

    Raises:
        UserError: names the keys that differ, with both values.
    """
    if not path.is_file():
        return
    former = read_settings(path)
    now = flat_settings(resolved)
    differing = [
        f"{key}: {former.get(key)!r} there, {now.get(key)!r} here"
        for key in sorted(former.keys() | now.keys())
        if former.get(key) != now.get(key) and key not in _FREE_KEYS
    ]
    if differing:
        raise UserError(
            f"{path.parent}: expected the settings that the run began with, found other ones "
            f"({'; '.join(differing)}); name another --output, or give the former settings"
        )


def read_settings(path: Path) -> dict[str, Any]:
    """Dotted name -> value of a run's config.yaml.

    Raises:
        UserError: it is no YAML, or no settings.
    """
    try:
        return flat_settings(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, AttributeError) as error:
        raise UserError(
            f"{path}: expected the settings that a run began with, as lines of `name: value`, "
            "found something else; put back what the run wrote"
        ) from error


def flat_settings(resolved: str) -> dict[str, Any]:
    """Dotted name -> value of settings in YAML: {"model.num_layers": 12, ...}."""
    return _flat(yaml.safe_load(resolved))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
