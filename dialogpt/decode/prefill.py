"""Contexts read into a cache, before the first token of a reply is chosen.

Shapes: C contexts, P tokens of the longest, N tokens of all, G groups of rows that begin alike, V
vocabulary, H heads, D their width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dialogpt.models.inference import InferenceGpt2, LaidRows, lay_rows
from dialogpt.models.kv_cache import KvCache


class Prefill(Protocol):
    """Contexts that are about to be read."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each context; none is 0."""
        ...

    @property
    def num_said(self) -> int:
        """Tokens of a reply that are read with its context, the same number for each."""
        ...

    @property
    def first_position(self) -> int | None:
        """Of token 0 of a reply; None where it is the one behind its context's."""
        ...

    def __call__(self, cache: KvCache) -> Tensor:
        """(G, V) float32 logits for what comes next, in each of G groups of as many rows.

        Keys and values of contexts are in the cache then, and those of what is said already, in the
        slots of the first row of its group.

        Args:
            cache: with room for them, and with the lengths of the contexts.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpt2Prefill:
    """GPT-2 reads contexts; all rows of a context begin alike.

    Attributes:
        engine: the forward model.
        contexts: token ids of each, none empty.
    """

    engine: InferenceGpt2
    contexts: Sequence[Sequence[int]]

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each context."""
        return [len(context) for context in self.contexts]

    @property
    def num_said(self) -> int:
        """Nothing is said yet."""
        return 0

    @property
    def first_position(self) -> int | None:
        """GPT-2's positions go on from the context's."""
        return None

    def __call__(self, cache: KvCache) -> Tensor:
        """(C, V): run each context once, keep its keys and values."""
        engine = self.engine
        lengths = np.array(self.lengths, np.int64)
        laid = lay_rows(engine, self.contexts)
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.repeat(laid.starts, lengths) + within
        target = np.repeat(np.arange(len(lengths)) * cache.contexts.shape[2], lengths) + within
        attend = _Remembering(
            laid=laid,
            cache=cache,
            source=torch.from_numpy(source).to(engine.device),
            target=torch.from_numpy(target).to(engine.device),
        )
        last = torch.from_numpy(laid.starts + lengths - 1).to(engine.device)
        return engine.logits(engine.states(laid.ids, laid.positions, attend, places=last))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Remembering:
    """Attention within contexts, which keeps their keys and values."""

    laid: LaidRows
    cache: KvCache
    source: Tensor
    target: Tensor

    def __call__(self, layer: int, qkv: Tensor) -> Tensor:
        self.cache.keep_contexts(layer, self.target, qkv[self.source])
        return self.laid.attention(qkv)
