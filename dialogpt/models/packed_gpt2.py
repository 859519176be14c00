"""GPT-2's forward pass on trees that lie end to end, with the weights of a GPT2LMHeadModel.

Shapes: N tokens, M targets, W width. Between blocks three tensors travel: the residual stream, and
what the block before adds to it, a product and the bias that it lacks, so that the sum and the
layer norm after it are one kernel. Each block is compiled by itself: they share one compilation,
and gradients of the last blocks travel between ranks while those of the first are computed.

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
from dialogpt.models.residual import join_and_norm
from dialogpt.models.target_nll import product_as, target_nll
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
            added = torch.zeros_like(stream), transformer.ln_f.bias.new_zeros(stream.shape[1])
            if self._compiled:
                _let_length_vary(batch.tiles, batch.target_places)
            trees = Trees(batch.tiles, batch.ends, batch.has_branches)
            *blocks, last = transformer.h
            for block in blocks:
                stream, *added = block.run(self._block, stream, *added, trees, block, rate=rate)
            places, norm = batch.target_places, transformer.ln_f
            states = last.run(
                *(self._last_block, stream, *added, trees, places, last, norm), rate=rate
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
    stream: Tensor, product: Tensor, bias: Tensor, trees: Trees, block: Any, *, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The residual stream behind a block's attention, (N, W), and what its MLP adds to it.

    That is a product, (N, W), and the bias that it lacks, (W,).
    """
    stream, normed = join_and_norm(stream, product, bias, block.ln_1, rate=rate)
    attended = _attended(normed, trees, block.attn)
    return _behind_attention(stream, attended, block, rate)


def _last_block(
    stream: Tensor,
    product: Tensor,
    bias: Tensor,
    trees: Trees,
    target_places: Tensor,
    block: Any,
    norm: nn.LayerNorm,
    *,
    rate: float,
) -> Tensor:
    """(M, W): the states that predict targets; behind the last attention nobody needs others."""
    stream, normed = join_and_norm(stream, product, bias, block.ln_1, rate=rate)
    attended = _attended(normed, trees, block.attn)
    stream, product, bias = _behind_attention(
        stream.index_select(0, target_places), attended.index_select(0, target_places), block, rate
    )
    _, normed = join_and_norm(stream, product, bias, norm, rate=rate)
    return normed


def _attended(normed: Tensor, trees: Trees, attention: Any) -> Tensor:
    """(N, W): what the heads read, before their projection, without the bias of the values.

    Only queries get their bias here. That of the keys adds the same to all scores of a query, which
    softmax does not see: its gradient is 0. Shares of a query sum to 1, so that of the values
    passes through attention as it is: `_behind_attention` adds it. On the way back only a third of
    the gradient of c_attn's bias is a sum over tokens then.
    """
    shape = (len(normed), 3, attention.num_heads, attention.head_dim)
    queries, _, _ = attention.c_attn.bias.chunk(3)
    qkv = _product(normed, attention.c_attn.weight, queries)
    return tree_attention(qkv.view(shape), trees).reshape(normed.shape)


def _behind_attention(
    stream: Tensor, attended: Tensor, block: Any, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_block`, from what the heads read."""
    projection, inner, outer = block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj
    _, _, values = block.attn.c_attn.bias.chunk(3)
    bias = torch.addmv(projection.bias, projection.weight.T, values)
    product = _product(attended, projection.weight)
    stream, normed = join_and_norm(stream, product, bias, block.ln_2, rate=rate)
    activated = biased_gelu(_product(normed, inner.weight), inner.bias)
    product = _product(activated, outer.weight)
    # A copy: where ranks share the model, a block's weights are gone when the next one is computed.
    return stream, product, outer.bias.clone()


def _product(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(N, outputs): states times a weight, plus a bias of some outputs; as precise as the states.

    The gradient of the weight has the weight's precision: on a GPU the float32 sums that it is made
    of, which are not rounded in between.

    Args:
        states: (N, inputs).
        weight: (inputs, outputs), as GPT-2's stand.
        bias: of the first outputs.
    """
    product: Tensor = _Product.apply(states, weight, bias)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        used = weight.to(states.dtype)
        ctx.save_for_backward(states, used)
        ctx.kind = weight.dtype
        ctx.num_biased = 0 if bias is None else len(bias)
        if bias is None:
            return torch.mm(states, used)
        padded = F.pad(bias.to(states.dtype), (0, weight.shape[1] - len(bias)))
        return torch.addmm(padded, states, used)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        (grad,) = grads
        states, used = ctx.saved_tensors
        of_bias = None
        if ctx.num_biased:
            of_bias = grad[:, : ctx.num_biased].sum(dim=0, dtype=ctx.kind)
        return torch.mm(grad, used.T), product_as(states.T, grad, ctx.kind), of_bias


def _dropped(value: Tensor, rate: float) -> Tensor:
    return F.dropout(value, rate) if rate else value
