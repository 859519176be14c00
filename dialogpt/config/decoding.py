"""The sections of everything that replies: decoding, chat."""

import math
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from dialogpt.config.shared import Precision, require
from dialogpt.text import clean_turn


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How hypotheses are found with the forward model."""

    method: Literal["sample", "greedy", "beam"] = "sample"
    """sample draws tokens at random; greedy always takes the likeliest; beam keeps the likeliest
    beginnings."""
    num_samples: int = 16
    """Hypotheses for each context; greedy makes one, beam its beam_size. A PLATO with latents has
    samples_per_latent instead."""
    samples_per_latent: int = 1
    """PLATO: replies sampled for each of its latents; greedy and beam make one for each."""
    top_k: int = 10
    """Draw among the so many likeliest tokens; 0 draws among all."""
    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability."""
    temperature: float = 1.0
    """Logits are divided by this before anything else."""
    beam_size: int = 10
    """Beginnings that beam search keeps; of a PLATO with latents, for each of them."""
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
        require(self.samples_per_latent >= 1, "generation.samples_per_latent must be >= 1")
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


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Which hypotheses may not be the reply; docs/safety.md says what this does not do."""

    phrases: str = ""
    """UTF-8 file of phrases, one a line, # before a comment: a reply that holds one is dropped, and
    the next best is taken. Empty: none."""
    classifier: str = ""
    """Classifier of texts: a folder in Hugging Face format or a name on the hub. Empty: none."""
    classifier_label: str = ""
    """The classifier's label for replies that are not wanted, e.g. toxic."""
    classifier_threshold: float = 0.5
    """A reply is dropped if that label has at least this probability."""
    fallback: str = "Let us talk about something else."
    """What is said if no hypothesis is left."""

    def __post_init__(self) -> None:
        require(
            bool(self.classifier) == bool(self.classifier_label),
            "filter.classifier and filter.classifier_label are given both or not at all",
        )
        require(
            0.0 < self.classifier_threshold <= 1.0,
            "filter.classifier_threshold must lie in (0, 1]",
        )
        require(bool(clean_turn(self.fallback)), "filter.fallback must hold readable text")


LATEST_MODEL = "runs/latest/forward"
"""The forward model that `make train` trained last."""


@dataclass(frozen=True, kw_only=True)
class ResponderConfig:
    """What replies: a forward model, how it speaks, and what ranks its replies."""

    model: str = LATEST_MODEL
    """Forward model: a folder of a training run (its best model is taken), a folder in Hugging Face
    format, or a name on the hub; GPT-2 or PLATO, as the folder says. Without it: what `make train`
    trained last."""
    backward_model: str = ""
    """Backward model, named likewise. Empty: the folder backward beside a --model that is called
    forward, as `make train` leaves them."""
    mmi: bool = False
    """Rerank by the backward model; otherwise hypotheses are ranked by forward log-probability, of
    beam search over length^length_penalty, and those of a PLATO with latents by their coherence."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """Finding hypotheses."""
    mmi_options: MmiConfig = field(default_factory=MmiConfig)
    """Reranking them."""
    scorers: dict[str, float] = field(default_factory=dict)
    """More scores, or other weights, in the sum that ranks: {name: weight}. A name is a scorer of
    an installed package (entry point dialogpt.scorers), module:attribute, or a score that is there
    anyway, such as forward_log_prob; weight 0 shows a score and does not rank by it."""
    filter: FilterConfig = field(default_factory=FilterConfig)
    """Which hypotheses may not be the reply."""
    precision: Precision = "auto"
    """auto takes bf16 or fp16 on a GPU and fp32 on a CPU."""
    device: str = "auto"
    """auto takes a GPU where there is one; or a torch device such as cpu or cuda:1."""

    def __post_init__(self) -> None:
        require(
            not self.mmi or bool(self.twin),
            "--mmi needs --backward_model: only a --model called forward has its twin beside it",
        )
        require(
            all(math.isfinite(weight) for weight in self.scorers.values()),
            f"scorers: expected a finite weight for each name, found {self.scorers}",
        )

    @property
    def twin(self) -> str:
        """The backward model that belongs to the forward one; "" where none is known."""
        if self.backward_model:
            return self.backward_model
        model = PurePath(self.model)
        return str(model.with_name("backward")) if model.name == "forward" else ""


ContextsFormat = Literal["jsonl", "tsv", "text"]
OutputFormat = Literal["jsonl", "tsv", "text"]


@dataclass(frozen=True, kw_only=True)
class DecodeConfig(ResponderConfig):
    """Contexts -> ranked replies with every score."""

    contexts: str = ""
    """File of contexts, "-" for standard input. Empty: turns are typed at a prompt."""
    contexts_format: ContextsFormat | Literal["auto"] = "auto"
    """jsonl: a line is {"turns": ["...", ...]} or a list of turns, oldest first; a PLATO reads
    "speakers" and "knowledge" beside them. tsv: DialoGPT's,
    turns joined by " EOS ", then a tab and replies, which are not read. text: one turn a line,
    blank lines between contexts. auto: by the file's ending, else by its first line."""
    has_weights: bool = False
    """tsv: each turn begins with its weight, as in DialoGPT's training files; it is taken off."""
    turn_separator: str = ""
    """text: a line is a context, and this stands between its turns."""
    output: str = ""
    """File for the replies; empty prints them only."""
    output_format: OutputFormat | Literal["auto"] = "auto"
    """jsonl: every hypothesis with its scores. tsv: the context, a tab, the reply. text: the
    replies, one a line. auto: tsv or text for a name that ends in .tsv or .txt, else jsonl."""
    show: int = 1
    """Contexts whose hypotheses are all printed, the chosen reply first."""
    batch_contexts: int = 16
    """Contexts decoded at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.batch_contexts >= 1, "batch_contexts must be >= 1")
        require(self.show >= 0, "show must be >= 0")
        require(
            not self.has_weights or self.contexts_format in ("auto", "tsv"),
            f"has_weights is for contexts_format tsv, not {self.contexts_format}",
        )
        require(
            not self.turn_separator or self.contexts_format in ("auto", "text"),
            f"turn_separator is for contexts_format text, not {self.contexts_format}",
        )
        require(
            not (self.has_weights and self.turn_separator),
            "has_weights is for contexts_format tsv and turn_separator for text; give one of them",
        )
