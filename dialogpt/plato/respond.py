"""From turns to ranked replies by a PLATO: each latent has its say, and the most coherent wins."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dialogpt.config.decoding import ResponderConfig
from dialogpt.decode.contexts import Context
from dialogpt.decode.load import choose_device, choose_dtype
from dialogpt.decode.respond import as_hypotheses, choosing
from dialogpt.decode.response import AnyResponder, Found
from dialogpt.decode.scorers import Scorer
from dialogpt.plato.generate import generate, rows_per_latent
from dialogpt.plato.loaded import LoadedPlato, load_for_decoding, require_positions
from dialogpt.plato.rank import CoherenceScorer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatoResponder(AnyResponder):
    """Replies by a PLATO; see `AnyResponder`."""

    forward: LoadedPlato

    def __post_init__(self) -> None:
        require_positions(self.forward, self.generation.max_new_tokens)

    @property
    def context_budget(self) -> int:
        """What the model was trained to read of a context, whatever it replies."""
        return self.forward.model.config.sequence.max_context_tokens

    @property
    def message_budget(self) -> int:
        """Every utterance is cut to its last tokens, before the context is."""
        return min(self.forward.model.config.sequence.max_turn_tokens, self.context_budget - 1)

    @property
    def num_latents(self) -> int:
        """Each has its say."""
        return self.forward.engine.num_latents

    @property
    def reads_knowledge(self) -> bool:
        """Whether sentences of knowledge are part of its rows."""
        return self.forward.model.config.sequence.max_knowledge_sentences > 0

    @property
    def num_candidates(self) -> int:
        """Hypotheses for each context; beam search keeps one of each latent."""
        if not self.num_latents:
            return self.generation.num_hypotheses
        if self.generation.method != "sample":
            return self.num_latents
        return self.num_latents * rows_per_latent(self.generation, has_latent=True)

    @property
    def own_scorer(self) -> Scorer | None:
        """Response selection, if the model has learned it."""
        return CoherenceScorer(self.forward) if self.forward.model.selects_responses else None

    def _release(self) -> None:
        self.forward.engine.workspace = None

    def _find(
        self,
        contexts: Sequence[Context],
        *,
        first_index: int,
        on_tokens: Callable[[list[int]], None] | None,
    ) -> Found:
        columns = [self.forward.context_columns(context) for context in contexts]
        groups = generate(
            self.forward.engine,
            columns,
            layout=self.forward.model.layout(),
            context_indices=range(first_index, first_index + len(contexts)),
            generation=self.generation,
            tokens=self.forward.tokens,
            on_tokens=on_tokens,
        )
        said = as_hypotheses(
            self.forward.tokenizer, [[candidate.reply for candidate in group] for group in groups]
        )
        hypotheses = [
            [
                replace(hypothesis, latent=candidate.latent)
                for candidate, hypothesis in zip(group, texts, strict=True)
            ]
            for group, texts in zip(groups, said, strict=True)
        ]
        # The first place of a context is in the oldest utterance that is read; its turn says which.
        return Found(
            hypotheses=hypotheses,
            num_turns_dropped=[
                len(context.turns) - int(found[3, 0])
                for context, found in zip(contexts, columns, strict=True)
            ],
        )


def build_plato_responder(config: ResponderConfig) -> tuple[PlatoResponder, dict[str, Any]]:
    """A PLATO that responds as configured, and the settings that its output should carry.

    Raises:
        UserError: a model, a scorer or a filter cannot be had, or the models do not go together.
    """
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    forward = load_for_decoding(config.model, device=device, dtype=dtype)
    trained = forward.model.config.sequence.max_response_tokens
    if config.generation.max_new_tokens > trained:
        _logger.warning(
            "generation.max_new_tokens %d is more than the %d tokens of a response that %s was "
            "trained on; what comes behind them may be poor",
            config.generation.max_new_tokens,
            trained,
            forward.name,
        )
    own = PlatoResponder(forward=forward, generation=config.generation).own_scorer
    if own is None and forward.model.has_latent:
        _logger.warning(
            "%s was trained without response selection (plato.selection_weight 0), so replies are "
            "ranked by their log-probability, which favors short ones",
            forward.name,
        )
    chosen = choosing(config, forward, device=device, dtype=dtype, own=own)
    responder = PlatoResponder(
        forward=forward,
        generation=config.generation,
        reranker=chosen.reranker,
        filters=chosen.filters,
        fallback=chosen.fallback,
    )
    return responder, {**chosen.settings, "num_latents": responder.num_latents}
