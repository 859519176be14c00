"""Which hypothesis is the reply: a weighted sum of named scores puts the best first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, SupportsFloat

from dialogpt.command_line import UserError
from dialogpt.config.decoding import ResponderConfig
from dialogpt.decode.contexts import Context
from dialogpt.decode.scorers import (
    BACKWARD,
    BACKWARD_MEAN,
    FORWARD,
    LENGTH_NORMALIZED,
    BackwardMeanScorer,
    BackwardScorer,
    LengthNormalizedScorer,
    Scorer,
    ScorerModels,
    own_scorer,
)
from dialogpt.records import Hypothesis

TOTAL = "score"
"""Name of the sum that ranks."""


def best_first(
    hypotheses: Sequence[Hypothesis], *, finished_first: bool = False
) -> list[Hypothesis]:
    """Hypotheses by falling score; ties by forward log-probability, then by text.

    A hypothesis without a readable character comes last whatever its score: an empty line is no
    reply. With finished_first, those that max_new_tokens cut come behind those that have an end.
    """
    return sorted(
        hypotheses,
        key=lambda hypothesis: (
            not hypothesis.text,
            finished_first and not hypothesis.finished,
            -hypothesis.scores[TOTAL],
            -hypothesis.scores[FORWARD],
            hypothesis.text,
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reranker:
    """Ranks hypotheses by the weighted sum of their scores, and keeps every score.

    Attributes:
        scorers: in the order in which they are asked; a later one sees the scores of the earlier.
        weights: name of a score -> its weight in the sum; a score without one does not rank.
        finished_first: whether replies that were cut come last; of beam search they are beginnings.
    """

    scorers: tuple[Scorer, ...] = ()
    weights: Mapping[str, float]
    finished_first: bool = False

    def __post_init__(self) -> None:
        names = [FORWARD, *(scorer.name for scorer in self.scorers)]
        for name in names:
            if names.count(name) > 1 or name == TOTAL:
                raise UserError(
                    f"scorers: expected another name for each score, found {name!r}, which is "
                    "taken; let the scorer have another name"
                )
        unknown = sorted(set(self.weights) - set(names))
        if unknown:
            raise UserError(
                f"scorers: expected weights of {', '.join(names)}, found {', '.join(unknown)}"
            )

    @classmethod
    def by_forward_log_prob(cls) -> Self:
        """Ranks by log p(reply | context), summed over tokens: short and common replies win.

        It is the honest order of what the forward model finds probable, and the reason for MMI.
        """
        return cls(weights={FORWARD: 1.0})

    def rerank(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[Hypothesis]]:
        """For each context its hypotheses with every score and `score`, best first.

        Raises:
            UserError: a scorer does not give one finite number to every hypothesis.
        """
        scored = [[_with_scores(h, {}) for h in group] for group in hypotheses]
        for scorer in self.scorers:
            given = _checked(scorer, scorer.score(contexts, scored), hypotheses)
            scored = [
                [_with_scores(h, {scorer.name: v}) for h, v in zip(group, values, strict=True)]
                for group, values in zip(scored, given, strict=True)
            ]
        return [
            best_first(
                [_with_scores(h, {TOTAL: self._total(h)}) for h in group],
                finished_first=self.finished_first,
            )
            for group in scored
        ]

    def _total(self, hypothesis: Hypothesis) -> float:
        return sum(weight * hypothesis.scores[name] for name, weight in self.weights.items())


def _with_scores(hypothesis: Hypothesis, more: Mapping[str, float]) -> Hypothesis:
    """A copy with more scores: what came in stays as it is."""
    return replace(hypothesis, scores={**hypothesis.scores, **more})


def _checked(
    scorer: Scorer,
    given: Sequence[Sequence[float]],
    hypotheses: Sequence[Sequence[Hypothesis]],
) -> list[list[float]]:
    """The scores as plain floats; UserError unless there is a finite one for each hypothesis."""
    if _length(given) != len(hypotheses):
        raise UserError(
            f"scorer {scorer.name}: expected a list of scores for each of {len(hypotheses)} "
            f"contexts, found {_length(given, kind='lists')}; mend its method score"
        )
    for number, (values, group) in enumerate(zip(given, hypotheses, strict=True)):
        if _length(values) != len(group):
            raise UserError(
                f"scorer {scorer.name}: expected {len(group)} scores for context {number} of the "
                f"batch, found {_length(values, kind='scores')}; mend its method score"
            )
    return [
        [_finite(scorer, value, number) for value in values] for number, values in enumerate(given)
    ]


def _length(values: object, *, kind: str = "") -> int | str:
    """Number of values, or what stands in the place of a list of them."""
    try:
        number = len(values)  # type: ignore[arg-type]
    except TypeError:
        return type(values).__name__
    return f"{number} {kind}" if kind else number


def _finite(scorer: Scorer, value: object, number: int) -> float:
    try:
        # numpy's and torch's numbers are numbers; what spells one is not.
        score = float(value) if isinstance(value, SupportsFloat) else math.nan
    except (TypeError, ValueError, RuntimeError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        raise UserError(
            f"scorer {scorer.name}: expected finite numbers, found {str(value)[:60]!r} for context "
            f"{number} of the batch; mend its method score"
        )
    return score


def build_reranker(
    config: ResponderConfig, models: ScorerModels, *, own: Scorer | None = None
) -> Reranker:
    """The reranker of a configuration.

        with --mmi    (1 - w) forward_log_prob + w backward_log_prob
        own scorer    its score; with --mmi it is shown and ranks by a weight in `scorers` only
        beam          forward_log_prob / num_tokens^length_penalty
        else          forward_log_prob

    Maximum mutual information, Li et al. 2016, arXiv:1510.03055. Zhang et al. 2020,
    arXiv:1911.00536, section 3.2, rank with w = 1: a bland reply fits any source, so it makes none
    probable. `scorers` of the configuration adds to the sum, or replaces a weight of it.

    Args:
        config: all options.
        models: what is loaded.
        own: a score by the forward model itself, if it has one.

    Raises:
        UserError: a scorer is not known or cannot be had, or its name is taken.
    """
    scorers: list[Scorer] = [] if own is None else [own]
    weights = {FORWARD if own is None else own.name: 1.0}
    if models.backward is not None:
        options = config.mmi_options
        backward = BackwardScorer(
            models.backward.model,
            window=models.backward.window,
            longest_hypothesis=config.generation.max_new_tokens,
            eos_id=models.backward.tokenizer.eos_id,
            options=options,
        )
        by_mean = options.reduction == "mean"
        scorers += [backward, *([BackwardMeanScorer(backward)] if by_mean else [])]
        weights = {
            FORWARD: 1.0 - options.weight,
            BACKWARD_MEAN if by_mean else BACKWARD: options.weight,
        }
    elif own is None and config.generation.method == "beam":
        weights = {LENGTH_NORMALIZED: 1.0}
    if LENGTH_NORMALIZED in {*weights, *config.scorers}:
        scorers.append(LengthNormalizedScorer(config.generation.length_penalty))
    for name, weight in config.scorers.items():
        if name in {FORWARD, *(scorer.name for scorer in scorers)}:
            weights[name] = weight
            continue
        if name in (BACKWARD, BACKWARD_MEAN):
            raise UserError(f"scorers: {name} needs --mmi, and the mean mmi_options.reduction mean")
        scorer = own_scorer(name, models)
        scorers.append(scorer)
        weights[scorer.name] = weight
    return Reranker(
        scorers=tuple(scorers),
        weights=weights,
        finished_first=config.generation.method == "beam",
    )
