"""GPT-2's forward pass without gradients, on the weights of a GPT2LMHeadModel.

Decoding and scoring both go through it, so that a token has the same probability whether it was
drawn or scored. Tokens of all rows lie end to end; what a token sees is the caller's to say.

Shapes: N tokens, B rows, W width, H heads, D width of a head, V vocabulary. The residual stream has
the precision of the weights; layer norms and logits are float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dialogpt.data.packing import plain_tiles
from dialogpt.models.gelu import biased_gelu
from dialogpt.models.gpt2 import require_plain
from dialogpt.models.norm import add_and_norm
from dialogpt.models.tree_attention import Trees, fits_kernels, has_kernels, tree_attention

Attend = Callable[[int, Tensor], Tensor]
"""(block, queries, keys and values (N, 3, H, D)) -> what each token reads, (N, H, D)."""
_TABLE_ROWS = 64
# The product with the vocabulary is several times slower if its width is no multiple of this.


class CausalLm(Protocol):
    """The part of transformers' GPT2LMHeadModel that decoding relies on.

    Attributes:
        transformer: transformers' GPT2Model.
        lm_head: the output matrix (V, W); the table of tokens itself or another.
        config: sizes.
        dtype: of the weights.
        device: where they are.
    """

    transformer: Any
    lm_head: nn.Linear
    config: Any
    dtype: torch.dtype
    device: torch.device


class CachedEngine(Protocol):
    """A forward pass that decoding can go on with, a token a row, whatever the model.

    Attributes:
        num_layers, num_heads, head_width: of its attention.
        dtype: of the weights.
        device: where they are.
        has_kernels: whether attention may be computed by kernels for NVIDIA GPUs.
        is_frozen: whether the weights stay as they are, so that steps may be recorded.
        workspace: what decoding keeps from one batch to the next: caches and recorded steps.
    """

    num_layers: int
    num_heads: int
    head_width: int
    dtype: torch.dtype
    device: torch.device
    has_kernels: bool
    is_frozen: bool
    workspace: Any

    def states(self, ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """(R, W) behind one more token (R,) a row, at positions (R,)."""
        ...

    def logits(self, states: Tensor) -> Tensor:
        """(R, V) float32."""
        ...


class InferenceGpt2:
    """Computes states and logits; holds no weights of its own but a padded output matrix."""

    def __init__(self, model: CausalLm) -> None:
        self._transformer = model.transformer
        self._head = model.lm_head
        self.device = model.device
        self.dtype = model.dtype
        require_plain(model.config, "the model")
        self.num_positions: int = model.config.n_positions
        self.num_layers: int = model.config.n_layer
        self.num_heads: int = model.config.n_head
        self.head_width: int = model.config.n_embd // model.config.n_head
        self.vocab_size: int = model.lm_head.weight.shape[0]
        self.is_frozen = not model.lm_head.weight.requires_grad
        is_short = self.dtype in (torch.bfloat16, torch.float16)
        self._fuses = is_short and has_kernels(self.device)
        self.has_kernels = self._fuses and fits_kernels(self.head_width)
        self.workspace: Any = None
        """What decoding keeps from one batch to the next: caches and recorded steps."""
        self._short_products = is_short and self.device.type == "cuda"
        self._table: Tensor | None = None
        if self.is_frozen:
            self._table = self._padded_table()

    def _padded_table(self) -> Tensor:
        weight = self._head.weight
        if not self._short_products:
            return weight.float()
        return F.pad(weight, (0, 0, 0, -self.vocab_size % _TABLE_ROWS))

    def states(
        self, ids: Tensor, positions: Tensor, attend: Attend, *, places: Tensor | None = None
    ) -> Tensor:
        """States behind the last norm, (N, W), or (M, W) at the places asked for.

        Args:
            ids: (N,) int64.
            positions: (N,) int64, of each token in its row.
            attend: what tokens see.
            places: (M,) int64 of the tokens whose states are wanted; behind the last attention
                nobody needs others.
        """
        transformer = self._transformer
        with torch.autocast(self.device.type, enabled=False):
            stream = F.embedding(ids, transformer.wte.weight)
            stream = stream + F.embedding(positions, transformer.wpe.weight)
            update: Tensor | None = None
            bias: Tensor | None = None
            for layer, block in enumerate(transformer.h):
                stream, normed = self._add_and_norm(stream, update, bias, block.ln_1)
                attention, mlp = block.attn, block.mlp
                qkv = torch.addmm(attention.c_attn.bias, normed, attention.c_attn.weight)
                qkv = qkv.view(len(qkv), 3, self.num_heads, self.head_width)
                attended = attend(layer, qkv).reshape(stream.shape)
                if places is not None and layer == self.num_layers - 1:
                    stream = stream.index_select(0, places)
                    attended = attended.index_select(0, places)
                update = torch.mm(attended, attention.c_proj.weight)
                bias = attention.c_proj.bias
                stream, normed = self._add_and_norm(stream, update, bias, block.ln_2)
                inner = self._gelu(torch.mm(normed, mlp.c_fc.weight), mlp.c_fc.bias)
                update, bias = torch.mm(inner, mlp.c_proj.weight), mlp.c_proj.bias
            return self._add_and_norm(stream, update, bias, transformer.ln_f)[1]

    def _add_and_norm(
        self, stream: Tensor, update: Tensor | None, bias: Tensor | None, norm: nn.LayerNorm
    ) -> tuple[Tensor, Tensor]:
        return add_and_norm(stream, update, bias, norm, by_kernel=self._fuses)

    def _gelu(self, inner: Tensor, bias: Tensor) -> Tensor:
        if self._fuses:
            return biased_gelu(inner, bias)
        return F.gelu(inner + bias, approximate="tanh")

    def logits(self, states: Tensor) -> Tensor:
        """(N, V) float32 logits of states (N, W).

        In bfloat16 a logit of 30 would be rounded to the next 0.25, and log-probabilities with it.
        """
        table = self._padded_table() if self._table is None else self._table
        with torch.autocast(self.device.type, enabled=False):
            if self._short_products:
                # 16-bit factors, added up and kept in 32 bits.
                products = torch.mm(states, table.t(), out_dtype=torch.float32)
                return products[:, : self.vocab_size]
            return F.linear(states.float(), table)


_ENGINES: WeakKeyDictionary[nn.Module, tuple[Any, InferenceGpt2]] = WeakKeyDictionary()


def inference_of(model: CausalLm) -> InferenceGpt2:
    """The forward pass of a model; one object for each, as it keeps workspace between calls."""
    assert isinstance(model, nn.Module)
    state = _state(model)
    known, engine = _ENGINES.get(model, (None, None))
    if engine is None or known != state:
        engine = InferenceGpt2(model)
        _ENGINES[model] = (state, engine)
    return engine


def _state(model: CausalLm) -> tuple[Any, ...]:
    """What an engine holds on to: if it has changed, another engine is needed."""
    weight = model.lm_head.weight
    # Weights that optimizers write have a version; those made for inference cannot change unseen.
    version = None if weight.is_inference() else weight._version
    return (
        *(model.device, model.dtype, weight.data_ptr(), weight.shape, weight.requires_grad),
        version,
    )


def release_workspace(model: CausalLm) -> None:
    """Give back the memory that decoding keeps for the next batch."""
    inference_of(model).workspace = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LaidRows:
    """Rows of tokens as the forward pass takes them, each seeing itself alone.

    Attributes:
        ids, positions: (N,) int64; in what fills up, 0.
        starts: (B,) int64 on the host: token t of row b is at starts[b] + t.
        attention: (N, 3, H, D) -> (N, H, D).
    """

    ids: Tensor
    positions: Tensor
    starts: np.ndarray[Any, np.dtype[np.int64]]
    attention: Callable[[Tensor], Tensor]


def lay_rows(engine: InferenceGpt2, rows: Sequence[Sequence[int]]) -> LaidRows:
    """Rows end to end where there are kernels for that, else side by side, padded on the right.

    Attention looks left only: no token sees padding, and no mask is needed.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    before = np.cumsum(lengths) - lengths
    within = np.arange(len(flat)) - np.repeat(before, lengths)
    attention: Callable[[Tensor], Tensor]
    if engine.has_kernels:
        starts, ids, positions = before, flat, within
        tiles, ends = plain_tiles(lengths)
        trees = Trees(
            torch.from_numpy(tiles).to(engine.device, non_blocking=True),
            torch.from_numpy(ends).to(engine.device, non_blocking=True),
            has_branches=False,
        )

        def attention(qkv: Tensor) -> Tensor:
            return tree_attention(qkv, trees)

    else:
        width = int(lengths.max())
        starts = np.arange(len(rows)) * width
        ids, positions = np.zeros((2, len(rows) * width), np.int64)
        places = np.repeat(starts, lengths) + within
        ids[places], positions[places] = flat, within

        def attention(qkv: Tensor) -> Tensor:
            query, key, value = qkv.view(-1, width, *qkv.shape[1:]).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            return mixed.transpose(1, 2).flatten(0, 1)

    return LaidRows(
        ids=torch.from_numpy(ids).to(engine.device, non_blocking=True),
        positions=torch.from_numpy(positions).to(engine.device, non_blocking=True),
        starts=starts,
        attention=attention,
    )
