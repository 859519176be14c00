"""Beam search: the likeliest replies that can be found from the likeliest beginnings.

Shapes: C contexts, B beams, R rows = B for each context that goes on, V vocabulary, T tokens of the
longest reply. Replies are ordered by log p / length^a (Wu et al. 2016, arXiv:1609.08144, without
their constant), the end-of-turn token counted; DialoGPT's result tables have rows for B = 10.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dialogpt.decode.logits import largest
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.restrictions import Restrictions
from dialogpt.decode.steps import CHECK_EVERY, Steps
from dialogpt.models.logsumexp import row_logsumexp

_NONE = float("-inf")


def beam_search(
    steps: Steps, restrictions: Restrictions, *, num_contexts: int, num_wanted: int | None = None
) -> list[list[GeneratedReply]]:
    """The B best replies of each context, best first; fewer if there are not so many.

    A context is done when it has B finished replies and no beginning can still become better than
    the worst of them, or than the last one that is wanted. Replies that max_new_tokens cut are
    taken only where finished ones lack: they are beginnings of replies.

    Args:
        steps: B rows a context.
        restrictions: what a reply may not hold.
        num_contexts: C.
        num_wanted: of each context's replies; those behind them need not be the best. None: B.
    """
    generation = restrictions.generation
    beams, longest = generation.beam_size, generation.max_new_tokens
    last = (num_wanted or beams) - 1
    device = steps.logits.device
    found = _Found.nothing(num_contexts, beams, longest, device=device)
    alive = _Alive.start(num_contexts, beams, longest, device=device)
    for step in range(longest):
        tokens, parents = _extend(steps, restrictions, alive, found, step=step)
        if step + 1 == longest:
            break
        if (step + 1) % CHECK_EVERY == 0:
            best = alive.log_probs.amax(dim=1) / longest**generation.length_penalty
            goes_on = (best > found.scores[alive.contexts, last]).nonzero()[:, 0]
            if len(goes_on) == 0:
                break
            if len(goes_on) < len(alive.contexts):
                rows = (goes_on[:, None] * beams + torch.arange(beams, device=device)).flatten()
                # Parents are rows of their own context, which moves to another place.
                within = parents.view(-1, beams) % beams
                first = torch.arange(len(goes_on), device=device)[:, None] * beams
                parents = within[goes_on] + first
                steps.keep(rows)
                tokens, parents = tokens[rows], parents.flatten()
                alive = alive.of(goes_on)
        steps.reorder(parents)
        steps.advance(tokens)
    return _replies(found, alive)


@dataclass(kw_only=True, slots=True)
class _Alive:
    """Beginnings that go on.

    Attributes:
        contexts: (G,) int64, those that are not done.
        log_probs: (G, B) float32 nats; -inf for none.
        token_ids: (G, B, T) int64.
    """

    contexts: Tensor
    log_probs: Tensor
    token_ids: Tensor

    @classmethod
    def start(cls, contexts: int, beams: int, longest: int, *, device: torch.device) -> "_Alive":
        # All rows of a context are alike at first: only one of them counts.
        log_probs = torch.full((contexts, beams), _NONE, device=device)
        log_probs[:, 0] = 0.0
        return cls(
            contexts=torch.arange(contexts, device=device),
            log_probs=log_probs,
            token_ids=torch.zeros(contexts, beams, longest, dtype=torch.long, device=device),
        )

    def of(self, places: Tensor) -> "_Alive":
        """Those of some of the contexts."""
        return _Alive(
            contexts=self.contexts[places],
            log_probs=self.log_probs[places],
            token_ids=self.token_ids[places],
        )


@dataclass(kw_only=True, slots=True)
class _Found:
    """The best finished replies of all contexts, by falling score.

    Attributes:
        scores: (C, B) float32, log p / length^a; -inf for none.
        log_probs: (C, B) float32 nats.
        num_tokens: (C, B) int64, the end-of-turn token included.
        token_ids: (C, B, T) int64.
    """

    scores: Tensor
    log_probs: Tensor
    num_tokens: Tensor
    token_ids: Tensor

    @classmethod
    def nothing(cls, contexts: int, beams: int, longest: int, *, device: torch.device) -> "_Found":
        return cls(
            scores=torch.full((contexts, beams), _NONE, device=device),
            log_probs=torch.full((contexts, beams), _NONE, device=device),
            num_tokens=torch.zeros(contexts, beams, dtype=torch.long, device=device),
            token_ids=torch.zeros(contexts, beams, longest, dtype=torch.long, device=device),
        )

    def add(
        self, contexts: Tensor, scores: Tensor, log_probs: Tensor, token_ids: Tensor, *, length: int
    ) -> None:
        """Take up new replies of one length where they are better than the worst.

        Args:
            contexts: (G,) int64.
            scores: (G, n); -inf is no reply.
            log_probs: (G, n) nats.
            token_ids: (G, n, T).
            length: of all of them, the end-of-turn token included.
        """
        beams = self.scores.shape[1]
        all_scores = torch.cat([self.scores[contexts], scores], dim=1)
        order = all_scores.sort(dim=1, descending=True, stable=True).indices[:, :beams]
        self.scores[contexts] = all_scores.gather(1, order)
        both = torch.cat([self.log_probs[contexts], log_probs], dim=1)
        self.log_probs[contexts] = both.gather(1, order)
        lengths = torch.full_like(scores, length, dtype=torch.long)
        both = torch.cat([self.num_tokens[contexts], lengths], dim=1)
        self.num_tokens[contexts] = both.gather(1, order)
        tokens = torch.cat([self.token_ids[contexts], token_ids], dim=1)
        wide = order[:, :, None].expand(-1, -1, tokens.shape[2])
        self.token_ids[contexts] = tokens.gather(1, wide)


def _extend(
    steps: Steps, restrictions: Restrictions, alive: _Alive, found: _Found, *, step: int
) -> tuple[Tensor, Tensor]:
    """One token more: the next token of each row, and the row that it goes on from, both (R,)."""
    num_contexts, beams = alive.log_probs.shape
    logits = steps.logits
    totals = row_logsumexp(logits)[:, None]
    restrictions.apply(logits, alive.token_ids.flatten(0, 1), steps.numbers, step=step)
    # Each beam has one end of turn, so 2 B candidates hold at least B that go on.
    width = min(2 * beams, logits.shape[1])
    values, ids = largest(logits, width)
    log_probs = alive.log_probs[:, :, None] + (values - totals).view(num_contexts, beams, width)
    log_probs, order = log_probs.flatten(1).sort(dim=1, descending=True, stable=True)
    log_probs, order = log_probs[:, : 2 * beams], order[:, : 2 * beams]
    parents = order // width
    tokens = ids.view(num_contexts, -1).gather(1, order)
    histories = _of_parents(alive.token_ids, parents)
    histories[:, :, step] = tokens
    ends = tokens == restrictions.eos_id
    scores = (log_probs / (step + 1) ** restrictions.generation.length_penalty).masked_fill(
        ~ends, _NONE
    )
    found.add(alive.contexts, scores, log_probs, histories, length=step + 1)
    # Those that go on first, in their order.
    chosen = ends.sort(dim=1, stable=True).indices[:, :beams]
    alive.log_probs = log_probs.masked_fill(ends, _NONE).gather(1, chosen)
    alive.token_ids = _of_parents(histories, chosen)
    first = torch.arange(num_contexts, device=logits.device)[:, None] * beams
    return tokens.gather(1, chosen).flatten(), (parents.gather(1, chosen) + first).flatten()


def _of_parents(token_ids: Tensor, parents: Tensor) -> Tensor:
    """(G, n, T) rows of token_ids (G, B, T) by their numbers (G, n)."""
    return token_ids.gather(1, parents[:, :, None].expand(-1, -1, token_ids.shape[2]))


def _replies(found: _Found, alive: _Alive) -> list[list[GeneratedReply]]:
    """Finished replies, then cut ones, as many as there are beams."""
    # In contexts that are done nothing lacks; the others all have the full length.
    cut = {
        context: [
            GeneratedReply(token_ids=ids, finished=False, forward_log_prob=log_prob)
            for ids, log_prob in zip(token_ids, log_probs, strict=True)
            if log_prob > _NONE
        ]
        for context, token_ids, log_probs in zip(
            alive.contexts.tolist(), alive.token_ids.tolist(), alive.log_probs.tolist(), strict=True
        )
    }
    columns = (found.log_probs.tolist(), found.num_tokens.tolist(), found.token_ids.tolist())
    replies = []
    for context, rows in enumerate(zip(*columns, strict=True)):
        finished = [
            GeneratedReply(
                token_ids=ids[: num_tokens - 1], finished=True, forward_log_prob=log_prob
            )
            for log_prob, num_tokens, ids in zip(*rows, strict=True)
            if num_tokens
        ]
        replies.append([*finished, *cut.get(context, [])][: found.scores.shape[1]])
    return replies
