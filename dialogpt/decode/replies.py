"""What the forward model said, in ids."""

from dataclasses import dataclass


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
