"""Model folders and checkpoints on disk: written beside, synced, renamed; never half there.

A run folder:

    config.yaml                  the resolved configuration
    best -> models/...           the model of the best validation
    last -> checkpoints/.../model
    checkpoints/step-00000100/   model/ and what is needed to go on: optimizer, generators, position
    models/step-00000100/        the model that best points to
    metrics.jsonl, tensorboard/
    .lock                        held by the process that trains here

`best` and `last` are symbolic links: a link is replaced in one step, a folder is not, and a reader
must never find neither the old model nor the new.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Protocol

from dialogpt.command_line import UserError
from dialogpt.records import write_json
from dialogpt.tokenization import Tokenizer, copy_tokenizer_files

CARD_FILE = "dialogpt.json"
CARD_VERSION = 1
STATE_FILE = "state.json"
PLATO = "plato"
"""What config.json of a PLATO calls its kind; transformers has none of the name."""
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What a reader of a model folder must know beyond config.json; stored as dialogpt.json.

    Attributes:
        direction: "forward" or "backward".
        max_seq_len: longest row in training, in tokens; later positions are untrained.
        text_rules: `dialogpt.text.TEXT_RULES` of the training text.
        tokenizer_kind, tokenizer_fingerprint: which tokenizer the ids belong to.
        eos_id: the token that ends a turn.
        step: optimizer steps made.
        valid_loss: what training minimises, at the last validation (of a GPT-2 nats a token);
            None without one.
        format_version: of this file.
    """

    direction: str
    max_seq_len: int
    text_rules: str
    tokenizer_kind: str
    tokenizer_fingerprint: str
    eos_id: int
    step: int
    valid_loss: float | None
    format_version: int = CARD_VERSION

    def at(self, *, step: int, valid_loss: float | None) -> "ModelCard":
        """The card of the same model at another step."""
        return replace(self, step=step, valid_loss=valid_loss)


def untrained_card(
    tokenizer: Tokenizer, *, direction: str, max_seq_len: int, text_rules: str
) -> ModelCard:
    """The card of weights that this project has not trained."""
    return ModelCard(
        direction=direction,
        max_seq_len=max_seq_len,
        text_rules=text_rules,
        tokenizer_kind=tokenizer.kind,
        tokenizer_fingerprint=tokenizer.fingerprint,
        eos_id=tokenizer.eos_id,
        step=0,
        valid_loss=None,
    )


class SavableModel(Protocol):
    """A model that writes its weights and sizes in Hugging Face format."""

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        ...


def resolve_model_folder(name: str) -> str:
    """Where a model is: a run folder means its best model (or its last, before a validation).

    Args:
        name: a run folder, a model folder, or a name on the hub, which comes back as it is.

    Raises:
        UserError: the folder is there, and holds no model.
    """
    path = Path(name)
    if not path.is_dir():
        return name
    for candidate in (path, path / "best", path / "last"):
        if (candidate / "config.json").is_file():
            return str(candidate)
    raise UserError(
        f"{path}: expected a model folder (config.json) or a training run (best/ or last/), found "
        "neither; train first, or wait for the run's first checkpoint"
    )


def is_plato(folder: Path) -> bool:
    """Whether a model folder holds a PLATO of this project."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.get("model_type") == PLATO


def read_model_card(folder: Path) -> ModelCard | None:
    """The card of a model folder; None for a model that this project did not train.

    Raises:
        UserError: the card is of another version or not what this version writes.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path}: expected JSON, found what is none ({error}); copy the model again"
        ) from error
    names = {field.name for field in fields(ModelCard)}
    if values.get("format_version") != CARD_VERSION or set(values) != names:
        raise UserError(
            f"{path}: expected version {CARD_VERSION} with {', '.join(sorted(names))}, found "
            f"version {values.get('format_version')} with {', '.join(sorted(values))}; use the "
            "version of this project that wrote it, or train again"
        )
    return ModelCard(**values)


def write_model_folder(
    folder: Path, model: SavableModel, *, tokenizer_folder: Path, card: ModelCard
) -> None:
    """Write weights, tokenizer and card; transformers loads the folder as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder)
    copy_tokenizer_files(tokenizer_folder, folder)
    write_json(folder / CARD_FILE, asdict(card))


class RunFolder:
    """The folder of one training run. One process writes; the others wait at the callers' barriers.

    Args:
        path: made if absent.
        keep_last: complete checkpoints to keep.
    """

    def __init__(self, path: Path, *, keep_last: int) -> None:
        self.path = path
        self._keep_last = keep_last
        self._checkpoints = path / "checkpoints"
        self._models = path / "models"

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        found = self._checkpoints.glob("step-*")
        return sorted(p for p in found if p.suffix != _UNFINISHED and (p / STATE_FILE).is_file())

    def unfinished(self, step: int) -> Path:
        """Where the files of a checkpoint go, which does not count before `publish`."""
        return self._checkpoints / f"step-{step:08d}{_UNFINISHED}"

    def begin_checkpoint(self, step: int) -> None:
        """Make that folder, empty."""
        _empty_folder(self.unfinished(step))

    def publish(self, step: int) -> Path:
        """Give a checkpoint its name, let `last` point to it, and remove the oldest ones."""
        final = _free_name(self._checkpoints / f"step-{step:08d}")
        _publish_folder(self.unfinished(step), final)
        self._link("last", final / "model")
        for old in self.checkpoints()[: -self._keep_last]:
            # A link may point into a checkpoint where there is no validation split.
            if self._target("best") != (old / "model").resolve():
                _remove_folder(old)
        return final

    def clean_up_after_kill(self) -> None:
        """Let `last` point to the newest checkpoint, and remove what is half written or removed.

        For a run that goes on or is finished: a kill can come between any two steps of `publish`.
        """
        *_, newest = self.checkpoints()
        self._link("last", newest / "model")
        (self.path / f"best{_UNFINISHED}").unlink(missing_ok=True)
        for folder in (self._checkpoints, self._models):
            for unfinished in folder.glob(f"*{_UNFINISHED}"):
                shutil.rmtree(unfinished)

    def publish_best(self, step: int, write: Callable[[Path], None]) -> None:
        """Write a model folder with `write` and let `best` point to it."""
        unfinished = _empty_folder(self._models / f"step-{step:08d}{_UNFINISHED}")
        write(unfinished)
        final = _free_name(self._models / f"step-{step:08d}")
        _publish_folder(unfinished, final)
        self._link("best", final)
        for other in self._models.iterdir():
            if other != final:
                _remove_folder(other)

    def last_is_best(self) -> None:
        """Let `best` point where `last` does: nothing better is known without validation."""
        target = self._target("last")
        assert target is not None
        self._link("best", target)

    def _target(self, name: str) -> Path | None:
        link = self.path / name
        return link.resolve() if link.is_symlink() else None

    def _link(self, name: str, target: Path) -> None:
        unfinished = self.path / f"{name}{_UNFINISHED}"
        unfinished.unlink(missing_ok=True)
        # Relative, so that the run folder can be moved as a whole.
        unfinished.symlink_to(os.path.relpath(target.resolve(), self.path.resolve()))
        unfinished.replace(self.path / name)
        _sync(self.path)


def _empty_folder(path: Path) -> Path:
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def _free_name(path: Path) -> Path:
    # A run that goes on from an earlier checkpoint comes by a step twice. What is there may be
    # what a link points to, so it stays until the link has moved.
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def _publish_folder(unfinished: Path, final: Path) -> None:
    # The bytes must be on the disk before the name says so: a power cut may reorder the two.
    for path in unfinished.rglob("*"):
        _sync(path)
    _sync(unfinished)
    unfinished.rename(final)
    _sync(final.parent)


def _remove_folder(path: Path) -> None:
    # Renamed first: a half-deleted folder must not pass for a whole one.
    if path.suffix != _UNFINISHED:
        path = path.rename(path.with_name(path.name + _UNFINISHED))
    shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
