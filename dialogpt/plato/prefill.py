"""PLATO reads contexts, one after another or once for each latent, before replies begin.

    the context sees z       rows are [z, context, [BOU]], K for each context: their keys and values
                             differ from the second block on
    it does not              a row is the context, read once; z and [BOU] are then the first two
                             places of every reply to it, read once for each latent
    there is no latent       rows are [context, [BOU]]

Beams and samples of one latent begin alike and share all of this.

Shapes: C contexts, K latents (1 where there is none), G = C K groups of rows that begin alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dialogpt.models.kv_cache import Grouping, KvCache, attend_by_torch
from dialogpt.plato.attention import Attention
from dialogpt.plato.batch import PlatoRow, RowLayout, lay_rows
from dialogpt.plato.engine import PlatoEngine
from dialogpt.plato.sequence import Columns
from dialogpt.plato.spans import make_spans

_PLACES_AT_ONCE = 1 << 16
"""Of rows that are read in one pass: what the inner layer needs for more is not worth it."""
_NOTHING: Columns = np.zeros((4, 0), np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatoPrefill:
    """Contexts that are about to be read; see `dialogpt.decode.prefill.Prefill`.

    Attributes:
        engine: the model.
        layout: of its rows.
        contexts: (4, P) int64 columns of each.
        bou_id: begins a reply.
        rows_per_latent: rows of a group: beams or samples.
    """

    engine: PlatoEngine
    layout: RowLayout
    contexts: Sequence[Columns]
    bou_id: int
    rows_per_latent: int

    @property
    def _is_blind(self) -> bool:
        return self.layout.hides_latent

    @property
    def num_latents(self) -> int:
        """K, at least 1."""
        return max(1, self.engine.num_latents)

    @property
    def rows_per_context(self) -> int:
        """Rows that read one of the contexts that `lengths` counts."""
        return self.rows_per_latent * (self.num_latents if self._is_blind else 1)

    @property
    def lengths(self) -> Sequence[int]:
        """Places of what is read once, in the order of contexts, then latents."""
        if self._is_blind:
            return [columns.shape[1] for columns in self.contexts]
        more = 1 + self.layout.has_latent
        return [c.shape[1] + more for c in self.contexts for _ in range(self.num_latents)]

    @property
    def num_said(self) -> int:
        """Two, z and [BOU], where they are not read with the context."""
        return 2 if self._is_blind else 0

    @property
    def first_position(self) -> int:
        """[BOU] has position 0, so what is drawn first has 1."""
        return 1 - self.num_said

    def __call__(self, cache: KvCache) -> Tensor:
        """(G, V) float32 logits for the first token."""
        if self._is_blind:
            for first, rows in self._parts([(columns, None) for columns in self.contexts]):
                self._read(cache, rows, first=first)
            return self.engine.logits(self._begin(cache))
        latents = range(self.num_latents) if self.layout.has_latent else [None]
        whole = [(columns, latent) for columns in self.contexts for latent in latents]
        states = [self._read(cache, rows, first=first) for first, rows in self._parts(whole)]
        return self.engine.logits(torch.cat(states))

    def _parts(
        self, rows: Sequence[tuple[Columns, int | None]]
    ) -> Iterator[tuple[int, Sequence[tuple[Columns, int | None]]]]:
        """Rows in parts of as many places as are read at once, with the number of the first."""
        longest = max(self.lengths)
        step = max(1, _PLACES_AT_ONCE // longest)
        for first in range(0, len(rows), step):
            yield first, rows[first : first + step]

    def _read(
        self, cache: KvCache, rows: Sequence[tuple[Columns, int | None]], *, first: int
    ) -> Tensor:
        """Read whole rows into the cache; (rows, W) states at their last places."""
        engine, device = self.engine, self.engine.device
        begin = _NOTHING if self._is_blind else np.array([[self.bou_id], [0], [0], [0]])
        has_place = self.layout.has_latent and not self._is_blind
        laid = lay_rows(
            [PlatoRow(prefix=columns, response=begin) for columns, _ in rows],
            has_latent=has_place,
        )
        spans = make_spans(
            laid.starts,
            laid.prefix_lengths,
            recognition=self._is_blind,
            causal=self.layout.is_causal,
        )
        lengths = np.diff(laid.starts)
        within = np.arange(int(laid.starts[-1])) - np.repeat(laid.starts[:-1], lengths)
        row = np.repeat(np.arange(first, first + len(rows)), lengths)
        target = torch.from_numpy(row * cache.contexts.shape[2] + within).to(device)
        spans = spans.to(device)
        attention = Attention(spans, engine.model.backend(device, engine.dtype))

        def attend(layer: int, qkv: Tensor) -> Tensor:
            cache.keep_contexts(layer, target, qkv)
            return attention(qkv)

        latents = [latent for _, latent in rows if latent is not None]
        return engine.prefix_states(
            torch.from_numpy(laid.columns).to(device),
            attend,
            latent_places=spans.latent_places,
            latents=torch.tensor(latents, device=device) if has_place else None,
            places=torch.from_numpy(laid.starts[1:] - 1).to(device),
        )

    def _begin(self, cache: KvCache) -> Tensor:
        """Read z and [BOU] of each group behind its context; (G, W) states at [BOU]."""
        engine, device = self.engine, self.engine.device
        num_contexts, num_latents = len(self.contexts), self.num_latents
        groups = torch.arange(num_contexts * num_latents, device=device)
        slots = (groups * self.rows_per_latent)[:, None].expand(-1, self.num_said)
        grouping = Grouping.of(torch.full((num_contexts,), num_latents)).to(device)

        def attend_at(step: int, layer: int, qkv: Tensor) -> Tensor:
            return attend_by_torch(qkv, cache, layer, slots=slots, step=step, grouping=grouping)

        engine.latent_states(groups % num_latents, lambda *given: attend_at(0, *given))
        begins = torch.full_like(groups, self.bou_id)
        return engine.states(begins, torch.zeros_like(groups), lambda *given: attend_at(1, *given))
