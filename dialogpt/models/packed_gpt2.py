"""GPT-2's forward pass on trees that lie end to end, with the weights of a GPT2LMHeadModel.

Shapes: N tokens, M targets, W width. Between blocks two tensors travel: the residual stream, and
what the block before adds to it, so that the sum and the layer norm after it are one kernel. Each
block is compiled by itself: they share one compilation, and gradients of the last blocks travel
between ranks while those of the first are computed.

The residual stream has the precision of the products (bfloat16 on a GPU); layer norms are computed
in float32, and weights and their gradients stay float32.
"""

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dialogpt.data.packing import PackedBatch
from dialogpt.models.gelu import biased_gelu
from dialogpt.models.target_nll import target_nll
from dialogpt.models.tree_attention import Trees, tree_attention


class PackedGpt2:
    """Computes the loss of packed batches; holds no weights of its own.

    Args:
        language_model: transformers' GPT2LMHeadModel.
        compiled: whether torch compiles the blocks, at the first batch.
        recomputes: whether the backward pass computes a block's activations again instead of
            finding them in memory.
    """

    def __init__(self, language_model: Any, *, compiled: bool, recomputes: bool = False) -> None:
        self._model = language_model
        self._compiled = compiled
        wrap: Callable[[Any], Any] = _compile if compiled else _as_it_is
        self._enter = wrap(_enter)
        self._block = wrap(_block)
        if recomputes:
            self._block = partial(checkpoint, self._block, use_reentrant=False)
        self._last_block = wrap(_last_block)
        # A method, as FSDP knows where to gather a module's weights: around a method of it.
        for block in language_model.transformer.h:
            block.run = MethodType(_run, block)

    def nll(self, batch: PackedBatch) -> Tensor:
        """() float32, nats summed over the batch's targets."""
        transformer = self._model.transformer
        kind = product_type(transformer.wte.weight)
        rate = transformer.config.resid_pdrop if self._model.training else 0.0
        with torch.autocast(batch.input_ids.device.type, enabled=False):
            stream = self._enter(
                transformer.wte.weight,
                transformer.wpe.weight,
                batch.input_ids,
                batch.positions,
                kind=kind,
                rate=transformer.config.embd_pdrop if self._model.training else 0.0,
            )
            update = torch.zeros_like(stream)
            if self._compiled:
                _let_length_vary(batch.tiles, batch.target_places)
            trees = Trees(batch.tiles, batch.ends, batch.has_branches)
            *blocks, last = transformer.h
            for block in blocks:
                stream, update = block.run(self._block, stream, update, trees, block, rate=rate)
            places, norm = batch.target_places, transformer.ln_f
            states = last.run(
                *(self._last_block, stream, update, trees, places, last, norm), rate=rate
            )
            table = self._model.lm_head.weight
            return target_nll(states, table, batch.targets, batch.weights)


def _run(block: nn.Module, function: Callable[..., Any], *values: Any, **options: Any) -> Any:
    return function(*values, **options)


def _compile(function: Any) -> Any:
    # Within DDP, torch would cut each graph where DDP cuts gradients into buckets: kernels that
    # belong together would come apart, and a block is small enough as it is.
    torch._dynamo.config.optimize_ddp = False
    return torch.compile(function, dynamic=False)


def _as_it_is(function: Any) -> Any:
    return function


def _let_length_vary(*tensors: Tensor) -> None:
    # Every batch has as many tokens, but its own number of tiles and targets.
    for tensor in tensors:
        torch._dynamo.maybe_mark_dynamic(tensor, 0)


def product_type(weight: Tensor) -> torch.dtype:
    """What autocast would compute products in; the kind of the weights without it."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def _enter(
    tokens: Tensor,
    places: Tensor,
    ids: Tensor,
    positions: Tensor,
    *,
    kind: torch.dtype,
    rate: float,
) -> Tensor:
    """(N, W): the sum of both embeddings."""
    stream = F.embedding(ids, tokens) + F.embedding(positions, places)
    return _dropped(stream.to(kind), rate)


def _block(
    stream: Tensor, update: Tensor, trees: Trees, block: Any, *, rate: float
) -> tuple[Tensor, Tensor]:
    """Both (N, W): the residual stream behind a block's attention, and what its MLP adds."""
    stream = stream + _dropped(update, rate)
    attended = _attended(stream, trees, block)
    return _behind_attention(stream, attended, block, rate)


def _last_block(
    stream: Tensor,
    update: Tensor,
    trees: Trees,
    target_places: Tensor,
    block: Any,
    norm: nn.LayerNorm,
    *,
    rate: float,
) -> Tensor:
    """(M, W): the states that predict targets; behind the last attention nobody needs others."""
    stream = stream + _dropped(update, rate)
    attended = _attended(stream, trees, block)
    stream, update = _behind_attention(
        stream.index_select(0, target_places), attended.index_select(0, target_places), block, rate
    )
    return _normed(stream + _dropped(update, rate), norm)


def _attended(stream: Tensor, trees: Trees, block: Any) -> Tensor:
    """(N, W): what the heads read, before their projection."""
    attention = block.attn
    shape = (len(stream), 3, attention.num_heads, attention.head_dim)
    qkv = _product(_normed(stream, block.ln_1), attention.c_attn).view(shape)
    return tree_attention(qkv, trees).reshape(stream.shape)


def _behind_attention(
    stream: Tensor, attended: Tensor, block: Any, rate: float
) -> tuple[Tensor, Tensor]:
    stream = stream + _dropped(_product(attended, block.attn.c_proj), rate)
    layer = block.mlp.c_fc
    inner = torch.mm(_normed(stream, block.ln_2), layer.weight.to(stream.dtype))
    return stream, _product(biased_gelu(inner, layer.bias), block.mlp.c_proj)


def _normed(stream: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Computed in the precision of the norm's weights."""
    shape = list(norm.normalized_shape)
    value = F.layer_norm(stream.to(norm.weight.dtype), shape, norm.weight, norm.bias, norm.eps)
    return value.to(stream.dtype)


def _product(states: Tensor, layer: Any) -> Tensor:
    """GPT-2's linear layer, whose weights stand as (inputs, outputs)."""
    kind = states.dtype
    return torch.addmm(layer.bias.to(kind), states, layer.weight.to(kind))


def _dropped(value: Tensor, rate: float) -> Tensor:
    return F.dropout(value, rate) if rate else value
