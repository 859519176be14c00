"""PLATO's forward pass without gradients: what decoding with a cache asks of a model.

Shapes: N places, R rows, W width, H heads, D their width, V vocabulary. Layer norms and logits are
float32, as `dialogpt.models.inference` has them for GPT-2.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dialogpt.models.inference import Attend
from dialogpt.models.tree_attention import fits_kernels, has_kernels
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import Block, normed

_TABLE_ROWS = 64
# As for GPT-2: the product with the vocabulary is several times slower at other widths.


class PlatoEngine:
    """Computes states and logits, with the attention that the caller brings.

    Args:
        model: in evaluation mode, its weights as `frozen` leaves them.

    Attributes:
        model: the same.
        others: as `dialogpt.models.inference.CachedEngine` has them.
    """

    def __init__(self, model: PlatoModel) -> None:
        self.model = model
        self._network = model.network
        sizes, table = model.network.sizes, model.network.tokens.weight
        self.device, self.dtype = table.device, table.dtype
        self.num_layers, self.num_heads = sizes.num_layers, sizes.num_heads
        self.head_width = sizes.hidden_size // sizes.num_heads
        self.num_latents = sizes.num_latents
        is_short = self.dtype in (torch.bfloat16, torch.float16)
        self.has_kernels = is_short and has_kernels(self.device) and fits_kernels(self.head_width)
        self.is_frozen = not table.requires_grad
        self.workspace: Any = None
        self._vocab_size = len(table)
        self._short_products = is_short and self.device.type == "cuda"
        if self._short_products:
            table = F.pad(table, (0, 0, 0, -len(table) % _TABLE_ROWS))
        self._table = table

    def states(self, ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """(R, W) behind one more token of each reply.

        Args:
            ids: (R,) int64.
            positions: (R,) int64, in the reply; [BOU] has 0.
            attend: what tokens see.
        """
        zeros = torch.zeros_like(ids)  # whoever replies, at no distance
        columns = torch.stack([ids, positions, zeros, zeros])
        return self.through(self._network.embed(columns, ids[:0], None, self.dtype), attend)

    def latent_states(self, latents: Tensor, attend: Attend) -> Tensor:
        """(R, W) at the latent's place of rows, whose latents are (R,) int64."""
        columns = latents.new_zeros(4, len(latents))
        places = torch.arange(len(latents), device=self.device)
        vectors = self._network.latents.weight[latents]
        return self.through(self._network.embed(columns, places, vectors, self.dtype), attend)

    def prefix_states(
        self,
        columns: Tensor,
        attend: Attend,
        *,
        latent_places: Tensor,
        latents: Tensor | None,
        places: Tensor | None = None,
    ) -> Tensor:
        """(N, W) of whole rows, or (M, W) at the places asked for.

        Args:
            columns: (4, N) int64, see `dialogpt.plato.sequence`.
            attend: what places see.
            latent_places: (R,) int64.
            latents: (R,) int64, what stands there; None where the rows have no such place.
            places: (M,) int64; behind the last attention nobody needs others.
        """
        vectors = None if latents is None else self._network.latents.weight[latents]
        stream = self._network.embed(columns, latent_places, vectors, self.dtype)
        return self.through(stream, attend, places=places)

    def through(self, stream: Tensor, attend: Attend, *, places: Tensor | None = None) -> Tensor:
        """All blocks: (N, W) embeddings -> (N, W) or (M, W) states."""
        with torch.autocast(self.device.type, enabled=False):
            for layer, block in enumerate(self._network.blocks):
                assert isinstance(block, Block)
                read = attend(layer, block.queries_keys_values(stream)).flatten(1)
                if places is not None and layer == self.num_layers - 1:
                    stream, read = stream.index_select(0, places), read.index_select(0, places)
                stream = block.after_attention(stream, read)
            if self._network.sizes.is_post_norm:
                return stream
            return normed(stream, self._network.final_norm)

    def logits(self, states: Tensor) -> Tensor:
        """(R, V) float32 logits of states (R, W), by the table of tokens."""
        with torch.autocast(self.device.type, enabled=False):
            if self._short_products:
                # 16-bit factors, added up and kept in 32 bits.
                products = torch.mm(states, self._table.t(), out_dtype=torch.float32)
                return products[:, : self._vocab_size]
            return F.linear(states.float(), self._table.float())


def frozen(model: PlatoModel, device: torch.device, dtype: torch.dtype) -> PlatoModel:
    """The model on a device, its products in a number format, for no more training.

    Layer norms and the heads stay float32: BERT's epsilon is 0 in half precision.
    """
    model.requires_grad_(False).eval().to(device)
    for module in model.network.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            module.to(dtype)
    return model
