"""The section of training that maximises mutual information by policy gradient."""

from dataclasses import dataclass
from typing import Literal

from dialogpt.config.shared import require


@dataclass(frozen=True, kw_only=True)
class MmiRlConfig:
    """Replies are drawn, and those that make the source probable become likelier.

    The objective of a reply is reward - kl_weight * KL - copy_weight * copy rate; docs/mmi-rl.md
    has what each of them is.
    """

    backward_model: str
    """Backward model that gives the reward: a run folder, a model folder, or a name on the hub."""
    source: Literal["all", "last"] = "all"
    """What a reply must make probable: all turns of the context, or only the last one."""
    reduction: Literal["sum", "mean"] = "sum"
    """Reward in nats of the whole source, or of a token of it; by mean no long source rules a
    step."""
    kl_weight: float = 0.0
    """Units of reward that a nat of a reply's divergence from the start model costs."""
    copy_weight: float = 0.0
    """Units of reward that a reply costs of which every n-gram stands in the source."""
    copy_ngram: int = 2
    """Length of those n-grams, in tokens."""
    contexts_per_step: int = 16
    """Contexts that each device draws replies to in one optimizer step."""
    num_samples: int = 8
    """Replies to each context; the others are each one's baseline, so at least 2."""
    max_new_tokens: int = 32
    """Most tokens of a reply; the context has what they leave of data.max_seq_len."""

    def __post_init__(self) -> None:
        require(bool(self.backward_model), "mmi_rl.backward_model must name a model")
        require(self.kl_weight >= 0.0, "mmi_rl.kl_weight must be >= 0")
        require(self.copy_weight >= 0.0, "mmi_rl.copy_weight must be >= 0")
        require(self.copy_ngram >= 1, "mmi_rl.copy_ngram must be >= 1")
        require(self.contexts_per_step >= 1, "mmi_rl.contexts_per_step must be >= 1")
        require(self.num_samples >= 2, "mmi_rl.num_samples must be >= 2")
        require(self.max_new_tokens >= 1, "mmi_rl.max_new_tokens must be >= 1")
