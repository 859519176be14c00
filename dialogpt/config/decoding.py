"""The sections of everything that replies: decoding, chat."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from dialogpt.config.shared import Precision, require


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How hypotheses are found with the forward model."""

    method: Literal["sample", "greedy", "beam"] = "sample"
    """sample draws tokens at random; greedy always takes the likeliest; beam keeps the likeliest
    beginnings."""
    num_samples: int = 16
    """Hypotheses for each context; greedy makes one, beam its beam_size."""
    top_k: int = 10
    """Draw among the so many likeliest tokens; 0 draws among all."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability."""
    temperature: float = 1.0
    """Logits are divided by this before anything else."""
    beam_size: int = 10
    """Beginnings that beam search keeps."""
    length_penalty: float = 1.0
    """a in log p / length^a, by which beam search orders replies; 0 prefers short ones."""
    max_new_tokens: int = 64
    """Most tokens of a reply."""
    min_new_tokens: int = 1
    """Fewest tokens of a reply; at least 1, so that no reply is empty."""
    no_repeat_ngram: int = 0
    """No so many tokens stand twice in a reply in the same order; 0 allows all."""
    no_copy_ngram: int = 0
    """No so many tokens of the last turns stand in a reply in the same order; 0 allows all."""
    no_copy_turns: int = 1
    """How many last turns no_copy_ngram looks at."""
    seed: int = 0
    """Seed of the draws; a context's draws do not depend on the other contexts."""

    def __post_init__(self) -> None:
        require(self.num_samples >= 1, "generation.num_samples must be >= 1")
        require(self.top_k >= 0, "generation.top_k must be >= 0")
        require(0.0 < self.top_p <= 1.0, "generation.top_p must lie in (0, 1]")
        require(self.temperature > 0.0, "generation.temperature must be > 0")
        require(self.beam_size >= 1, "generation.beam_size must be >= 1")
        require(self.length_penalty >= 0.0, "generation.length_penalty must be >= 0")
        require(
            1 <= self.min_new_tokens <= self.max_new_tokens,
            "generation needs 1 <= min_new_tokens <= max_new_tokens",
        )
        require(self.no_repeat_ngram >= 0, "generation.no_repeat_ngram must be >= 0")
        require(self.no_copy_ngram >= 0, "generation.no_copy_ngram must be >= 0")
        require(self.no_copy_turns >= 1, "generation.no_copy_turns must be >= 1")

    @property
    def num_hypotheses(self) -> int:
        """Hypotheses for each context."""
        return {"greedy": 1, "beam": self.beam_size}.get(self.method, self.num_samples)


@dataclass(frozen=True, kw_only=True)
class MmiConfig:
    """How the backward model reranks: maximum mutual information, Li et al. 2016."""

    source: Literal["all", "last"] = "all"
    """What the backward model must find probable: all turns of the context, latest first, as it was
    trained on, or only the last one."""
    reduction: Literal["sum", "mean"] = "sum"
    """Sum or mean over the source's tokens; both rank alike for one context."""
    weight: float = 1.0
    """w in (1 - w) log P(reply | context) + w log P(source | reply); the paper ranks with w = 1."""

    def __post_init__(self) -> None:
        require(0.0 <= self.weight <= 1.0, "mmi_options.weight must lie in [0, 1]")


LATEST_MODEL = "runs/latest/forward"
"""The forward model that `make train` trained last."""


@dataclass(frozen=True, kw_only=True)
class ResponderConfig:
    """What replies: a forward model, how it speaks, and what ranks its replies."""

    model: str = LATEST_MODEL
    """Forward model: a folder of a training run (its best model is taken), a folder in Hugging Face
    format, or a name on the hub. Without it: what `make train` trained last."""
    backward_model: str = ""
    """Backward model, named likewise. Empty: the folder backward beside a --model that is called
    forward, as `make train` leaves them."""
    mmi: bool = False
    """Rerank by the backward model; otherwise hypotheses are ranked by forward log-probability."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """Finding hypotheses."""
    mmi_options: MmiConfig = field(default_factory=MmiConfig)
    """Reranking them."""
    precision: Precision = "auto"
    """auto takes bf16 or fp16 on a GPU and fp32 on a CPU."""
    device: str = "auto"
    """auto takes a GPU where there is one; or a torch device such as cpu or cuda:1."""

    def __post_init__(self) -> None:
        require(
            not self.mmi or bool(self.twin),
            "--mmi needs --backward_model: only a --model called forward has its twin beside it",
        )

    @property
    def twin(self) -> str:
        """The backward model that belongs to the forward one; "" where none is known."""
        if self.backward_model:
            return self.backward_model
        model = PurePath(self.model)
        return str(model.with_name("backward")) if model.name == "forward" else ""


@dataclass(frozen=True, kw_only=True)
class DecodeConfig(ResponderConfig):
    """Contexts -> ranked replies with every score."""

    contexts: str = ""
    """JSON Lines file, "-" for standard input; a line is {"turns": ["...", ...]} or a list of
    turns, oldest first. Empty: turns are typed at a prompt."""
    output: str = ""
    """JSON Lines file for every hypothesis and its scores; empty prints the replies only."""
    show: int = 1
    """Contexts whose hypotheses are all printed, the chosen reply first."""
    batch_contexts: int = 16
    """Contexts decoded at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.batch_contexts >= 1, "batch_contexts must be >= 1")
        require(self.show >= 0, "show must be >= 0")
