"""The transformer of PLATO: one set of blocks for two passes. Shapes: N places, R rows, W width.

Blocks are BERT's (a layer norm behind each sum) or GPT-2's (one before each product, and a last one
behind all). Rows lie end to end, so nothing but attention knows of them.
"""

from dataclasses import dataclass
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dialogpt.config.plato import BlockKind
from dialogpt.plato.attention import Attention
from dialogpt.plato.sequence import NUM_ROLES, NUM_TURNS

INITIAL_STD = 0.02
_COUNTS = (
    *("num_layers", "hidden_size", "num_heads", "inner_size", "num_positions", "vocab_size"),
    "num_latents",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatoSizes:
    """What the shapes of a network follow from.

    Attributes:
        num_layers, hidden_size, num_heads, inner_size: of the blocks.
        num_positions: rows of the table of positions inside utterances.
        vocab_size: ids of the tokenizer.
        num_latents: K; 0 without a latent.
        blocks: whose.
        norm_eps: of the layer norms.
        head_biases: whether posterior and bag of words have biases.
    """

    num_layers: int
    hidden_size: int
    num_heads: int
    inner_size: int
    num_positions: int
    vocab_size: int
    num_latents: int
    blocks: BlockKind
    norm_eps: float
    head_biases: bool = True

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value, least = getattr(self, name), int(name != "num_latents")
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"{self.num_heads} heads cannot share the width {self.hidden_size}")
        if self.blocks not in get_args(BlockKind):
            raise ValueError(f"blocks must be one of {get_args(BlockKind)}, got {self.blocks!r}")
        if type(self.norm_eps) is not float or not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be a number > 0, got {self.norm_eps!r}")
        if type(self.head_biases) is not bool:
            raise ValueError(f"head_biases must be true or false, got {self.head_biases!r}")

    @property
    def is_post_norm(self) -> bool:
        """Whether layer norms stand behind the sums."""
        return self.blocks == "bert"


class Block(nn.Module):
    """Attention and a two-layer network, each added to what comes in.

    Args:
        sizes: of the network.
        dropout: of what is added and of the inner layer.
    """

    def __init__(self, sizes: PlatoSizes, dropout: float) -> None:
        super().__init__()
        width = sizes.hidden_size
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=sizes.norm_eps)
        self.inner = nn.Linear(width, sizes.inner_size)
        self.outer = nn.Linear(sizes.inner_size, width)
        self.mlp_norm = nn.LayerNorm(width, eps=sizes.norm_eps)
        self.num_heads = sizes.num_heads
        self.is_post_norm = sizes.is_post_norm
        self.dropout = dropout

    def forward(self, stream: Tensor, attention: Attention) -> Tensor:
        """(N, W) -> (N, W)."""
        read = attention(self.queries_keys_values(stream))
        return self.after_attention(stream, read.flatten(1))

    def queries_keys_values(self, stream: Tensor) -> Tensor:
        """(N, 3, H, D) of the stream, (N, W)."""
        source = stream if self.is_post_norm else normed(stream, self.attention_norm)
        return product(source, self.qkv).view(len(stream), 3, self.num_heads, -1)

    def after_attention(self, stream: Tensor, read: Tensor) -> Tensor:
        """(N, W): the stream behind the block.

        Args:
            stream: (N, W) before it.
            read: (N, W) what the heads read, side by side.
        """
        if self.is_post_norm:
            stream = normed(
                stream + self._dropped(product(read, self.projection)), self.attention_norm
            )
            return normed(stream + self._mlp(stream), self.mlp_norm)
        stream = stream + self._dropped(product(read, self.projection))
        return stream + self._mlp(normed(stream, self.mlp_norm))

    def _mlp(self, states: Tensor) -> Tensor:
        # BERT's activation is exact, GPT-2's the tanh form; so are the weights trained.
        form = "none" if self.is_post_norm else "tanh"
        inner = F.gelu(product(states, self.inner), approximate=form)
        return self._dropped(product(self._dropped(inner), self.outer))

    def _dropped(self, value: Tensor) -> Tensor:
        return F.dropout(value, self.dropout) if self.training and self.dropout else value


class PlatoNetwork(nn.Module):
    """Embeddings and blocks, with the vectors of the latent.

    Args:
        sizes: of everything.
        dropout: see `Block`; embeddings have none, as in the release.
    """

    def __init__(self, sizes: PlatoSizes, *, dropout: float) -> None:
        super().__init__()
        width = sizes.hidden_size
        self.sizes = sizes
        self.tokens = nn.Embedding(sizes.vocab_size, width)
        self.positions = nn.Embedding(sizes.num_positions, width)
        self.roles = nn.Embedding(NUM_ROLES, width)
        self.turns = nn.Embedding(NUM_TURNS, width)
        if sizes.num_latents:
            self.latents = nn.Embedding(sizes.num_latents, width)
            self.mask = nn.Parameter(torch.empty(width))
        norm = nn.LayerNorm(width, eps=sizes.norm_eps)
        if sizes.is_post_norm:
            self.embedding_norm = norm
        else:
            self.final_norm = norm
        self.blocks = nn.ModuleList(Block(sizes, dropout) for _ in range(sizes.num_layers))
        self.step: Any = _through
        self.apply(_initialize)
        if sizes.num_latents:
            nn.init.normal_(self.mask, std=INITIAL_STD)
        if not sizes.is_post_norm:
            self._shrink_residual_projections()

    def _shrink_residual_projections(self) -> None:
        # Radford et al. 2019, section 2.3: by the number of layers that add to the stream.
        std = INITIAL_STD / (2 * self.sizes.num_layers) ** 0.5
        for block in self.blocks:
            nn.init.normal_(block.projection.weight, std=std)  # type: ignore[union-attr,arg-type]
            nn.init.normal_(block.outer.weight, std=std)  # type: ignore[union-attr,arg-type]

    def embed(
        self, columns: Tensor, latent_places: Tensor, latent: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        """(N, W) of a dtype.

        Args:
            columns: (4, N) int64, see `dialogpt.plato.sequence`.
            latent_places: (R,) int64.
            latent: (R, W) what stands there; None for a model without a latent.
            dtype: of the products.
        """
        tables = (self.tokens, self.positions, self.roles, self.turns)
        total = sum(
            F.embedding(ids, table.weight) for table, ids in zip(tables, columns, strict=True)
        )
        assert isinstance(total, Tensor)
        if latent is not None:
            total = total.index_copy(0, latent_places, latent.to(total.dtype))
        if self.sizes.is_post_norm:
            total = normed(total, self.embedding_norm)
        return total.to(dtype)

    def forward(
        self,
        columns: Tensor,
        attention: Attention,
        latent_places: Tensor,
        latent: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        """(N, W): the last states of one pass. Arguments as `embed`."""
        stream = self.embed(columns, latent_places, latent, dtype)
        for block in self.blocks:
            stream = self.step(block, stream, attention)
        return stream if self.sizes.is_post_norm else normed(stream, self.final_norm)


def _through(block: Block, stream: Tensor, attention: Attention) -> Tensor:
    return block(stream, attention)  # type: ignore[no-any-return]


def product_type(weight: Tensor) -> torch.dtype:
    """What autocast computes products in; the dtype of the weights without it."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def product(states: Tensor, layer: nn.Linear) -> Tensor:
    """A linear layer in the dtype of the states."""
    dtype = states.dtype
    return F.linear(states, layer.weight.to(dtype), layer.bias.to(dtype))


def normed(stream: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Computed in the precision of the norm's weights; BERT's epsilon is 0 in half precision."""
    shape = list(norm.normalized_shape)
    value = F.layer_norm(stream.to(norm.weight.dtype), shape, norm.weight, norm.bias, norm.eps)
    return value.to(stream.dtype)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INITIAL_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
