"""From turns to ranked replies: the library call."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dialogpt.command_line import UserError, as_plain
from dialogpt.config.decoding import (
    LATEST_MODEL,
    FilterConfig,
    GenerationConfig,
    ResponderConfig,
)
from dialogpt.decode.contexts import Context, encode_contexts, latest_turns
from dialogpt.decode.filters import CandidateFilter, FilteredHypothesis, build_filters, sift
from dialogpt.decode.generate import generate
from dialogpt.decode.load import (
    LoadedModel,
    check_same_tokenizer,
    choose_device,
    choose_dtype,
    load_model,
)
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.rerank import Reranker, build_reranker
from dialogpt.decode.scorers import ScorerModels
from dialogpt.decode.streaming import TextStream
from dialogpt.models.inference import release_workspace
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn

_logger = logging.getLogger(__name__)

_FEWEST_CONTEXT_TOKENS = 2
# One token and the end of its turn.


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
    return {
        "text": hypothesis.text,
        "num_tokens": hypothesis.num_tokens,
        "finished": hypothesis.finished,
        "scores": hypothesis.scores,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Responder:
    """Replies to contexts; holds models, not conversations.

    Attributes:
        forward: the model that generates.
        generation: how hypotheses are drawn.
        reranker: which of them is the reply.
        filters: which of them may not be the reply.
        fallback: the reply where none is left.
    """

    forward: LoadedModel
    generation: GenerationConfig
    reranker: Reranker = field(default_factory=Reranker.by_forward_log_prob)
    filters: tuple[CandidateFilter, ...] = ()
    fallback: str = FilterConfig.fallback

    def __post_init__(self) -> None:
        if self._context_budget < _FEWEST_CONTEXT_TOKENS:
            raise UserError(
                f"{self.forward.name} reads {self.forward.window} tokens (it was not trained on "
                f"longer rows), and generation.max_new_tokens {self.generation.max_new_tokens} "
                "leaves no room for a context; lower it"
            )

    @property
    def _context_budget(self) -> int:
        return self.forward.window - self.generation.max_new_tokens

    @property
    def can_stream(self) -> bool:
        """Whether the reply is known while it is drawn: nothing is chosen or dropped afterwards."""
        is_single = self.generation.num_hypotheses == 1 and self.generation.method != "beam"
        return is_single and not self.filters

    def respond(
        self,
        turns: Sequence[str],
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
        self, contexts: Sequence[Sequence[str]], *, first_index: int = 0
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
        contexts: Sequence[Sequence[str]],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> list[Response]:
        try:
            return self._respond_at_once(contexts, first_index=first_index, on_tokens=on_tokens)
        except torch.OutOfMemoryError:
            pass
        # Behind the handler, which holds on to what the failed attempt has allocated.
        release_workspace(self.forward.model)
        if len(contexts) == 1:
            try:  # an earlier, larger batch may have left no room
                return self._respond_at_once(contexts, first_index=first_index, on_tokens=on_tokens)
            except torch.OutOfMemoryError as error:
                raise UserError(
                    "out of memory with one context; lower generation.num_samples or "
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
        contexts: Sequence[Sequence[str]],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> list[Response]:
        encoded = encode_contexts(self.forward.tokenizer, contexts)
        fitted = [latest_turns(context.turn_ids, self._context_budget) for context in encoded]
        replies = generate(
            self.forward.model,
            [[token_id for ids in kept for token_id in ids] for kept, _ in fitted],
            context_indices=range(first_index, first_index + len(contexts)),
            generation=self.generation,
            eos_id=self.forward.tokenizer.eos_id,
            vocab_size=self.forward.tokenizer.vocab_size,
            readable=self.forward.readable,
            on_tokens=on_tokens,
        )
        ranked = self.reranker.rerank(encoded, self._hypotheses(replies))
        return [
            self._response(context, group, num_turns_dropped=num_dropped, context_index=index)
            for index, (context, group, (_, num_dropped)) in enumerate(
                zip(encoded, ranked, fitted, strict=True), start=first_index
            )
        ]

    def _hypotheses(self, replies: Sequence[Sequence[GeneratedReply]]) -> list[list[Hypothesis]]:
        ids = [reply.token_ids for group in replies for reply in group]
        texts = iter(self.forward.tokenizer.decode_batch(ids))
        return [
            [
                Hypothesis(
                    text=clean_turn(next(texts)),
                    token_ids=reply.token_ids,
                    finished=reply.finished,
                    scores={"forward_log_prob": reply.forward_log_prob},
                )
                for reply in group
            ]
            for group in replies
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


def build_responder(config: ResponderConfig) -> tuple[Responder, dict[str, Any]]:
    """A responder as configured, and the settings that its output should carry.

    Raises:
        UserError: a model, a scorer or a filter cannot be had, or the models do not go together.
    """
    if config.model == LATEST_MODEL and not Path(config.model).exists():
        raise UserError(
            f"{config.model}: nothing is trained here yet; `make train` (or `make demo`) first, or "
            "name a model with --model"
        )
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    forward = load_model(config.model, "forward", device=device, dtype=dtype)
    if config.generation.max_new_tokens > forward.window // 2:
        _logger.warning(
            "generation.max_new_tokens %d is more than half of the %d tokens that %s "
            "reads; contexts are cut to the rest",
            config.generation.max_new_tokens,
            forward.window,
            forward.name,
        )
    backward: LoadedModel | None = None
    settings = {
        "model": forward.name,
        "precision": str(dtype).removeprefix("torch."),
        "generation": as_plain(config.generation),
    }
    if config.mmi:
        backward = load_model(config.twin, "backward", device=device, dtype=dtype)
        check_same_tokenizer(forward, backward)
        settings |= {"backward_model": backward.name, "mmi_options": as_plain(config.mmi_options)}
    models = ScorerModels(forward=forward, backward=backward, generation=config.generation)
    reranker = build_reranker(config, models)
    filters = build_filters(config.filter, device)
    settings["weights"] = dict(reranker.weights)
    if filters:
        settings["filter"] = as_plain(config.filter)
    responder = Responder(
        forward=forward,
        generation=config.generation,
        reranker=reranker,
        filters=filters,
        fallback=clean_turn(config.filter.fallback),
    )
    return responder, settings
