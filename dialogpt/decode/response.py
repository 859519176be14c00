"""The reply to a context with all that could have been said, and what replies, of any model."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from dialogpt.command_line import UserError
from dialogpt.config.decoding import FilterConfig, GenerationConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.contexts import Context, encode_contexts
from dialogpt.decode.filters import CandidateFilter, FilteredHypothesis, sift
from dialogpt.decode.load import Loaded
from dialogpt.decode.rerank import Reranker
from dialogpt.decode.scorers import Scorer
from dialogpt.decode.streaming import TextStream
from dialogpt.records import Hypothesis

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """The reply to a context, and what else could have been said.

    Attributes:
        context: the cleaned turns that were replied to, oldest first.
        hypotheses: those that may be said, with every score, best first. At least one, unless a
            filter dropped all.
        num_turns_dropped: oldest turns of the context that the forward model had no room for.
        filtered: the hypotheses that a filter dropped, best first.
        fallback: what is said where no hypothesis is left; "" without a filter.
    """

    context: tuple[str, ...]
    hypotheses: list[Hypothesis]
    num_turns_dropped: int
    filtered: tuple[FilteredHypothesis, ...] = ()
    fallback: str = ""

    @property
    def is_fallback(self) -> bool:
        """Whether the reply is the configured sentence, because no hypothesis was left."""
        return not self.hypotheses

    @property
    def text(self) -> str:
        """The reply."""
        return self.fallback if self.is_fallback else self.hypotheses[0].text

    def as_record(self) -> dict[str, Any]:
        """What stands in the output file; num_tokens counts the end-of-turn token if drawn."""
        return {
            "context": list(self.context),
            "response": self.text,
            "is_fallback": self.is_fallback,
            "hypotheses": [_hypothesis_record(hypothesis) for hypothesis in self.hypotheses],
            "filtered": [
                {
                    **_hypothesis_record(dropped.hypothesis),
                    "reason": dropped.objection.reason,
                    "detail": dropped.objection.detail,
                }
                for dropped in self.filtered
            ],
            "num_turns_dropped": self.num_turns_dropped,
        }


def _hypothesis_record(hypothesis: Hypothesis) -> dict[str, Any]:
    record = {
        "text": hypothesis.text,
        "num_tokens": hypothesis.num_tokens,
        "finished": hypothesis.finished,
        "scores": hypothesis.scores,
    }
    return record if hypothesis.latent is None else {**record, "latent": hypothesis.latent}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a model finds to say to a batch of contexts.

    Attributes:
        hypotheses: of each context, with `forward_log_prob`; not ranked.
        num_turns_dropped: oldest turns of each context that there was no room for.
    """

    hypotheses: list[list[Hypothesis]]
    num_turns_dropped: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnyResponder(ABC):
    """Replies to contexts; holds models, not conversations.

    Attributes:
        forward: the model that generates.
        generation: how hypotheses are found.
        reranker: which of them is the reply.
        filters: which of them may not be the reply.
        fallback: the reply where none is left.
    """

    forward: Loaded
    generation: GenerationConfig
    reranker: Reranker = field(default_factory=Reranker.by_forward_log_prob)
    filters: tuple[CandidateFilter, ...] = ()
    fallback: str = FilterConfig.fallback

    @property
    @abstractmethod
    def context_budget(self) -> int:
        """Most tokens of a context that the model reads, ends of turns included."""

    @property
    def message_budget(self) -> int:
        """Most tokens of the last turn that the model reads, without its end: its last ones."""
        return self.context_budget - 1

    @property
    def num_latents(self) -> int:
        """Values of the model's latent variable; 0 without one."""
        return 0

    @property
    def reads_knowledge(self) -> bool:
        """Whether the knowledge of a context makes a difference."""
        return False

    @property
    def num_candidates(self) -> int:
        """Hypotheses for each context."""
        return self.generation.num_hypotheses

    @property
    def own_scorer(self) -> Scorer | None:
        """What ranks hypotheses by the forward model itself, if it has such a thing."""
        return None

    @property
    def can_stream(self) -> bool:
        """Whether the reply is known while it is drawn: nothing is chosen or dropped afterwards."""
        is_single = self.num_candidates == 1 and self.generation.method != "beam"
        return is_single and not self.filters

    @abstractmethod
    def _find(
        self,
        contexts: Sequence[Context],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> Found:
        """Hypotheses for contexts, computed at once."""

    @abstractmethod
    def _release(self) -> None:
        """Give back the memory that is kept for the next batch."""

    def respond(
        self,
        turns: Sequence[str] | GivenContext,
        *,
        context_index: int = 0,
        on_text: Callable[[str], None] | None = None,
    ) -> Response:
        """The ranked replies to one context.

        Args:
            turns: what was said, oldest first.
            context_index: decides, with the seed, what is drawn.
            on_text: where `can_stream`, called with the whole reply so far each time it has grown,
                and at last with the reply; each text begins with the one before. Else not called.

        Raises:
            ValueError: there are no turns, or one of them holds no readable text.
            UserError: as for respond_batch.
        """
        if on_text is None or not self.can_stream:
            return self.respond_batch([turns], first_index=context_index)[0]
        stream = TextStream(self.forward.tokenizer, on_text)
        (response,) = self._respond([turns], first_index=context_index, on_tokens=stream.add)
        stream.end(response.text)
        return response

    def respond_batch(
        self, contexts: Sequence[Sequence[str] | GivenContext], *, first_index: int = 0
    ) -> list[Response]:
        """The ranked replies to each context, computed at once.

        Args:
            contexts: the turns of each context, oldest first.
            first_index: context_index of the first; the others count on. So a file's replies do not
                depend on how it is cut into batches.

        Raises:
            ValueError: as for respond.
            UserError: the device has too little memory for one of them (for many at once, they are
                taken in parts), or a scorer gives no proper scores.
        """
        return self._respond(contexts, first_index=first_index, on_tokens=None)

    def _respond(
        self,
        contexts: Sequence[Sequence[str] | GivenContext],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> list[Response]:
        try:
            return self._respond_at_once(contexts, first_index=first_index, on_tokens=on_tokens)
        except torch.OutOfMemoryError:
            pass
        # Behind the handler, which holds on to what the failed attempt has allocated.
        self._release()
        if len(contexts) == 1:
            try:  # an earlier, larger batch may have left no room
                return self._respond_at_once(contexts, first_index=first_index, on_tokens=on_tokens)
            except torch.OutOfMemoryError as error:
                fewer = "samples_per_latent" if self.num_latents else "num_samples"
                raise UserError(
                    f"out of memory with one context; lower generation.{fewer} or "
                    "generation.max_new_tokens"
                ) from error
        half = len(contexts) // 2
        _logger.warning("out of memory with %d contexts at once; trying halves", len(contexts))
        return [
            *self._respond(contexts[:half], first_index=first_index, on_tokens=None),
            *self._respond(contexts[half:], first_index=first_index + half, on_tokens=None),
        ]

    def _respond_at_once(
        self,
        contexts: Sequence[Sequence[str] | GivenContext],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> list[Response]:
        encoded = encode_contexts(self.forward.tokenizer, contexts)
        found = self._find(encoded, first_index=first_index, on_tokens=on_tokens)
        ranked = self.reranker.rerank(encoded, found.hypotheses)
        return [
            self._response(context, group, num_turns_dropped=num_dropped, context_index=index)
            for index, (context, group, num_dropped) in enumerate(
                zip(encoded, ranked, found.num_turns_dropped, strict=True), start=first_index
            )
        ]

    def _response(
        self,
        context: Context,
        ranked: Sequence[Hypothesis],
        *,
        num_turns_dropped: int,
        context_index: int,
    ) -> Response:
        kept, dropped = sift(ranked, self.filters, context_index=context_index)
        return Response(
            context=context.turns,
            hypotheses=kept,
            num_turns_dropped=num_turns_dropped,
            filtered=tuple(dropped),
            fallback=self.fallback if self.filters else "",
        )
