"""The released PLATO under our names. Shapes: V vocabulary, P positions, D width, K latents.

Its code is PaddlePaddle/Research, NLP/Dialogue-PLATO; HwwAncient/Pytorch-PLATO has the same modules
in torch, and its tools/paddle2pytorch.py says which of Paddle's names is which:

    ours                         the port's                       Paddle's, behind its model's name
    tokens                       embedder.token_embedding         /Embedder_0/Embedding_0
    positions, roles, turns      .pos_, .type_, .turn_embedding   /Embedder_0/Embedding_1, _2, _3
    embedding_norm               embed_layer_norm                 /LayerNorm_0
    latents, mask                latent_embeddings, mask_embed    .latent_embeddings, .mask_embed
    blocks.N.qkv, .projection    layers.N.attn.linear_qkv, _out   .../MultiheadAttention_0/FC_0, _1
    blocks.N.attention_norm      layers.N.attn_norm               .../LayerNorm_0
    blocks.N.inner, .outer       layers.N.ff.linear_hidden, _out  .../FeedForward_0/FC_0, _1
    blocks.N.mlp_norm            layers.N.ff_norm                 .../LayerNorm_1
    posterior, bag_of_words      post_network, bow_predictor      .post_network, .bow_predictor
    selection                    discriminator.0                  .discriminator

Queries, keys and values lie in this order in both, roles are numbered alike (0 replies, 1 is
others, 2 knowledge), and rows of the vocabulary are those of BERT-base-uncased. Paddle's layers
have their weights as (in, out), torch's as (out, in).
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dialogpt.command_line import UserError
from dialogpt.models.gpt2_weights import HEAD_SIZE, read_tensors
from dialogpt.plato.sequence import NUM_ROLES, NUM_TURNS
from dialogpt.plato.weights import Sizes, Taker, Weights, with_new_rows

logger = logging.getLogger(__name__)

_NORM_EPS = 1e-12
_NUM_TURNS = 16
"""Rows of its table of turns; ours has one more, for knowledge with a turn of its own."""
_TABLES = ("token", "pos", "type", "turn")
_PADDLE = re.compile(r"(?:Model/)?UnifiedTransformer_0([./].+)")
_PADDLE_LAYER = re.compile(r"/TransformerBlock_(\d+)/(.+)")
_PADDLE_LAYER_NAMES = {
    "MultiheadAttention_0/FC_0": "attn.linear_qkv",
    "MultiheadAttention_0/FC_1": "attn.linear_out",
    "LayerNorm_0": "attn_norm",
    "FeedForward_0/FC_0": "ff.linear_hidden.0",
    "FeedForward_0/FC_1": "ff.linear_out",
    "LayerNorm_1": "ff_norm",
}
_PADDLE_NAMES = {
    **{f"/Embedder_0/Embedding_{i}": f"embedder.{t}_embedding" for i, t in enumerate(_TABLES)},
    "/LayerNorm_0": "embed_layer_norm",
    ".post_network/FC_0": "post_network",
    ".discriminator/FC_0": "discriminator.0",
    ".bow_predictor/FC_0": "bow_predictor",
}
_PADDLE_ENDINGS = {"w_0": "weight", "b_0": "bias"}


def release_weights(file: Path, *, num_heads: int = 0) -> tuple[Weights, Sizes]:
    """All of a released PLATO, float32, and its sizes; the biases that it lacks are zeros.

    A third role and a 17th turn, where it has none, are drawn at random. Without a discriminator or
    a bag of words (both are options there) these heads are zeros, and a warning says so.

    Args:
        file: safetensors, or what `torch.save` wrote of a state dict, with the names of either.
        num_heads: attention heads a block; 0 takes heads of 64 dimensions, as the release has.

    Raises:
        UserError: it holds anything but tensors, or not one whole PLATO of the release's shape.
    """
    found = _port_names(read_tensors(file))
    take = Taker(file, found)
    sizes = _sizes(file, found, num_heads)
    vocab, width, inner = sizes["vocab_size"], sizes["hidden_size"], sizes["inner_size"]
    num_roles = min(max(len(found.get("embedder.type_embedding.weight", ())), 2), NUM_ROLES)
    roles = take("embedder.type_embedding.weight", num_roles, width)
    turns = take("embedder.turn_embedding.weight", _NUM_TURNS, width)
    weights = {
        "tokens.weight": take("embedder.token_embedding.weight", vocab, width),
        "positions.weight": take("embedder.pos_embedding.weight", sizes["num_positions"], width),
        "roles.weight": with_new_rows(roles, NUM_ROLES),
        "turns.weight": with_new_rows(turns, NUM_TURNS),
        **take.both("embed_layer_norm", "embedding_norm", width),
    }
    for layer in range(sizes["num_layers"]):
        theirs, ours = f"layers.{layer}", f"blocks.{layer}"
        weights |= take.both(f"{theirs}.attn.linear_qkv", f"{ours}.qkv", 3 * width, width)
        weights |= take.both(f"{theirs}.attn.linear_out", f"{ours}.projection", width, width)
        weights |= take.both(f"{theirs}.attn_norm", f"{ours}.attention_norm", width)
        weights |= take.both(f"{theirs}.ff.linear_hidden.0", f"{ours}.inner", inner, width)
        weights |= take.both(f"{theirs}.ff.linear_out", f"{ours}.outer", width, inner)
        weights |= take.both(f"{theirs}.ff_norm", f"{ours}.mlp_norm", width)
    if sizes["num_latents"]:
        weights |= _latent_parts(file, found, take, sizes)
    # An output layer of its own, or one more layer before it, would change every reply.
    take.refuse_rest("", but=("sequence_mask",))
    return weights, sizes


def _latent_parts(file: Path, found: Mapping[str, Tensor], take: Taker, sizes: Sizes) -> Weights:
    num_latents, vocab, width = (sizes[k] for k in ("num_latents", "vocab_size", "hidden_size"))
    parts = {
        "latents.weight": take("latent_embeddings", num_latents, width),
        "mask": take("mask_embed", 1, 1, width).flatten(),
        "posterior.weight": take("post_network.weight", num_latents, width),
        "posterior.bias": torch.zeros(num_latents),
        "bag_of_words.weight": torch.zeros(vocab, width),
        "bag_of_words.bias": torch.zeros(vocab),
        "selection.weight": torch.zeros(1, width),
        "selection.bias": torch.zeros(1),
    }
    if "bow_predictor.weight" in found:
        parts["bag_of_words.weight"] = take("bow_predictor.weight", vocab, width)
    else:
        logger.warning("%s: no bag of words; that head begins with zeros", file)
    if "discriminator.0.weight" in found:
        parts |= take.both("discriminator.0", "selection", 1, width)
    else:
        logger.warning(
            "%s: no discriminator; response selection begins with zeros, and until it is trained "
            "replies are ranked by their log-probability",
            file,
        )
    return parts


def _sizes(file: Path, found: Mapping[str, Tensor], num_heads: int) -> Sizes:
    """What the shapes say, and K = 0 where there are no latents."""
    names = ("embedder.token_embedding.weight", "embedder.pos_embedding.weight")
    shapes = [_matrix(file, found, n) for n in (*names, "layers.0.ff.linear_hidden.0.weight")]
    (vocab_size, width), (num_positions, _), (inner_size, _) = shapes
    latent = "latent_embeddings"
    layers = {int(name.split(".")[1]) for name in found if re.match(r"layers\.\d+\.", name)}
    if layers != set(range(len(layers))):
        raise UserError(
            f"{file}: expected layers.0, layers.1 and so on, found the numbers {sorted(layers)}"
        )
    heads = num_heads or width // HEAD_SIZE
    if heads < 1 or width % heads:
        raise UserError(
            f"{file}: expected heads that share the width {width} evenly, found {heads}; name the "
            "attention heads of a block with --num_heads"
        )
    return {
        "num_layers": len(layers),
        "hidden_size": width,
        "num_heads": heads,
        "inner_size": inner_size,
        "num_positions": num_positions,
        "vocab_size": vocab_size,
        "num_latents": _matrix(file, found, latent)[0] if latent in found else 0,
        "blocks": "bert",
        "norm_eps": _NORM_EPS,
        "head_biases": True,
    }


def _matrix(file: Path, found: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    if name not in found or found[name].dim() != 2 or not found[name].numel():
        raise UserError(
            f"{file}: expected the released PLATO, found no matrix {name} among {len(found)} "
            "tensors; take its weights, or those of its port to torch"
        )
    rows, columns = found[name].shape
    return rows, columns


def _port_names(tensors: Mapping[str, Tensor]) -> Weights:
    """The tensors under the names, and in the layout, of the port."""
    return dict(_ported(name, tensor) for name, tensor in tensors.items())


def _ported(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    paddle = _PADDLE.fullmatch(name)
    if paddle is None:
        return name.removeprefix("module."), tensor
    stem, _, ending = paddle[1].rpartition(".")
    if not stem:  # .mask_embed, .latent_embeddings, .sequence_mask
        return ending, tensor
    layer = _PADDLE_LAYER.fullmatch(stem)
    if layer is not None:
        new = f"layers.{layer[1]}.{_PADDLE_LAYER_NAMES.get(layer[2], layer[2])}"
    else:
        new = _PADDLE_NAMES.get(stem, stem)
    is_product = "/FC_" in stem and tensor.dim() == 2
    tensor = tensor.T.contiguous() if is_product else tensor
    return f"{new}.{_PADDLE_ENDINGS.get(ending, ending)}", tensor
