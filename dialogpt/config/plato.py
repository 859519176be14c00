"""The section of PLATO: arXiv:1910.07931 and its release, where they differ with a reason."""

from dataclasses import dataclass
from typing import Literal

from dialogpt.config.shared import Precision, require

BlockKind = Literal["bert", "gpt2"]
LatentSample = Literal["soft", "straight_through", "sample"]
Reduction = Literal["sum", "token_mean"]
MOST_TURNS, MOST_SENTENCES = 15, 16
"""That the release's table of turns, of 16 rows, can tell apart; its row 0 is the response's."""


_LEAST = {
    "max_context_tokens": 2,
    "max_turn_tokens": 1,
    "max_response_tokens": 1,
    "max_knowledge_sentences": 0,
    "max_knowledge_tokens": 1,
}


@dataclass(frozen=True, kw_only=True)
class SequenceConfig:
    """How a context, knowledge and a response become a row of tokens."""

    max_context_tokens: int = 256
    """Of a context, and of its knowledge, ends of utterances included; the last ones stay."""
    max_turn_tokens: int = 50
    """Of an utterance of the context; its last ones stay."""
    max_turns: int = 15
    """Utterances of the context; the oldest ones go first."""
    max_response_tokens: int = 50
    """Of the response; a longer one loses its tail, and its end is then not learned."""
    max_knowledge_sentences: int = 16
    """The last ones stay."""
    max_knowledge_tokens: int = 16
    """Of a sentence of knowledge; its first ones stay. Sentences of DSTC7-AVSD want more."""
    whole_turns: bool = False
    """Drop utterances whole where the context is too long, instead of cutting into one."""
    own_knowledge_turns: bool = False
    """Give all sentences of knowledge a row of their own in the table of turns, instead of those of
    utterances, as the release does."""
    roles: Literal["speakers", "parity"] = "speakers"
    """Who said an utterance, its replier or somebody else: by the speakers where they are known, or
    always by turns."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            require(value >= least, f"plato.sequence.{name} must be >= {least}, got {value}")
        require(
            1 <= self.max_turns <= MOST_TURNS,
            f"plato.sequence.max_turns must lie in [1, {MOST_TURNS}], rows of the table of turns, "
            f"got {self.max_turns}",
        )
        require(
            self.max_knowledge_sentences <= MOST_SENTENCES or self.own_knowledge_turns,
            f"plato.sequence.max_knowledge_sentences must be <= {MOST_SENTENCES}, or "
            "own_knowledge_turns true: the table of turns has no more; got "
            f"{self.max_knowledge_sentences}",
        )

    @property
    def longest_row(self) -> int:
        """Latent, context with knowledge, and the response between its two control tokens."""
        knowledge = self.max_context_tokens if self.max_knowledge_sentences else 0
        return 1 + self.max_context_tokens + knowledge + self.max_response_tokens + 2


@dataclass(frozen=True, kw_only=True)
class PlatoConfig:
    """A transformer with a discrete latent speech act, in the place of GPT-2."""

    num_latents: int = 20
    """K, the values of the latent variable; 0 for a model without it, its bag of words and its
    response selection."""
    blocks: BlockKind = "bert"
    """With model.init scratch: bert has layer norms behind each sum, gpt2 before each product. Else
    as the weights have it."""
    bidirectional_context: bool = True
    """Tokens of the context see all of it; false: those before them only, as GPT-2 (row 1.2 of
    Table 5)."""
    latent_visible_to_context: bool = True
    """Tokens of the context see the latent, as in the paper; false: they do not, so that one pass
    over the context serves all latents when replies are made. Not the paper's model."""
    sequence: SequenceConfig = SequenceConfig()
    """Rows."""
    examples: Literal["last", "all"] = "last"
    """Responses to learn: last, that of each dialogue, for rows made by `import --instances
    response` and for paths of one tree, which repeat their beginnings; all, every utterance that
    another one comes before."""
    latent_sample: LatentSample = "soft"
    """How training draws the latent from its posterior: soft is the relaxed sample of
    Gumbel-softmax, straight_through the nearest corner of it with the gradient of soft, sample a
    corner without a gradient, so that nothing but entropy_weight trains the posterior's own
    weights."""
    temperature: float = 0.67
    """Of Gumbel-softmax."""
    reduction: Reduction = "sum"
    """What NLL and bag of words are divided by: sum by responses, token_mean by tokens, which gives
    response selection a larger share."""
    bow_weight: float = 1.0
    """Of the bag-of-words loss."""
    selection_weight: float = 1.0
    """Of the loss of response selection; 0 leaves negatives out, and replies are then ranked by
    their log-probability."""
    entropy_weight: float = 0.0
    """Reward for a posterior of high entropy, a response; PLATO-2's code has 0.01 as an option."""
    negatives: Literal["corpus", "in_batch"] = "corpus"
    """Responses of other contexts: drawn from the chunks of the shards that the batch comes from,
    or those of the next example of the batch with another one, as in the release; a batch without
    two different responses then learns no selection."""
    head_biases: bool = True
    """The posterior and the bag of words have biases, as in the paper; the release has none."""
    validate_all_latents: bool = False
    """Also measure validation responses under every latent, K passes more: their marginal and best
    perplexity and the variational bound, which compare with a model without a latent."""
    mask_from_vocabulary: bool = False
    """[M] begins as the vocabulary's [MASK], where it would begin at random."""

    def __post_init__(self) -> None:
        require(self.temperature > 0, f"plato.temperature must be > 0, got {self.temperature}")
        for name in ("num_latents", "bow_weight", "selection_weight", "entropy_weight"):
            value = getattr(self, name)
            require(value >= 0, f"plato.{name} must be >= 0, got {value}")
        require(
            self.bidirectional_context or self.num_latents == 0,
            "plato.bidirectional_context false needs plato.num_latents 0: what recognises a latent "
            "must see context and response whole",
        )


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How probable a PLATO finds the responses of a split, by its latent and over all of them."""

    model: str
    """Run folder (its best model is taken) or model folder."""
    shards: str
    """Folder that `python -m data_prep shards` wrote with the model's tokenizer."""
    split: Literal["train", "valid", "test"] = "test"
    """Which of its splits."""
    examples: Literal["last", "all"] = "last"
    """As in training."""
    max_dialogues: int = 0
    """Measure on the first so many dialogues; 0 takes all."""
    micro_batch_tokens: int = 16384
    """Most tokens computed at once."""
    precision: Precision = "auto"
    """auto takes bf16 where the hardware has it, and fp32 on a CPU."""
    output: str = ""
    """JSON file for the numbers; empty: only print."""

    def __post_init__(self) -> None:
        require(self.max_dialogues >= 0, "max_dialogues must be >= 0")
        require(self.micro_batch_tokens >= 1, "micro_batch_tokens must be >= 1")
