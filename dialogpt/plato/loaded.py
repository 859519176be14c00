"""A PLATO of a model folder, ready to decode."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dialogpt.checkpoint import read_model_card, resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.decode.contexts import Context
from dialogpt.decode.load import (
    Loaded,
    check_direction,
    check_tokenizer,
    readable_ids,
    warn_of_text_rules,
)
from dialogpt.plato.engine import PlatoEngine, frozen
from dialogpt.plato.generate import ReplyTokens
from dialogpt.plato.load import load_plato
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.sequence import Columns, context_columns, response_columns
from dialogpt.plato.sequence import Context as ContextIds
from dialogpt.records import UNKNOWN_SPEAKER
from dialogpt.tokenization import load_tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedPlato(Loaded):
    """A PLATO that is ready to decode; see `Loaded`.

    Attributes:
        engine: its forward pass, with what decoding keeps between batches.
        tokens: of its replies.
    """

    model: PlatoModel
    engine: PlatoEngine
    tokens: ReplyTokens

    def context_columns(self, context: Context) -> Columns:
        """(4, P): a context with its knowledge as the model reads it, cut to its limits."""
        speakers: Sequence[int] = context.speakers
        return context_columns(
            ContextIds(
                turns=[np.array(ids[:-1], np.int64) for ids in context.turn_ids],
                speakers=speakers or [UNKNOWN_SPEAKER] * len(context.turns),
                replier=context.replier,
                knowledge=[np.array(ids, np.int64) for ids in context.knowledge_ids],
            ),
            self.model.config.sequence,
            eou_id=self.tokenizer.eos_id,
        )

    def response_columns(self, token_ids: Sequence[int]) -> Columns:
        """(4, T): [BOU], a response and [EOU] as training recognises them."""
        return response_columns(
            np.array(token_ids, np.int64),
            bou_id=self.tokenizer.bou_id,
            eou_id=self.tokenizer.eos_id,
            max_tokens=self.model.config.sequence.max_response_tokens,
        )


def load_for_decoding(name: str, *, device: torch.device, dtype: torch.dtype) -> LoadedPlato:
    """A PLATO with its tokenizer.

    Args:
        name: a run folder (its best model) or a model folder.
        device: where to put the weights; of several GPUs it becomes the current one.
        dtype: format of its products.

    Raises:
        UserError: the folder holds no PLATO of this project, or its parts do not belong together.
    """
    folder = Path(resolve_model_folder(name))
    card = read_model_card(folder)
    if card is not None:
        check_direction(str(folder), card, "forward")
    model = load_plato(folder)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # where kernels are launched and steps recorded
    tokenizer = load_tokenizer(str(folder))
    check_tokenizer(str(folder), model.network.sizes.vocab_size, tokenizer, card=card)
    warn_of_text_rules(str(folder), card)
    frozen(model, device, dtype)
    readable = readable_ids(tokenizer).to(device)
    return LoadedPlato(
        name=str(folder),
        model=model,
        tokenizer=tokenizer,
        window=model.config.sequence.longest_row,
        readable=readable,
        engine=PlatoEngine(model),
        tokens=ReplyTokens.of(tokenizer, readable=readable),
    )


def require_positions(loaded: LoadedPlato, max_new_tokens: int) -> None:
    """Raise UserError where replies may be longer than the model's table of positions."""
    # [BOU] before a reply and [EOU] behind it have positions, too.
    most = loaded.model.network.sizes.num_positions - 2
    if max_new_tokens > most:
        raise UserError(
            f"{loaded.name}: expected generation.max_new_tokens of at most {most}, as the model "
            f"has positions for so many, found {max_new_tokens}; lower it"
        )
