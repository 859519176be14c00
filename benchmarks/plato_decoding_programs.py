"""PLATO's inference without this project's decoder: one latent after another, plain torch.

So do the code of PLATO's authors and a loop around transformers' generate: beam search for one
latent, its cache a copy for each beam that is copied again at each step, lists of hypotheses on the
host; then a ranking pass. Padding stands where rows are of unlike length.

Shapes: C contexts, B beams, R = C B rows, P places of the longest prefix, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig
from dialogpt.plato.attention import Attention
from dialogpt.plato.batch import LaidRows, PlatoRow, lay_rows
from dialogpt.plato.loaded import LoadedPlato
from dialogpt.plato.sequence import Columns
from dialogpt.plato.spans import make_spans


@dataclass(frozen=True)
class Reply:
    """The best reply of a latent: its ids without [EOU], log p, and log-odds of l = 1."""

    token_ids: list[int]
    log_prob: float
    logit: float


@dataclass
class _Beams:
    """Of one context: beginnings, and replies that have ended."""

    alive: list[tuple[float, list[int]]] = field(default_factory=lambda: [(0.0, [])])
    ended: list[tuple[float, list[int]]] = field(default_factory=list)

    def best(self) -> tuple[float, list[int]]:
        """The likeliest reply that has ended, else the likeliest beginning."""
        return max(self.ended) if self.ended else self.alive[0]


class LatentByLatent:
    """Candidates and their ranking logits, for contexts in batches, one latent after another."""

    def __init__(self, loaded: LoadedPlato, generation: GenerationConfig, *, batch: int) -> None:
        self._loaded = loaded
        self._network = loaded.model.network
        self._generation = generation
        self._batch = batch
        self._table = self._network.tokens.weight
        self._layout = loaded.model.layout()

    @torch.inference_mode()
    def __call__(self, contexts: Sequence[Columns]) -> list[list[Reply]]:
        """For each context one reply a latent."""
        found: list[list[Reply]] = []
        for start in range(0, len(contexts), self._batch):
            part = contexts[start : start + self._batch]
            by_latent = [
                self._one_latent(part, latent) for latent in range(self._loaded.engine.num_latents)
            ]
            found += [list(replies) for replies in zip(*by_latent, strict=True)]
        return found

    def _one_latent(self, contexts: Sequence[Columns], latent: int) -> list[Reply]:
        best = [beams.best() for beams in self._search(contexts, latent)]
        rows = [
            PlatoRow(prefix=context, response=self._loaded.response_columns(ids))
            for context, (_, ids) in zip(contexts, best, strict=True)
        ]
        states, laid = self._pass(rows, self._network.mask[None], recognition=True, kept=None)
        logits = self._loaded.model.coherence(states[torch.from_numpy(laid.starts[:-1])])
        return [
            Reply(token_ids=ids, log_prob=log_prob, logit=logit)
            for (log_prob, ids), logit in zip(best, logits.tolist(), strict=True)
        ]

    def _pass(
        self,
        rows: Sequence[PlatoRow],
        vector: Tensor,
        *,
        recognition: bool,
        kept: list[Tensor] | None,
    ) -> tuple[Tensor, LaidRows]:
        """States of whole rows; keys and values of each block go into `kept`."""
        laid = lay_rows(rows, has_latent=True)
        spans = make_spans(
            laid.starts,
            laid.prefix_lengths,
            recognition=recognition,
            hides_latent=self._layout.hides_latent and not recognition,
        ).to(self._table.device)
        attention = Attention(spans, "padded")
        stream = self._network.embed(
            torch.from_numpy(laid.columns).to(self._table.device),
            spans.latent_places,
            vector.expand(len(rows), -1),
            self._table.dtype,
        )
        for block in self._network.blocks:
            qkv = block.queries_keys_values(stream)
            if kept is not None:
                kept.append(qkv[:, 1:])
            stream = block.after_attention(stream, attention(qkv).flatten(1))
        return stream, laid

    def _search(self, contexts: Sequence[Columns], latent: int) -> list[_Beams]:
        """Beam search for one latent; all contexts go on to the longest length."""
        size = self._generation.beam_size
        begin = np.array([[self._loaded.tokenizer.bou_id], [0], [0], [0]])
        kept: list[Tensor] = []
        rows = [PlatoRow(prefix=context, response=begin) for context in contexts]
        vector = self._network.latents.weight[[latent]]
        states, laid = self._pass(rows, vector, recognition=False, kept=kept)
        cache, mask = self._copied(kept, laid, size)
        logits = states[torch.from_numpy(laid.starts[1:] - 1)] @ self._table.t()
        logits = logits.repeat_interleave(size, dim=0)
        found = [_Beams() for _ in contexts]
        for step in range(self._generation.max_new_tokens):
            parents, tokens = self._extend(found, logits.float().log_softmax(-1), step)
            if step + 1 == self._generation.max_new_tokens:
                break
            places = torch.tensor(parents, device=self._table.device)
            cache = [(key[places], value[places]) for key, value in cache]
            mask = F.pad(mask, (0, 1), value=True)
            logits, cache = self._step(torch.tensor(tokens), step + 1, cache, mask)
        return found

    def _copied(
        self, kept: list[Tensor], laid: LaidRows, size: int
    ) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """(R, H, P, D) keys and values of each block, a copy for each beam; (R, 1, 1, P) mask."""
        lengths = torch.from_numpy(np.diff(laid.starts)).to(self._table.device)
        within = torch.arange(int(lengths.max()), device=self._table.device)
        is_there = within < lengths[:, None]
        starts = torch.from_numpy(laid.starts[:-1]).to(self._table.device)
        places = torch.where(is_there, starts[:, None] + within, 0)
        cache = []
        for pair in kept:
            rows = pair[places].transpose(1, 3).repeat_interleave(size, dim=0)  # (R, H, 2, P, D)
            cache.append((rows[:, :, 0].contiguous(), rows[:, :, 1].contiguous()))
        return cache, is_there[:, None, None].repeat_interleave(size, dim=0)

    def _step(
        self, tokens: Tensor, position: int, cache: list[tuple[Tensor, Tensor]], mask: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Logits (R, V) behind one more token a row, and the longer cache."""
        ids = tokens.to(self._table.device)
        zeros = torch.zeros_like(ids)
        columns = torch.stack([ids, zeros + position, zeros, zeros])
        stream = self._network.embed(columns, ids[:0], None, self._table.dtype)
        longer = []
        for block, (key, value) in zip(self._network.blocks, cache, strict=True):
            query, new_key, new_value = block.queries_keys_values(stream)[:, :, :, None].unbind(1)
            key, value = torch.cat([key, new_key], dim=2), torch.cat([value, new_value], dim=2)
            longer.append((key, value))
            read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            stream = block.after_attention(stream, read[:, :, 0].flatten(1))
        return stream @ self._table.t(), longer

    def _extend(
        self, found: list[_Beams], log_probs: Tensor, step: int
    ) -> tuple[list[int], list[int]]:
        """Rows to go on from, and their next tokens."""
        size, tokens = self._generation.beam_size, self._loaded.tokens
        log_probs[:, tokens.forbidden.to(log_probs.device)] = float("-inf")
        if step < self._generation.min_new_tokens:
            log_probs[:, tokens.eos_id] = float("-inf")
        so_far = [[log_prob for log_prob, _ in beams.alive] for beams in found]
        sums = torch.full((len(found), size), float("-inf"))
        for row, values in enumerate(so_far):
            sums[row, : len(values)] = torch.tensor(values)
        totals = log_probs.view(len(found), size, -1) + sums.to(log_probs.device)[:, :, None]
        values, places = totals.flatten(1).topk(2 * size, dim=1)
        parents, chosen = [], []
        num_ids = log_probs.shape[1]
        for number, (beams, row, where) in enumerate(
            zip(found, values.tolist(), places.tolist(), strict=True)
        ):
            alive = []
            for value, place in zip(row, where, strict=True):
                parent, token = divmod(place, num_ids)
                said = [*beams.alive[min(parent, len(beams.alive) - 1)][1], token]
                if token == tokens.eos_id:
                    beams.ended.append((value, said[:-1]))
                elif len(alive) < size:
                    alive.append((value, said))
                    parents.append(number * size + parent)
                    chosen.append(token)
            beams.alive = alive
        return parents, chosen
