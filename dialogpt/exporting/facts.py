"""What is known of a model to be exported: its card, its run, the shards it learned from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialogpt.checkpoint import (
    STATE_FILE,
    ModelCard,
    RunFolder,
    read_model_card,
    resolve_model_folder,
)
from dialogpt.command_line import UserError, require_folder
from dialogpt.data.manifest import Manifest, read_manifest
from dialogpt.report.runs import Run, read_run
from dialogpt.run_log import METRICS_FILE
from dialogpt.train.inputs import fingerprint

_SPLITS = ("train", "valid")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """All that the page about a model is made from.

    Attributes:
        folder: where the model lies.
        card: its direction, window and tokenizer.
        config: its config.json.
        run: the training run; None for a model that has none around it.
        manifests: split -> its shards, where they are still those of the run.
    """

    folder: Path
    card: ModelCard
    config: dict[str, Any]
    run: Run | None
    manifests: dict[str, Manifest]


def gather_facts(name: Path) -> ModelFacts:
    """What is known of a model.

    Args:
        name: a run folder (its best model), one of the models in it, or a model folder.

    Raises:
        UserError: there is no model, one without our card, or one whose config.json is damaged.
    """
    require_folder(name, "a training run or a model folder", "name one under runs/")
    folder = Path(resolve_model_folder(str(name)))
    card = read_model_card(folder)
    if card is None:
        raise UserError(
            f"{folder}: expected dialogpt.json, which says direction and window, found none; "
            "`python -m dialogpt.import_checkpoint` makes a folder that has it"
        )
    around = next((f for f in (name, name.parent) if (f / METRICS_FILE).is_file()), None)
    run = read_run(around) if around is not None else None
    return ModelFacts(
        folder=folder,
        card=card,
        config=_model_config(folder / "config.json"),
        run=run,
        manifests=_manifests(run) if run is not None else {},
    )


def _model_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: expected JSON, found what is none ({error}); copy the model again"
        ) from error
    if not isinstance(values, dict):
        raise UserError(
            f"{path}: expected a JSON object, found {type(values).__name__}; copy the model again"
        )
    return values


def _manifests(run: Run) -> dict[str, Manifest]:
    """The shards of the run's settings, unless they are gone or were written anew since."""
    shards = Path(run.settings.get("data.shards", ""))
    checkpoints = RunFolder(run.folder, keep_last=1).checkpoints()
    if not (shards / "train").is_dir() or not checkpoints:
        return {}
    try:
        found = {s: read_manifest(shards / s) for s in _SPLITS if (shards / s).is_dir()}
    except UserError:
        return {}
    state = json.loads((checkpoints[-1] / STATE_FILE).read_text(encoding="utf-8"))
    return found if state.get("shards") == fingerprint(found["train"]) else {}
