"""From turns to ranked replies: the library call, for GPT-2."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dialogpt.command_line import UserError, as_plain
from dialogpt.config.decoding import LATEST_MODEL, ResponderConfig
from dialogpt.decode.contexts import Context, latest_turns
from dialogpt.decode.filters import CandidateFilter, build_filters
from dialogpt.decode.generate import generate
from dialogpt.decode.load import (
    Loaded,
    LoadedModel,
    check_same_tokenizer,
    choose_device,
    choose_dtype,
    load_model,
)
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.rerank import Reranker, build_reranker
from dialogpt.decode.response import AnyResponder, Found
from dialogpt.decode.scorers import Scorer, ScorerModels
from dialogpt.models.inference import release_workspace
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn
from dialogpt.tokenization import Tokenizer

_logger = logging.getLogger(__name__)

_FEWEST_CONTEXT_TOKENS = 2
# One token and the end of its turn.


@dataclass(frozen=True, kw_only=True, slots=True)
class Responder(AnyResponder):
    """Replies by a GPT-2; see `AnyResponder`."""

    forward: LoadedModel

    def __post_init__(self) -> None:
        if self.context_budget < _FEWEST_CONTEXT_TOKENS:
            raise UserError(
                f"{self.forward.name} reads {self.forward.window} tokens (it was not trained on "
                f"longer rows), and generation.max_new_tokens {self.generation.max_new_tokens} "
                "leaves no room for a context; lower it"
            )

    @property
    def context_budget(self) -> int:
        """The model's window less the room that the longest reply needs."""
        return self.forward.window - self.generation.max_new_tokens

    def _release(self) -> None:
        release_workspace(self.forward.model)

    def _find(
        self,
        contexts: Sequence[Context],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> Found:
        fitted = [latest_turns(context.turn_ids, self.context_budget) for context in contexts]
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
        return Found(
            hypotheses=as_hypotheses(self.forward.tokenizer, replies),
            num_turns_dropped=[num_dropped for _, num_dropped in fitted],
        )


def as_hypotheses(
    tokenizer: Tokenizer, replies: Sequence[Sequence[GeneratedReply]]
) -> list[list[Hypothesis]]:
    """Replies in text, with the score that they have."""
    ids = [reply.token_ids for group in replies for reply in group]
    texts = iter(tokenizer.decode_batch(ids))
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Choosing:
    """What chooses among hypotheses.

    Attributes:
        reranker, filters, fallback: as in `AnyResponder`.
        settings: what the output should say of all.
    """

    reranker: Reranker
    filters: tuple[CandidateFilter, ...]
    fallback: str
    settings: dict[str, Any]


def choosing(
    config: ResponderConfig,
    forward: Loaded,
    *,
    device: torch.device,
    dtype: torch.dtype,
    own: Scorer | None = None,
) -> Choosing:
    """What chooses among the hypotheses of a forward model, as configured.

    Args:
        config: all options.
        forward: the model.
        device: where models are.
        dtype: of their weights.
        own: as `AnyResponder.own_scorer`.

    Raises:
        UserError: the backward model, a scorer or a filter cannot be had, or the models do not go
            together.
    """
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
    reranker = build_reranker(config, models, own=own)
    filters = build_filters(config.filter, device)
    settings["weights"] = dict(reranker.weights)
    if filters:
        settings["filter"] = as_plain(config.filter)
    return Choosing(
        reranker=reranker,
        filters=filters,
        fallback=clean_turn(config.filter.fallback),
        settings=settings,
    )


def build_responder(config: ResponderConfig) -> tuple[Responder, dict[str, Any]]:
    """A GPT-2 that responds as configured, and the settings that its output should carry.

    `dialogpt.responders.build_responder` takes any model of this project.

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
    chosen = choosing(config, forward, device=device, dtype=dtype)
    responder = Responder(
        forward=forward,
        generation=config.generation,
        reranker=chosen.reranker,
        filters=chosen.filters,
        fallback=chosen.fallback,
    )
    return responder, chosen.settings
