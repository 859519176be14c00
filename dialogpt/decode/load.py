"""Models for decoding, from a folder or the hub, checked before anything is generated with them."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dialogpt.checkpoint import ModelCard, read_model_card, resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.config.shared import Direction
from dialogpt.distributed import choose_precision
from dialogpt.models.gpt2 import load_gpt2, require_plain
from dialogpt.models.inference import CausalLm
from dialogpt.text import TEXT_RULES, clean_turn
from dialogpt.tokenization import Tokenizer, load_tokenizer

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A model that is ready to decode.

    Attributes:
        name: the folder or hub name that it was loaded from.
        model: in evaluation mode, on its device, which it has as `device`.
        tokenizer: the one it was trained with.
        window: most tokens it reads: the longest row of its training, or its position table where
            that is not known (a model from elsewhere) or shorter.
        readable: (vocab_size,) bool on its device, whether a token shows something.
    """

    name: str
    model: Any
    tokenizer: Tokenizer
    window: int
    readable: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel(Loaded):
    """A GPT-2 that is ready to decode; see `Loaded`."""

    model: CausalLm


def choose_device(name: str) -> torch.device:
    """The device to decode on.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UserError: there is no such device.
    """
    num_gpus = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if num_gpus else "cpu")
    known = ["cpu", *(["cuda"] if num_gpus else []), *(f"cuda:{i}" for i in range(num_gpus))]
    if name not in known:
        raise UserError(f"device: expected auto or one of {', '.join(known)}, found {name!r}")
    return torch.device(name)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format of the weights; UserError where the device does not have it."""
    on_gpu = device.type == "cuda"
    capability = torch.cuda.get_device_capability(device) if on_gpu else None
    return _DTYPES[choose_precision(precision, device.type, capability=capability)]


def load_model(
    name: str, direction: Direction, *, device: torch.device, dtype: torch.dtype
) -> LoadedModel:
    """A model with its tokenizer and window.

    Args:
        name: a run folder (its best model), a model folder, or a name on the hub.
        direction: what the model must have been trained for; a model from elsewhere, without our
            card, is taken at the caller's word.
        device: where to put the weights; of several GPUs it becomes the current one.
        dtype: their format.

    Raises:
        UserError: no GPT-2 is there, its parts do not belong together, or it was trained for the
            other direction.
    """
    folder = resolve_model_folder(name)
    is_local = Path(folder).is_dir()
    card = read_model_card(Path(folder)) if is_local else None
    if card is not None:
        check_direction(folder, card, direction)
    model = load_gpt2(folder, dtype=dtype)
    require_plain(model.config, folder)
    num_positions = model.config.n_positions
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # where kernels are launched and steps recorded
    model.requires_grad_(False).eval().to(device)
    tokenizer = load_tokenizer(folder if is_local else f"hub:{folder}")
    check_tokenizer(folder, model.lm_head.weight.shape[0], tokenizer, card=card)
    warn_of_text_rules(folder, card)
    if card is None:
        _logger.warning(
            "%s: no dialogpt.json says on how long rows it was trained, so contexts may fill all "
            "of its %d positions; DialoGPT's published models saw 128 tokens at most: `python -m "
            "dialogpt.import_checkpoint` makes a folder that knows",
            folder,
            num_positions,
        )
    window = min(card.max_seq_len, num_positions) if card is not None else num_positions
    return LoadedModel(
        name=folder,
        model=model,
        tokenizer=tokenizer,
        window=window,
        readable=readable_ids(tokenizer).to(device),
    )


def readable_ids(tokenizer: Tokenizer) -> Tensor:
    """(vocab_size,) bool: which tokens alone would be a reply that is not empty."""
    texts = tokenizer.decode_batch([[token_id] for token_id in range(tokenizer.vocab_size)])
    return torch.tensor([bool(clean_turn(text)) for text in texts])


def check_same_tokenizer(forward: Loaded, backward: Loaded) -> None:
    """Raise UserError unless token ids mean the same to both: they are passed from one to other."""
    ours, theirs = forward.tokenizer, backward.tokenizer
    if ours.fingerprint != theirs.fingerprint:
        raise UserError(
            f"the forward and the backward model need the same tokenizer; {forward.name} has "
            f"{ours.kind} {ours.fingerprint}, {backward.name} has {theirs.kind} "
            f"{theirs.fingerprint}; train both on the same shards"
        )


def check_direction(folder: str, card: ModelCard, wanted: Direction) -> None:
    """Raise UserError if a model was trained for the other direction."""
    if card.direction != wanted:
        option = "--model" if wanted == "forward" else "--backward_model"
        raise UserError(
            f"{option} {folder}: expected a {wanted} model, found one trained {card.direction}; "
            f"name a run of `python -m dialogpt.train --direction {wanted}`"
        )


def warn_of_text_rules(folder: str, card: ModelCard | None) -> None:
    """Say so where a model was trained on text that was cleaned by other rules than contexts."""
    if card is not None and card.text_rules != TEXT_RULES:
        _logger.warning(
            "%s: trained on text cleaned by the rules %r, contexts are cleaned by %r; replies may "
            "suffer",
            folder,
            card.text_rules,
            TEXT_RULES,
        )


def check_tokenizer(
    folder: str, num_embeddings: int, tokenizer: Tokenizer, *, card: ModelCard | None
) -> None:
    """Raise UserError unless the model was trained with this tokenizer, as far as can be told."""
    if card is not None and card.tokenizer_fingerprint != tokenizer.fingerprint:
        raise UserError(
            f"{folder}: trained with the tokenizer {card.tokenizer_fingerprint}, found "
            f"{tokenizer.fingerprint} beside it; restore the files that were saved with the model"
        )
    if num_embeddings < tokenizer.vocab_size:
        raise UserError(
            f"{folder}: the model has {num_embeddings} token embeddings, its tokenizer "
            f"{tokenizer.vocab_size} ids; they do not belong together"
        )
