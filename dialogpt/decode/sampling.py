"""Replies that are drawn, or chosen, a token a step.

Shapes: N replies, R <= N rows still computed, T tokens of the longest.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dialogpt.decode.logits import choose_tokens
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.restrictions import Restrictions
from dialogpt.decode.steps import CHECK_EVERY, Steps
from dialogpt.models.logsumexp import row_logsumexp


def sample(
    steps: Steps,
    restrictions: Restrictions,
    uniforms: Tensor,
    on_tokens: Callable[[list[int]], None] | None = None,
) -> "Drawn":
    """Draw until all rows are finished or as long as allowed.

    Args:
        steps: N rows.
        restrictions: what a reply may not hold, and how tokens are chosen.
        uniforms: (N, T) float32 in [0, 1), one for each token that may be drawn.
        on_tokens: told the ids of the reply so far after each token, if N is 1.
    """
    generation = restrictions.generation
    drawn = Drawn.none_yet(len(uniforms), generation.max_new_tokens, device=uniforms.device)
    listener = on_tokens if len(uniforms) == 1 else None
    for step in range(generation.max_new_tokens):
        numbers, logits = steps.numbers, steps.logits
        # Before anything is forbidden: the model's own distribution.
        totals = row_logsumexp(logits)
        restrictions.apply(logits, drawn.token_ids[numbers], numbers, step=step)
        tokens = choose_tokens(logits, uniforms[numbers, step], generation=generation)
        log_probs = logits.gather(1, tokens[:, None])[:, 0] - totals
        drawn.add(tokens, log_probs, numbers, step=step, eos_id=restrictions.eos_id)
        if listener is not None:
            (reply,) = drawn.by_context(1)[0]
            listener(reply.token_ids)
            if reply.finished:
                break
        if step + 1 == generation.max_new_tokens:
            break
        if (step + 1) % CHECK_EVERY == 0:
            unfinished = (~drawn.finished[numbers]).nonzero()[:, 0]
            if len(unfinished) == 0:
                break
            if len(unfinished) < len(tokens):
                steps.keep(unfinished)
                tokens = tokens[unfinished]
        steps.advance(tokens)
    return drawn


@dataclass(kw_only=True, slots=True)
class Drawn:
    """What was drawn so far for all N hypotheses, on the model's device.

    Attributes:
        token_ids: (N, max_new_tokens) int64; only the first num_tokens of a row mean anything.
        num_tokens: (N,) int64, the end-of-turn token included.
        log_probs: (N,) float32, nats, summed over those tokens.
        finished: (N,) bool, whether the end-of-turn token was drawn.
    """

    token_ids: Tensor
    num_tokens: Tensor
    log_probs: Tensor
    finished: Tensor

    @classmethod
    def none_yet(cls, num_hypotheses: int, max_new_tokens: int, *, device: torch.device) -> "Drawn":
        """Nothing drawn."""
        return cls(
            token_ids=torch.zeros(num_hypotheses, max_new_tokens, dtype=torch.long, device=device),
            num_tokens=torch.zeros(num_hypotheses, dtype=torch.long, device=device),
            log_probs=torch.zeros(num_hypotheses, device=device),
            finished=torch.zeros(num_hypotheses, dtype=torch.bool, device=device),
        )

    def add(
        self, tokens: Tensor, log_probs: Tensor, numbers: Tensor, *, step: int, eos_id: int
    ) -> None:
        """Note the tokens (R,) of a step; finished rows run on until they are taken out.

        Args:
            tokens: (R,) int64.
            log_probs: (R,) float32, of the tokens.
            numbers: (R,) int64, the hypotheses.
            step: tokens before these.
            eos_id: the token that ends a reply.
        """
        goes_on = ~self.finished[numbers]
        self.token_ids[numbers, step] = tokens
        self.num_tokens[numbers] += goes_on
        self.log_probs[numbers] += torch.where(goes_on, log_probs, 0.0)
        self.finished[numbers] |= tokens == eos_id

    def by_context(self, num_samples: int) -> list[list[GeneratedReply]]:
        """The replies, num_samples to a context."""
        replies = [
            GeneratedReply(
                token_ids=token_ids[: num_tokens - finished],
                finished=finished,
                forward_log_prob=log_prob,
            )
            for token_ids, num_tokens, log_prob, finished in zip(
                self.token_ids.tolist(),
                self.num_tokens.tolist(),
                self.log_probs.tolist(),
                self.finished.tolist(),
                strict=True,
            )
        ]
        starts = range(0, len(replies), num_samples)
        return [replies[start : start + num_samples] for start in starts]
