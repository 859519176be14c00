"""What replies: a GPT-2 or a PLATO, as the model's folder says."""

from pathlib import Path
from typing import Any

from dialogpt.checkpoint import is_plato, resolve_model_folder
from dialogpt.config.decoding import ResponderConfig
from dialogpt.decode import respond
from dialogpt.decode.response import AnyResponder
from dialogpt.plato.respond import build_plato_responder


def build_responder(config: ResponderConfig) -> tuple[AnyResponder, dict[str, Any]]:
    """A responder as configured, and the settings that its output should carry.

    Raises:
        UserError: a model, a scorer or a filter cannot be had, or the models do not go together.
    """
    if Path(config.model).is_dir() and is_plato(Path(resolve_model_folder(config.model))):
        return build_plato_responder(config)
    return respond.build_responder(config)
