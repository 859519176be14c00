"""The options of `python -m dialogpt.rerank`."""

import math
from dataclasses import dataclass

from dialogpt.config.shared import require


@dataclass(frozen=True, kw_only=True)
class RerankConfig:
    """Another order of the candidates that were found before, by the scores that they have."""

    candidates: str
    """What `dialogpt.decode --output` wrote as JSON Lines: all candidates with all scores."""
    scorers: dict[str, float]
    """{name: weight} of the sum that ranks. Names are scores of the file, such as forward_log_prob,
    backward_log_prob and coherence, or length_normalized_log_prob, which is computed."""
    output: str
    """JSON Lines file for the replies, for `dialogpt.evaluate --systems`; must not exist."""
    length_penalty: float = 1.0
    """length_normalized_log_prob is forward_log_prob over the number of tokens to this power."""

    def __post_init__(self) -> None:
        require(bool(self.scorers), "scorers: expected {name: weight}, found none")
        require(
            all(math.isfinite(weight) for weight in self.scorers.values()),
            f"scorers: expected a finite weight for each name, found {self.scorers}",
        )
        require(
            math.isfinite(self.length_penalty),
            f"length_penalty: expected a finite number, found {self.length_penalty}",
        )
