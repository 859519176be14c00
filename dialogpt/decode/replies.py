"""What the forward model said, in ids."""

from dataclasses import dataclass
from math import isnan

import torch

from dialogpt.command_line import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedReply:
    """One hypothesis.

    Attributes:
        token_ids: the reply without its end-of-turn token.
        finished: whether the model ended the turn, or max_new_tokens did.
        forward_log_prob: log p(reply | context) in nats under the model's own distribution (no
            temperature, no truncation), the end-of-turn token included if the model drew it.
    """

    token_ids: list[int]
    finished: bool
    forward_log_prob: float


def finite(replies: list[list[GeneratedReply]], dtype: torch.dtype) -> list[list[GeneratedReply]]:
    """The replies, if a model of this number format could compute their probabilities."""
    if all(replies) and not any(isnan(r.forward_log_prob) for group in replies for r in group):
        return replies
    raise UserError(
        "expected log-probabilities that are numbers, found others: the model's numbers overflow "
        f"in {dtype}, or its weights are damaged; try --precision fp32"
    )
