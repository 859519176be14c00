"""BERT's and GPT-2's weights under PLATO's names. Shapes: V vocabulary, P positions, D width.

BERT (arXiv:1810.04805): its two token types become the roles of who replies and of others; pooler
and heads have no place here. GPT-2: no such types, so roles begin at random, with the turns.

    ours                             BERT                                          GPT-2
    tokens, positions                embeddings.word_, .position_embeddings        wte, wpe
    roles 0 and 1                    embeddings.token_type_embeddings
    embedding_norm, final_norm       embeddings.LayerNorm                          ln_f
    blocks.N.qkv                     attention.self.query, .key, .value            attn.c_attn
    blocks.N.projection              attention.output.dense                        attn.c_proj
    blocks.N.attention_norm          attention.output.LayerNorm                    ln_1
    blocks.N.inner, .outer           intermediate.dense, output.dense              mlp.c_fc, .c_proj
    blocks.N.mlp_norm                output.LayerNorm                              ln_2
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dialogpt.command_line import UserError
from dialogpt.models.gpt2 import plain_gpt2_heads
from dialogpt.models.gpt2_weights import read_tensors, read_weights
from dialogpt.plato.network import INITIAL_STD
from dialogpt.plato.sequence import NUM_ROLES

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
Weights = dict[str, Tensor]
Sizes = dict[str, Any]
"""Values of `dialogpt.plato.network.PlatoSizes` by field, as far as the weights say them."""

_BERT_SIZES = {
    "num_layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "num_heads": "num_attention_heads",
    "inner_size": "intermediate_size",
    "num_positions": "max_position_embeddings",
    "vocab_size": "vocab_size",
}
_BERT_TRAINED_AS = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "add_cross_attention": False,
    "is_decoder": False,
}
"""What may vary in transformers' BERT and does not in BERT. Files may leave them out."""
_OLD_ENDINGS = {"gamma": "weight", "beta": "bias"}
"""Of layer norms, as the files of BERT-base-uncased still have them."""
_BERT_LAYER = {
    "attention.output.dense": "projection",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "mlp_norm",
}
_GPT2_LAYER = {
    "attn.c_attn": "qkv",
    "attn.c_proj": "projection",
    "ln_1": "attention_norm",
    "mlp.c_fc": "inner",
    "mlp.c_proj": "outer",
    "ln_2": "mlp_norm",
}


def read_pretrained(folder: Path) -> tuple[Weights, Sizes]:
    """`bert_weights` or `gpt2_weights`, as the folder's config.json says.

    Raises:
        UserError: it holds a model of another kind, or not the whole of one.
    """
    model_type = _read_config(folder).get("model_type")
    if model_type == "bert":
        return bert_weights(folder)
    if model_type == "gpt2":
        return gpt2_weights(folder)
    raise UserError(
        f"{folder / CONFIG_FILE}: expected the model_type 'bert' or 'gpt2', found {model_type!r}; "
        "PLATO begins with one of these, or with a PLATO"
    )


def bert_weights(folder: Path) -> tuple[Weights, Sizes]:
    """The encoder of a BERT that transformers saved, float32, and its sizes.

    The table of roles has a third row, drawn at random: knowledge is nothing that BERT knows.

    Args:
        folder: config.json and model.safetensors or pytorch_model.bin, with or without heads.

    Raises:
        UserError: it computes otherwise than BERT, or a tensor is missing or of another shape.
    """
    sizes = _bert_sizes(folder)
    file = weights_file(folder)
    found = _bert_names(read_tensors(file))
    take = Taker(file, found)
    vocab, width, inner = sizes["vocab_size"], sizes["hidden_size"], sizes["inner_size"]
    types = take("embeddings.token_type_embeddings.weight", 2, width)
    weights = {
        "tokens.weight": take("embeddings.word_embeddings.weight", vocab, width),
        "positions.weight": take(
            "embeddings.position_embeddings.weight", sizes["num_positions"], width
        ),
        "roles.weight": with_new_rows(types, NUM_ROLES),
        **take.both("embeddings.LayerNorm", "embedding_norm", width),
    }
    shapes = {"inner": (inner, width), "outer": (width, inner), "projection": (width, width)}
    for layer in range(sizes["num_layers"]):
        theirs, ours = f"encoder.layer.{layer}", f"blocks.{layer}"
        parts = [f"{theirs}.attention.self.{name}" for name in ("query", "key", "value")]
        weights[f"{ours}.qkv.weight"] = torch.cat(
            [take(f"{p}.weight", width, width) for p in parts]
        )
        weights[f"{ours}.qkv.bias"] = torch.cat([take(f"{p}.bias", width) for p in parts])
        for name, our_name in _BERT_LAYER.items():
            shape = shapes.get(our_name, (width,))
            weights |= take.both(f"{theirs}.{name}", f"{ours}.{our_name}", *shape)
    take.refuse_rest("embeddings.", "encoder.", but=("embeddings.position_ids",))
    return weights, sizes


def gpt2_weights(folder: Path) -> tuple[Weights, Sizes]:
    """A GPT-2 that transformers saved, without its output layer, float32, and its sizes.

    Args:
        folder: config.json and model.safetensors or pytorch_model.bin; names with or without
            `transformer.` before them.

    Raises:
        UserError: it computes otherwise than GPT-2, or a tensor is missing or of another shape.
    """
    num_heads = plain_gpt2_heads(folder)
    file = weights_file(folder)
    read = read_weights(file, num_heads=num_heads)
    if not read.is_tied:
        logger.debug("%s: its own output layer is left out; PLATO's is the table of tokens", file)
    theirs = {n.removeprefix("transformer."): value.float() for n, value in read.tensors.items()}
    weights = {
        "tokens.weight": theirs["wte.weight"],
        "positions.weight": theirs["wpe.weight"],
        "final_norm.weight": theirs["ln_f.weight"],
        "final_norm.bias": theirs["ln_f.bias"],
    }
    for layer in range(read.sizes.num_layers):
        for name, our_name in _GPT2_LAYER.items():
            weight = theirs[f"h.{layer}.{name}.weight"]
            # GPT-2 multiplies from the left: (in, out), where torch's layers have (out, in).
            weight = weight.T.contiguous() if weight.dim() == 2 else weight
            weights[f"blocks.{layer}.{our_name}.weight"] = weight
            weights[f"blocks.{layer}.{our_name}.bias"] = theirs[f"h.{layer}.{name}.bias"]
    width = read.sizes.hidden_size
    return weights, {
        "num_layers": read.sizes.num_layers,
        "hidden_size": width,
        "num_heads": num_heads,
        "inner_size": 4 * width,
        "num_positions": read.sizes.num_positions,
        "vocab_size": read.sizes.vocab_size,
        "blocks": "gpt2",
        "norm_eps": float(_read_config(folder).get("layer_norm_epsilon", 1e-5)),
    }


class Taker:
    """Tensors of a file, each asked for by name and shape; remembers which were.

    Args:
        file: for messages.
        tensors: by name.
    """

    def __init__(self, file: Path, tensors: Mapping[str, Tensor]) -> None:
        self._file = file
        self._tensors = tensors
        self._taken: set[str] = set()

    def __call__(self, name: str, *shape: int) -> Tensor:
        """The tensor in float32.

        Raises:
            UserError: it is not there, of another shape, or not of finite numbers.
        """
        if name not in self._tensors:
            raise UserError(
                f"{self._file}: expected {name} of shape {shape}, found no such tensor among "
                f"{len(self._tensors)}; take the weights of a whole model"
            )
        tensor = self._tensors[name]
        if tuple(tensor.shape) != shape or not tensor.is_floating_point():
            raise UserError(
                f"{self._file}: expected {name} of shape {shape} in floating point, found "
                f"{tuple(tensor.shape)} of {tensor.dtype}; take the weights that belong to the "
                "config"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{self._file}: expected numbers in {name}, found nan or infinity")
        self._taken.add(name)
        return tensor.float()

    def both(self, name: str, our_name: str, *shape: int) -> Weights:
        """Weight, of a shape, and bias, of its first axis, under our name."""
        return {
            f"{our_name}.weight": self(f"{name}.weight", *shape),
            f"{our_name}.bias": self(f"{name}.bias", shape[0]),
        }

    def refuse_rest(self, *prefixes: str, but: tuple[str, ...]) -> None:
        """Leave out what nobody asked for.

        Raises:
            UserError: its name begins as those of the network do, so that it would be missed.
        """
        rest = sorted(set(self._tensors) - self._taken - set(but))
        needed = [name for name in rest if name.startswith(prefixes)]
        if needed:
            raise UserError(
                f"{self._file}: expected nothing that PLATO has no place for, found {needed[0]!r}; "
                "take the weights of a plain model"
            )
        if rest:
            logger.debug("%s: left out, as PLATO has no use for it: %s", self._file, rest)


def with_new_rows(table: Tensor, num_rows: int) -> Tensor:
    """(num_rows, D): a table with new rows behind its own, N(0, 0.02) as a new network has them."""
    new = torch.empty(num_rows - len(table), table.shape[1]).normal_(std=INITIAL_STD)
    return torch.cat([table, new])


def weights_file(folder: Path) -> Path:
    """The file of weights in a model folder; UserError where there is none."""
    for name in WEIGHTS_FILES:
        if (folder / name).is_file():
            return folder / name
    raise UserError(
        f"{folder}: expected {' or '.join(WEIGHTS_FILES)}, found neither; copy the model's folder "
        "whole, with its weights in one file"
    )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"a {type(config).__name__} in the place of an object")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: expected the config of a BERT or a GPT-2, found none that can be read "
            f"({error}); name a folder that transformers saved"
        ) from error
    return config


def _bert_sizes(folder: Path) -> Sizes:
    path, config = folder / CONFIG_FILE, _read_config(folder)
    wanted = {"model_type": "bert", **_BERT_TRAINED_AS}
    for key, expected in wanted.items():
        found = config.get(key, expected)
        if found != expected:
            raise UserError(
                f"{path}: expected {key} {expected!r} as in BERT, found {found!r}; take another "
                "checkpoint"
            )
    sizes: Sizes = {"blocks": "bert", "norm_eps": config.get("layer_norm_eps", 1e-12)}
    for name, key in _BERT_SIZES.items():
        sizes[name] = config.get(key)
        if not isinstance(sizes[name], int) or sizes[name] < 1:
            raise UserError(f"{path}: expected {key}, a positive number, found {sizes[name]!r}")
    if sizes["hidden_size"] % sizes["num_heads"]:
        raise UserError(
            f"{path}: expected heads that share the width evenly, found {sizes['num_heads']} for "
            f"{sizes['hidden_size']}"
        )
    return sizes


def _bert_names(tensors: Mapping[str, Tensor]) -> Weights:
    """Names without `bert.`, which stands before those of the encoder where there are heads."""
    named = {}
    for name, tensor in tensors.items():
        stem, _, ending = name.removeprefix("bert.").rpartition(".")
        named[f"{stem}.{_OLD_ENDINGS.get(ending, ending)}"] = tensor
    return named
