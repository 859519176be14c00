"""Scorers: each gives every hypothesis one number under one name; higher is better.

A scorer of one's own is a callable that is given `ScorerModels` and returns a `Scorer`; a class
whose `__init__` takes them will do. The configuration names it, `scorers: {NAME: weight}`: an entry
point of the group `dialogpt.scorers` in an installed package, or module:attribute. docs/ranking.md
has one that runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from dialogpt.command_line import UserError
from dialogpt.config.decoding import GenerationConfig, MmiConfig
from dialogpt.decode.contexts import Context, latest_turns
from dialogpt.decode.load import Loaded, LoadedModel
from dialogpt.models.inference import CausalLm
from dialogpt.models.scoring import continuation_log_probs
from dialogpt.records import Hypothesis

ENTRY_POINT_GROUP = "dialogpt.scorers"
"""Under which a package's entry points are scorers."""

FORWARD = "forward_log_prob"
COHERENCE = "coherence"
BACKWARD = "backward_log_prob"
BACKWARD_MEAN = "backward_log_prob_mean"
LENGTH_NORMALIZED = "length_normalized_log_prob"


class Scorer(Protocol):
    """Gives one named score to hypotheses, of many contexts at once.

    Attributes:
        name: what the score is called in files and tables; not "score", which is their sum.
    """

    name: str

    def score(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> Sequence[Sequence[float]]:
        """For each context one finite number a hypothesis, in their order; higher is better.

        Args:
            contexts: turns, in text and in the forward model's token ids; at least one turn each.
            hypotheses: of each context, with text, token ids and the scores given so far:
                `forward_log_prob`, those of the project, then those named before in `scorers`.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerModels:
    """What is loaded already when a scorer is made; one that reads text only makes no use of it.

    So a head on the forward model (a response selector, say) costs no second copy of the model, and
    a scorer with a model of its own can put it on the same device, `forward.model.device`.

    Attributes:
        forward: the model that generates, with its tokenizer.
        backward: the model that MMI ranks by; None without --mmi.
        generation: how hypotheses are found.
    """

    forward: Loaded
    backward: LoadedModel | None
    generation: GenerationConfig


ScorerFactory = Callable[[ScorerModels], Scorer]


class LengthNormalizedScorer:
    """log p(reply | context) / num_tokens^length_penalty, the end-of-turn token counted if drawn.

    By this beam search orders replies, which else prefers short ones (Wu et al. 2016,
    arXiv:1609.08144, section 7, with the plain power of the length as in transformers).

    Args:
        length_penalty: the power; 0 leaves log p as it is, 1 makes it a mean.
    """

    name = LENGTH_NORMALIZED

    def __init__(self, length_penalty: float) -> None:
        self._length_penalty = length_penalty

    def score(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[float]]:
        """Nats a token, if length_penalty is 1."""
        return [
            [h.scores[FORWARD] / max(h.num_tokens, 1) ** self._length_penalty for h in group]
            for group in hypotheses
        ]


class BackwardScorer:
    """log p(source | reply) under a backward model, in nats, summed over the source's tokens.

    The backward model reads the hypothesis, its end-of-turn token, and then the source, latest turn
    first, as it was trained; only the source's tokens (their end-of-turn tokens too) are scored.

    Args:
        model: the backward model.
        window: most tokens that it reads.
        longest_hypothesis: most tokens of a hypothesis, the end-of-turn token not counted. The
            source is cut to what this leaves, so that all hypotheses explain the same tokens.
        eos_id: the end-of-turn token.
        options: which turns are the source.

    Raises:
        UserError: the longest hypothesis leaves no room for a source.
    """

    name = BACKWARD

    def __init__(
        self,
        model: CausalLm,
        *,
        window: int,
        longest_hypothesis: int,
        eos_id: int,
        options: MmiConfig,
    ) -> None:
        self._model = model
        self._eos_id = eos_id
        self._options = options
        self._source_budget = window - longest_hypothesis - 1
        if self._source_budget < 1:
            raise UserError(
                f"the backward model reads {window} tokens, and generation.max_new_tokens "
                f"{longest_hypothesis} leaves no room for a source; lower it"
            )

    def score(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[float]]:
        """Nats; what else is in the batch changes none of them."""
        sources = [self.source_ids(context) for context in contexts]
        # Equal hypotheses are read once: it is cheaper, and they get the same number to the bit.
        pairs = {
            (index, tuple(hypothesis.token_ids)): ([*hypothesis.token_ids, self._eos_id], source)
            for index, (source, group) in enumerate(zip(sources, hypotheses, strict=True))
            for hypothesis in group
        }
        log_probs = dict(
            zip(pairs, continuation_log_probs(self._model, list(pairs.values())), strict=True)
        )
        return [
            [log_probs[index, tuple(h.token_ids)] for h in group]
            for index, group in enumerate(hypotheses)
        ]

    def source_ids(self, context: Context) -> list[int]:
        """What the backward model must find probable: turns latest first, each with its end."""
        turn_ids = context.turn_ids if self._options.source == "all" else context.turn_ids[-1:]
        kept, _ = latest_turns(turn_ids, self._source_budget)
        return [token_id for ids in reversed(kept) for token_id in ids]


class BackwardMeanScorer:
    """log p(source | reply) as a mean over the source's tokens, from the sum that is there already.

    Args:
        backward: what made the sum.
    """

    name = BACKWARD_MEAN

    def __init__(self, backward: BackwardScorer) -> None:
        self._backward = backward

    def score(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[float]]:
        """Nats a token of the source."""
        lengths = [len(self._backward.source_ids(context)) for context in contexts]
        return [
            [h.scores[BACKWARD] / length for h in group]
            for length, group in zip(lengths, hypotheses, strict=True)
        ]


def own_scorer(name: str, models: ScorerModels) -> Scorer:
    """The scorer of a name in the configuration, from an installed package or a module.

    Raises:
        UserError: there is no such scorer, or what is there does not make one.
    """
    factory = _factory(name)
    if not callable(factory):
        raise UserError(
            f"scorers: expected {name} to be a class or function that is given the loaded models "
            f"and returns a scorer, found {type(factory).__name__}"
        )
    scorer: Scorer = factory(models)
    found = getattr(scorer, "name", None)
    if not (isinstance(found, str) and found.strip() and callable(getattr(scorer, "score", None))):
        raise UserError(
            f"scorers: expected {name} to return an object with a name and a method "
            f"score(contexts, hypotheses), found {type(scorer).__name__} with the name {found!r}"
        )
    return scorer


def installed_scorers() -> dict[str, list[EntryPoint]]:
    """Name -> entry points of that name, one where all is well, by name."""
    found: dict[str, list[EntryPoint]] = {}
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        same_name = found.setdefault(entry_point.name, [])
        # A package may be found twice on the path; it is the same scorer.
        if entry_point.value not in [other.value for other in same_name]:
            same_name.append(entry_point)
    return found


def _factory(name: str) -> object:
    if ":" in name:
        entry_point = EntryPoint(name=name, value=name, group=ENTRY_POINT_GROUP)
    else:
        installed = installed_scorers()
        if name not in installed:
            known = [FORWARD, LENGTH_NORMALIZED, f"{BACKWARD} (with --mmi)"]
            known += [f"{COHERENCE} (of a PLATO that selects responses)", *installed]
            raise UserError(
                f"scorers: expected one of {', '.join(known)}, or module:attribute, found {name!r}"
            )
        if len(installed[name]) > 1:
            values = ", ".join(entry_point.value for entry_point in installed[name])
            raise UserError(
                f"scorers: {name!r} is an entry point of several packages ({values}); name one of "
                "these instead"
            )
        (entry_point,) = installed[name]
    try:
        factory: object = entry_point.load()
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"scorers: expected to import {entry_point.value}, found {error}; correct the name, or "
            "start where the module can be found (PYTHONPATH)"
        ) from error
    return factory
