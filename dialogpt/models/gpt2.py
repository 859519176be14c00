"""GPT-2 through transformers: new or from a checkpoint, and its loss on a batch.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; DialoGPT
(arXiv:1911.00536) trains the same architecture on dialogues.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

from dialogpt.checkpoint import resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.config import ModelConfig
from dialogpt.data.packing import PackedBatch
from dialogpt.models.base import LanguageBatch
from dialogpt.models.losses import scored_positions, token_nll
from dialogpt.models.packed_gpt2 import PackedGpt2


class DialogueModel(nn.Module):
    """A GPT-2 language model with the loss of `dialogpt.models.base.DialogueLoss`.

    Args:
        language_model: transformers' GPT2LMHeadModel.
        compiled: whether torch compiles what packed batches go through.
    """

    def __init__(self, language_model: Any, *, compiled: bool = False) -> None:
        super().__init__()
        self.language_model = language_model
        self._packed = PackedGpt2(language_model, compiled=compiled)

    def forward(self, batch: LanguageBatch | PackedBatch) -> dict[str, Tensor]:
        """{"nll": () float32}, nats summed over the batch's target tokens.

        Packed and padded batches of the same dialogues have the same loss and gradients.
        """
        if isinstance(batch, PackedBatch):
            return {"nll": self._packed.nll(batch)}
        return {"nll": self._padded_nll(batch)}

    def _padded_nll(self, batch: LanguageBatch) -> Tensor:
        """() float32.

        Neither mask, positions nor token types are passed. Rows are padded on the right and
        attention looks left only, so no real token sees padding, and positions count from 0 as they
        are; attention without a mask runs on the fast causal kernels. Token types would be looked
        up in GPT-2's word table (DialoGPT#17).
        """
        hidden = self.language_model.transformer(batch.input_ids, use_cache=False)[0]
        states, targets = scored_positions(hidden, batch.labels)
        return token_nll(self.language_model.lm_head(states), targets)

    def loss_counts(self, batch: LanguageBatch | PackedBatch) -> dict[str, int]:
        """{"nll": target tokens}."""
        return {"nll": batch.num_target_tokens}

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors; GPT2LMHeadModel.from_pretrained reads them."""
        disable_progress_bar()  # training has a bar of its own
        self.language_model.save_pretrained(folder)


def build_gpt2(
    config: ModelConfig, *, vocab_size: int, eos_id: int, compiled: bool = False
) -> DialogueModel:
    """A GPT-2 in float32, new or from a checkpoint, for a tokenizer.

    A new one is initialised as GPT-2 was: N(0, 0.02), and N(0, 0.02 / sqrt(2 x layers)) for the
    projections that end on the residual stream. transformers does so; the tests hold it to that.

    Args:
        config: sizes, or where the checkpoint is.
        vocab_size: ids of the tokenizer.
        eos_id: its end-of-turn id, which generation starts and stops with.
        compiled: see `DialogueModel`.

    Raises:
        UserError: there is no such checkpoint, or it has another vocabulary or architecture.
    """
    # The release drops no attention weights (lsp_model/modeling_gpt2.py); no fast kernel does.
    dropout = {"resid_pdrop": config.dropout, "embd_pdrop": config.dropout, "attn_pdrop": 0.0}
    if config.init == "scratch":
        sizes = GPT2Config(
            vocab_size=vocab_size,
            n_positions=config.max_positions,
            n_embd=config.hidden_size,
            n_layer=config.num_layers,
            n_head=config.num_heads,
            bos_token_id=eos_id,
            eos_token_id=eos_id,
            **dropout,
        )
        return DialogueModel(GPT2LMHeadModel(sizes), compiled=compiled)
    # Weights may be stored in half precision; the optimizer needs 32 bits.
    model = load_gpt2(resolve_model_folder(config.init), dtype=torch.float32, **dropout)
    if model.config.vocab_size != vocab_size:
        raise UserError(
            f"model.init {config.init!r}: expected a vocabulary of {vocab_size} ids, as the "
            f"shards' tokenizer has, found {model.config.vocab_size}; write the shards with the "
            "checkpoint's tokenizer, or take another checkpoint"
        )
    return DialogueModel(model, compiled=compiled)


def load_gpt2(name: str, *, dtype: torch.dtype, **changes: float) -> Any:
    """The GPT2LMHeadModel of a checkpoint, with all of its weights.

    Args:
        name: a model folder, or a name on the hub.
        dtype: format of the weights.
        changes: values that replace those of its config.json.

    Raises:
        UserError: nothing is there that loads, or it is not a whole GPT-2.
    """
    disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(name, **changes)
        # transformers loads any checkpoint into any class, and fills what is missing at random.
        if config.model_type != "gpt2":
            raise UserError(f"{name}: expected a GPT-2, found the model type {config.model_type}")
        model, report = GPT2LMHeadModel.from_pretrained(
            name,
            config=config,
            dtype=dtype,
            use_safetensors=True,  # the older format is pickle, which can run code
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{name}: expected a run folder, a model folder (config.json, model.safetensors) or "
            f"a name on the hub; loading failed: {reason}"
        ) from error
    if report["missing_keys"]:
        raise UserError(
            f"{name}: the weights lack {', '.join(sorted(report['missing_keys'])[:3])}; they are "
            "not those of a transformers GPT2LMHeadModel, or of other sizes than config.json says"
        )
    return model


def num_parameters(model: nn.Module) -> int:
    """Trainable parameters; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
