"""From turns to ranked replies: the library call, and the file of all hypotheses."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from dialogpt.command_line import UserError, as_plain
from dialogpt.config.decoding import LATEST_MODEL, GenerationConfig, ResponderConfig
from dialogpt.decode.contexts import Context, encode_contexts, latest_turns
from dialogpt.decode.generate import GeneratedReply, generate
from dialogpt.decode.load import (
    LoadedModel,
    check_same_tokenizer,
    choose_device,
    choose_dtype,
    load_model,
)
from dialogpt.decode.rerank import ForwardReranker, MmiReranker, Reranker
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
        hypotheses: every hypothesis with its scores, best first; at least one.
        num_turns_dropped: oldest turns of the context that the forward model had no room for.
    """

    context: tuple[str, ...]
    hypotheses: list[Hypothesis]
    num_turns_dropped: int

    @property
    def text(self) -> str:
        """The reply."""
        return self.hypotheses[0].text

    def as_record(self) -> dict[str, Any]:
        """What stands in the output file; num_tokens counts the end-of-turn token if drawn."""
        return {
            "context": list(self.context),
            "response": self.text,
            "hypotheses": [
                {
                    "text": hypothesis.text,
                    "num_tokens": len(hypothesis.token_ids) + hypothesis.finished,
                    "finished": hypothesis.finished,
                    "scores": hypothesis.scores,
                }
                for hypothesis in self.hypotheses
            ],
            "num_turns_dropped": self.num_turns_dropped,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Responder:
    """Replies to contexts; holds models, not conversations.

    Attributes:
        forward: the model that generates.
        generation: how hypotheses are drawn.
        reranker: which of them is the reply.
    """

    forward: LoadedModel
    generation: GenerationConfig
    reranker: Reranker = field(default_factory=ForwardReranker)

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

    def respond(self, turns: Sequence[str], *, context_index: int = 0) -> Response:
        """The ranked replies to one context.

        Args:
            turns: what was said, oldest first.
            context_index: decides, with the seed, what is drawn.

        Raises:
            ValueError: there are no turns, or one of them holds no readable text.
        """
        return self.respond_batch([turns], first_index=context_index)[0]

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
            UserError: the device has too little memory.
        """
        encoded = encode_contexts(self.forward.tokenizer, contexts)
        fitted = [latest_turns(context.turn_ids, self._context_budget) for context in encoded]
        try:
            replies = generate(
                self.forward.model,
                [[token_id for ids in kept for token_id in ids] for kept, _ in fitted],
                context_indices=range(first_index, first_index + len(contexts)),
                generation=self.generation,
                eos_id=self.forward.tokenizer.eos_id,
                vocab_size=self.forward.tokenizer.vocab_size,
            )
            hypotheses = [[self._hypothesis(reply) for reply in group] for group in replies]
            ranked = self.reranker.rerank(encoded, hypotheses)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"out of memory with {len(contexts)} contexts at once; lower batch_contexts or "
                "generation.num_samples"
            ) from error
        return [
            _response(context, group, num_turns_dropped=num_dropped)
            for context, group, (_, num_dropped) in zip(encoded, ranked, fitted, strict=True)
        ]

    def _hypothesis(self, reply: GeneratedReply) -> Hypothesis:
        return Hypothesis(
            text=clean_turn(self.forward.tokenizer.decode(reply.token_ids)),
            token_ids=reply.token_ids,
            finished=reply.finished,
            scores={"forward_log_prob": reply.forward_log_prob},
        )


def _response(
    context: Context, hypotheses: list[Hypothesis], *, num_turns_dropped: int
) -> Response:
    return Response(
        context=context.turns, hypotheses=hypotheses, num_turns_dropped=num_turns_dropped
    )


def build_responder(config: ResponderConfig) -> tuple[Responder, dict[str, Any]]:
    """A responder as configured, and the settings that its output should carry.

    Raises:
        UserError: a model cannot be had, or the models do not go together.
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
    settings = {
        "model": forward.name,
        "precision": str(dtype).removeprefix("torch."),
        "generation": as_plain(config.generation),
    }
    reranker: Reranker = ForwardReranker()
    if config.mmi:
        backward = load_model(config.twin, "backward", device=device, dtype=dtype)
        check_same_tokenizer(forward, backward)
        reranker = MmiReranker(
            backward.model,
            window=backward.window,
            longest_hypothesis=config.generation.max_new_tokens,
            eos_id=backward.tokenizer.eos_id,
            options=config.mmi_options,
        )
        settings |= {"backward_model": backward.name, "mmi_options": as_plain(config.mmi_options)}
    responder = Responder(forward=forward, generation=config.generation, reranker=reranker)
    return responder, settings


class ResponseWriter:
    """JSON Lines of responses under their final name once all are written, not before.

    Args:
        path: the file to be; must not exist yet.
        settings: what each line says about how it was made.

    Raises:
        UserError: the file exists already.
    """

    def __init__(self, path: Path, *, settings: dict[str, Any]) -> None:
        refuse_to_overwrite(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._unfinished = path.with_name(path.name + ".unfinished")
        self._settings = settings
        self._lines = self._unfinished.open("w", encoding="utf-8")

    def write(self, response: Response) -> None:
        """Add one line."""
        record = {**response.as_record(), "settings": self._settings}
        self._lines.write(json.dumps(record, ensure_ascii=False) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        if error_type is None:
            self._unfinished.replace(self._path)


def refuse_to_overwrite(path: Path) -> None:
    """Raise UserError if there is such a file: hours of decoding should not vanish unasked."""
    if path.exists():
        raise UserError(f"{path}: exists already; name another --output or delete it")
