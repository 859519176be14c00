"""GPT-2 through transformers: new or from a checkpoint, and its loss on a batch.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; DialoGPT
(arXiv:1911.00536) trains the same architecture on dialogues.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

from dialogpt.checkpoint import is_plato, resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.config.training import ModelConfig
from dialogpt.data.packing import PackedBatch
from dialogpt.models.base import LanguageBatch
from dialogpt.models.losses import scored_positions, token_nll
from dialogpt.models.packed_gpt2 import PackedGpt2, product_type
from dialogpt.models.target_nll import target_nll


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSizes:
    """What a GPT-2's parameters and memory are counted from."""

    num_layers: int
    hidden_size: int
    num_heads: int
    num_positions: int
    vocab_size: int

    @property
    def num_block_parameters(self) -> int:
        """Of all transformer blocks: twelve square matrices each, biases and two norms."""
        width = self.hidden_size
        return self.num_layers * (12 * width**2 + 13 * width)

    @property
    def num_parameters(self) -> int:
        """With both embeddings and the last norm; the output layer is the table of tokens."""
        width = self.hidden_size
        return self.num_block_parameters + (self.vocab_size + self.num_positions + 2) * width


class DialogueModel(nn.Module):
    """A GPT-2 language model with the loss of `dialogpt.models.base.DialogueLoss`.

    Args:
        language_model: transformers' GPT2LMHeadModel.
        compiled: whether torch compiles what packed batches go through.
        recomputes: whether the backward pass computes activations again, a block at a time, instead
            of finding them in memory (Chen et al. 2016, arXiv:1604.06174).
    """

    def __init__(
        self, language_model: Any, *, compiled: bool = False, recomputes: bool = False
    ) -> None:
        super().__init__()
        self.language_model = language_model
        for block in language_model.transformer.h:
            # The same function (see `_TRAINED_AS`) as one kernel instead of eight.
            block.mlp.act = nn.GELU(approximate="tanh")
        self._packed = PackedGpt2(language_model, compiled=compiled, recomputes=recomputes)
        if recomputes:
            language_model.gradient_checkpointing_enable({"use_reentrant": False})

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
        table = self.language_model.lm_head.weight
        kind = product_type(table)
        if kind == torch.float16:
            # Its gradients are scaled on the way back, so they cannot be made on the way forward.
            return token_nll(self.language_model.lm_head(states), targets)
        ones = torch.ones_like(targets, dtype=torch.float32)
        with torch.autocast(states.device.type, enabled=False):
            return target_nll(states.to(kind), table, targets, ones)

    def loss_counts(self, batch: LanguageBatch | PackedBatch) -> dict[str, int]:
        """{"nll": target tokens}."""
        return {"nll": batch.num_target_tokens}

    def blocks(self) -> list[nn.Module]:
        """As `dialogpt.models.base.DialogueLoss` has it."""
        return list(self.language_model.transformer.h)

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write config.json and model.safetensors; GPT2LMHeadModel.from_pretrained reads them.

        Args:
            folder: where.
            weights: by this module's names, in the place of its own.
        """
        disable_progress_bar()  # training has a bar of its own
        if weights is None:
            self.language_model.save_pretrained(folder)
            return
        prefix = "language_model."
        named = {name.removeprefix(prefix): weight for name, weight in weights.items()}
        self.language_model.save_pretrained(folder, state_dict=named)


def gpt2_sizes(config: ModelConfig, *, vocab_size: int) -> ModelSizes:
    """The sizes of the model that `build_gpt2` would build, without building it.

    Raises:
        UserError: as `build_gpt2`.
    """
    if config.init == "scratch":
        return ModelSizes(
            num_layers=config.num_layers,
            hidden_size=config.hidden_size,
            num_heads=config.num_heads,
            num_positions=config.max_positions,
            vocab_size=vocab_size,
        )
    found = _read_config(resolve_model_folder(config.init))
    return ModelSizes(
        num_layers=found.n_layer,
        hidden_size=found.n_embd,
        num_heads=found.n_head,
        num_positions=found.n_positions,
        vocab_size=found.vocab_size,
    )


def build_gpt2(
    config: ModelConfig, *, vocab_size: int, eos_id: int, **options: bool
) -> DialogueModel:
    """A GPT-2 in float32, new or from a checkpoint, for a tokenizer.

    A new one is initialised as GPT-2 was: N(0, 0.02), and N(0, 0.02 / sqrt(2 x layers)) for the
    projections that end on the residual stream. transformers does so; the tests hold it to that.

    Args:
        config: sizes, or where the checkpoint is.
        vocab_size: ids of the tokenizer.
        eos_id: its end-of-turn id, which generation starts and stops with.
        options: `compiled` and `recomputes` of `DialogueModel`.

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
        return DialogueModel(GPT2LMHeadModel(sizes), **options)
    # Weights may be stored in half precision; the optimizer needs 32 bits.
    model = load_gpt2(resolve_model_folder(config.init), dtype=torch.float32, **dropout)
    if model.config.vocab_size != vocab_size:
        raise UserError(
            f"model.init {config.init!r}: expected a vocabulary of {vocab_size} ids, as the "
            f"shards' tokenizer has, found {model.config.vocab_size}; write the shards with the "
            "checkpoint's tokenizer, or take another checkpoint"
        )
    require_plain(model.config, f"model.init {config.init}")
    return DialogueModel(model, **options)


_TRAINED_AS = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of the tanh form
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
"""What may vary in transformers' GPT-2 and does not in GPT-2."""


def plain_gpt2_heads(folder: Path) -> int:
    """The attention heads a block of a model folder, which must compute what GPT-2 computes.

    Raises:
        UserError: there is no config.json, or it is that of another model.
    """
    config = _read_config(str(folder))
    require_plain(config, str(folder))
    return int(config.n_head)


def require_plain(config: Any, name: str) -> None:
    """Raise UserError unless a model of this config computes what GPT-2 computes."""
    for key, expected in _TRAINED_AS.items():
        found = getattr(config, key)
        if found not in expected:
            raise UserError(
                f"{name!r}: expected {key} {expected[0]} as in GPT-2, found {found} in "
                "config.json; take another checkpoint"
            )


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
    config = _read_config(name, **changes)
    try:
        model, report = GPT2LMHeadModel.from_pretrained(
            name,
            config=config,
            dtype=dtype,
            # safetensors where they are there. The older format, pytorch_model.bin, is a pickle,
            # which could run code: so a reader that knows tensors and nothing else.
            weights_only=True,
            output_loading_info=True,
        )
    except _LOADING_ERRORS as error:
        raise _no_model(name, error) from error
    except Exception as error:
        # Its class is that of the module that reads pickles, which this project never imports.
        if type(error).__name__ != "UnpicklingError":
            raise
        raise UserError(
            f"{name}: expected tensors only in pytorch_model.bin; nothing in it was run. "
            f"{refusal(error)}"
        ) from error
    if report["missing_keys"]:
        raise UserError(
            f"{name}: the weights lack {', '.join(sorted(report['missing_keys'])[:3])}; they are "
            "not those of a transformers GPT2LMHeadModel, or of other sizes than config.json says"
        )
    return model


def refusal(error: Exception) -> str:
    """What torch did not read, and what to do.

    torch's own message goes on to say how to run what is in the file.
    """
    what = re.search(r"(?:GLOBAL|global|class|function) `?([A-Za-z_][\w.]*\.\w+)", str(error))
    found = (
        f"it asks for {what[1]}, which could run code"
        if what
        else "it is damaged, or not a file of torch.save"
    )
    return f"Found that {found}; get the weights as safetensors, or from another place"


_LOADING_ERRORS = (OSError, ValueError, RuntimeError, SafetensorError)


def _read_config(name: str, **changes: float) -> Any:
    """The config of a GPT-2; UserError for any other model, and where there is none."""
    if is_plato(Path(name)):
        raise UserError(
            f"{name}: expected a GPT-2, found a PLATO; `python -m dialogpt.plato` measures it, and "
            "decoding, chat and the web page take it as --model"
        )
    try:
        # A folder may bring code for its config; without this, transformers asks whether to run it.
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **changes)
    except _LOADING_ERRORS as error:
        raise _no_model(name, error) from error
    # transformers loads any checkpoint into any class, and fills what is missing at random.
    if config.model_type != "gpt2":
        raise UserError(f"{name}: expected a GPT-2, found the model type {config.model_type}")
    return config


def _no_model(name: str, error: Exception) -> UserError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(
        f"{name}: expected a run folder, a model folder (config.json and model.safetensors "
        f"or pytorch_model.bin) or a name on the hub; loading failed: {reason}"
    )


def num_parameters(model: nn.Module) -> int:
    """Trainable parameters; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
