"""The options of `python -m dialogpt.latents`."""

from dataclasses import dataclass, field
from typing import Literal

from dialogpt.config.decoding import ContextsFormat, GenerationConfig
from dialogpt.config.shared import Precision, require


@dataclass(frozen=True, kw_only=True)
class LatentsConfig:
    """What each latent of a PLATO says to contexts, and the words that it prefers."""

    model: str
    """PLATO with a latent: a folder of a training run (its best model is taken) or a model
    folder."""
    contexts: str
    """File of contexts, "-" for standard input."""
    contexts_format: ContextsFormat | Literal["auto"] = "auto"
    """As for `python -m dialogpt.decode`."""
    generation: GenerationConfig = field(
        default_factory=lambda: GenerationConfig(
            method="beam", beam_size=5, length_penalty=0.0, max_new_tokens=30
        )
    )
    """Finding replies; by default as in configs/decode/plato_beam.yaml."""
    show: int = 10
    """Contexts whose replies are printed; the words come from all of them."""
    words: int = 0
    """Words to print for each latent; 0 for none."""
    prior: float = 100.0
    """Words that each latent is taken to have said before, as all of them say them: the more, the
    more often a word must be said to stand out."""
    batch_contexts: int = 16
    """Contexts decoded at once."""
    precision: Precision = "auto"
    """auto takes bf16 or fp16 on a GPU and fp32 on a CPU."""
    device: str = "auto"
    """auto takes a GPU where there is one; or a torch device such as cpu or cuda:1."""

    def __post_init__(self) -> None:
        require(self.show >= 0, "show must be >= 0")
        require(self.words >= 0, "words must be >= 0")
        require(self.prior >= 1e-3, f"prior must be >= 0.001, got {self.prior}")
        require(self.batch_contexts >= 1, "batch_contexts must be >= 1")
