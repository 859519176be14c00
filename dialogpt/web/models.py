"""The models behind the page: loaded once, and set up anew for every visitor's choice."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dialogpt.command_line import UserError, as_plain
from dialogpt.config.web import WebConfig
from dialogpt.decode.rerank import Reranker, build_reranker
from dialogpt.decode.response import AnyResponder
from dialogpt.decode.scorers import BACKWARD, BACKWARD_MEAN, FORWARD, ScorerModels
from dialogpt.responders import build_responder
from dialogpt.web.sliders import Bounds, Choice, bounds

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PageModels:
    """What replies, with any choice within the bounds.

    Attributes:
        config: the options of the command.
        responder: replies without MMI.
        mmi: ranks by the backward model too; None where there is none.
        limits: field of Choice -> its bounds.
        settings: the models and options at the start; `settings_of` a choice is what was used.
    """

    config: WebConfig
    responder: AnyResponder
    mmi: Reranker | None
    limits: dict[str, Bounds]
    settings: dict[str, Any]

    def replies(self, choice: Choice) -> AnyResponder:
        """What replies as a visitor wants it; it holds the same models."""
        reranker = self.responder.reranker
        if choice.mmi and self.mmi is not None:
            weighted = {
                name: 1.0 - choice.mmi_weight if name == FORWARD else choice.mmi_weight
                for name in (FORWARD, BACKWARD, BACKWARD_MEAN)
                # What the operator weighs by hand keeps its weight.
                if name in self.mmi.weights and name not in self.config.scorers
            }
            reranker = replace(self.mmi, weights={**self.mmi.weights, **weighted})
        generation = choice.generation(self.config.generation)
        if self.responder.num_latents:
            generation = replace(
                generation,
                num_samples=self.config.generation.num_samples,
                samples_per_latent=choice.num_samples,
            )
        return replace(self.responder, generation=generation, reranker=reranker)

    def settings_of(self, choice: Choice) -> dict[str, Any]:
        """What a stored reply says about how it was made: of the responder of this choice."""
        responder = self.replies(choice)
        settings = {
            **self.settings,
            "generation": as_plain(responder.generation),
            "weights": dict(responder.reranker.weights),
        }
        if choice.mmi and self.mmi is not None:
            used = replace(self.config.mmi_options, weight=choice.mmi_weight)
            return {**settings, "mmi_options": as_plain(used)}
        return {k: v for k, v in settings.items() if k not in ("backward_model", "mmi_options")}


def load_page_models(config: WebConfig) -> PageModels:
    """Load the forward model, and the backward model where one is named or lies beside it.

    Raises:
        UserError: as for build_responder. A backward model that nobody asked for is left out, with
            a warning, if it cannot be used.
    """
    asked_for = config.mmi or bool(config.backward_model)
    if not asked_for and not (config.twin and Path(config.twin).is_dir()):
        return _load(replace(config, mmi=False))
    try:
        return _load(replace(config, mmi=True))
    except UserError as error:
        if asked_for:
            raise
        models = _load(replace(config, mmi=False))
        _logger.warning("without MMI: %s", error)
        return models


def _load(config: WebConfig) -> PageModels:
    responder, settings = build_responder(config)
    if config.knowledge and not responder.reads_knowledge:
        raise UserError(
            f"knowledge: {responder.forward.name} takes none, so replies would not depend on it; "
            "leave it out, or name a PLATO that takes some by --model"
        )
    mmi = None
    if config.mmi:
        mmi = responder.reranker
        models = ScorerModels(
            forward=responder.forward, backward=None, generation=config.generation
        )
        reranker = build_reranker(config, models, own=responder.own_scorer)
        responder = replace(responder, reranker=reranker)
    return PageModels(
        config=config,
        responder=responder,
        mmi=mmi,
        limits=bounds(config, num_latents=responder.num_latents),
        settings={**settings, "knowledge": list(config.knowledge)}
        if config.knowledge
        else settings,
    )
