"""Which hypothesis is the reply: rerankers add scores to hypotheses and put the best first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from dialogpt.command_line import UserError
from dialogpt.config.decoding import MmiConfig
from dialogpt.decode.contexts import Context, latest_turns
from dialogpt.models.scoring import CausalLm, continuation_log_probs
from dialogpt.records import Hypothesis


class Reranker(Protocol):
    """Orders hypotheses; whatever it looks at, it works on many contexts at once."""

    def rerank(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[Hypothesis]]:
        """For each context its hypotheses with a `score`, best first; as many as came in."""
        ...


def best_first(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Hypotheses by falling score; ties by forward log-probability, then by text.

    A hypothesis without a readable character comes last whatever its score: an empty line is no
    reply.
    """
    return sorted(
        hypotheses,
        key=lambda hypothesis: (
            not hypothesis.text,
            -hypothesis.scores["score"],
            -hypothesis.scores["forward_log_prob"],
            hypothesis.text,
        ),
    )


class ForwardReranker:
    """Ranks by log p(reply | context), summed over tokens: short and common replies win.

    It is the honest order of what the forward model finds probable, and the reason for MMI.
    """

    def rerank(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[Hypothesis]]:
        """For each context its hypotheses, the likeliest first."""
        return [
            best_first([_with_scores(h, score=h.scores["forward_log_prob"]) for h in group])
            for group in hypotheses
        ]


class MmiReranker:
    """Ranks by how probable a backward model finds the source, given the reply.

        score(T) = (1 - w) log p(T | S) + w log p(S | T)

    Maximum mutual information, Li et al. 2016, arXiv:1510.03055. Zhang et al. 2020,
    arXiv:1911.00536, section 3.2, rank with w = 1: a bland reply fits any source, so it makes none
    probable. The backward model reads the hypothesis T and then the source S, latest turn first,
    as it was trained; only the source's tokens (their end-of-turn tokens too) are scored.

    Args:
        model: the backward model.
        window: most tokens that the backward model reads.
        longest_hypothesis: most tokens of a hypothesis, the end-of-turn token not counted. The
            source is cut to what this leaves, so that all hypotheses explain the same tokens.
        eos_id: the end-of-turn token.
        options: which turns are the source, and how scores are combined.

    Raises:
        UserError: the longest hypothesis leaves no room for a source.
    """

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

    def rerank(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[Hypothesis]]:
        """For each context its hypotheses with both log-probabilities, the best first.

        `backward_log_prob` is always the sum, in nats; mmi_options.reduction acts on `score`.
        """
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
            best_first(
                [
                    self._scored(h, log_probs[index, tuple(h.token_ids)], len(sources[index]))
                    for h in group
                ]
            )
            for index, group in enumerate(hypotheses)
        ]

    def source_ids(self, context: Context) -> list[int]:
        """What the backward model must find probable: turns latest first, each with its end."""
        turn_ids = context.turn_ids if self._options.source == "all" else context.turn_ids[-1:]
        kept, _ = latest_turns(turn_ids, self._source_budget)
        return [token_id for ids in reversed(kept) for token_id in ids]

    def _scored(self, hypothesis: Hypothesis, log_prob: float, num_tokens: int) -> Hypothesis:
        weight = self._options.weight
        backward = log_prob / num_tokens if self._options.reduction == "mean" else log_prob
        score = (1.0 - weight) * hypothesis.scores["forward_log_prob"] + weight * backward
        return _with_scores(hypothesis, backward_log_prob=log_prob, score=score)


def _with_scores(hypothesis: Hypothesis, **scores: float) -> Hypothesis:
    return replace(hypothesis, scores={**hypothesis.scores, **scores})
