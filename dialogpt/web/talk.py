"""A visitor's conversation, and the service that lengthens it within the limits."""

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from dialogpt.command_line import UserError
from dialogpt.config.web import WebConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.response import Response
from dialogpt.text import clean_turn
from dialogpt.web.limits import ModelGate, RateLimiter, RefusalError
from dialogpt.web.sliders import Choice

logger = logging.getLogger(__name__)


class Replies(Protocol):
    """Whatever replies to turns as `Responder` does."""

    def respond(self, turns: GivenContext, *, context_index: int = 0) -> Response:
        """The ranked replies to a context."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """A conversation so far.

    Attributes:
        turns: cleaned texts, oldest first; the visitor's and the model's by turns, the visitor's
            first.
        num_draws: replies drawn so far. The next draw gets this number, so that the same words
            drawn again may get another reply.
    """

    turns: tuple[str, ...] = ()
    num_draws: int = 0

    def without_last_exchange(self) -> "Talk":
        """The conversation before the visitor's last message."""
        return replace(self, turns=self.turns[:-2])


class Service:
    """Answers messages: checks them, waits for the model, keeps the conversation short enough.

    Args:
        config: the limits.
        replies: what answers with a visitor's choice.
        keep: is given each response and the choice it was made with, to store them; None where
            nothing is stored.
        clock: as for RateLimiter.
    """

    def __init__(
        self,
        config: WebConfig,
        replies: Callable[[Choice], Replies],
        *,
        keep: Callable[[Response, Choice], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._knowledge = tuple(map(clean_turn, config.knowledge))
        self._replies = replies
        self._keep = keep
        self._clock = clock
        self._rate = RateLimiter(config.messages_per_minute, clock=clock)
        self._gate = ModelGate(config.max_waiting)

    def accept(self, message: object, *, client: str) -> str:
        """The cleaned text of a message; it counts toward the client's rate.

        Args:
            message: what came from the browser; a request made by hand may hold anything.
            client: its address.

        Raises:
            RefusalError: the message is too long or holds nothing readable, or the client sends too
                many.
        """
        limit = self._config.max_message_chars
        if not isinstance(message, str):
            raise RefusalError("A message is text.")
        # The length comes first: cleaning takes time in proportion to it.
        if len(message) > limit:
            raise RefusalError(
                f"Your message has {len(message):,} characters; at most {limit:,} are answered. "
                "Please shorten it."
            )
        cleaned = clean_turn(message)
        if not cleaned:
            raise RefusalError("There is nothing readable in your message.")
        self._rate.admit(client)
        return cleaned

    def answer(self, talk: Talk, message: str, choice: Choice) -> tuple[Talk, Response]:
        """The conversation with a message and its reply.

        The log gets a line of numbers for it, never text or an address.

        Args:
            talk: the conversation before.
            message: cleaned by `accept`.
            choice: how to make the reply.

        Raises:
            RefusalError: the model is busy, found nothing to say, or failed, or the reply cannot
                be stored as the operator wants; the conversation stays as it was.
        """
        turns = (*talk.turns, message)
        with self._gate.turn():
            start = self._clock()
            try:
                given = GivenContext(turns=turns, knowledge=self._knowledge)
                response = self._replies(choice).respond(given, context_index=talk.num_draws)
            except UserError as error:
                logger.error("no reply: %s", error)
                raise RefusalError(
                    "The model cannot do this: probably it has too little memory. Please try "
                    "fewer candidates or a shorter reply."
                ) from error
            except Exception as error:
                # One visitor's failure must not end the page for all. The message of an error may
                # quote what was typed, so only where it happened is logged.
                where = "".join(traceback.format_tb(error.__traceback__))
                logger.error("no reply: %s at\n%s", type(error).__name__, where)
                raise RefusalError("Something went wrong here. Please try again.") from error
            seconds = self._clock() - start
        if not response.text:
            raise RefusalError(
                "The model found nothing to say. Please try again, or in other words."
            )
        self._store(response, choice)
        logger.info(
            "a message of %d characters, turn %d: %d candidates in %.2f s",
            len(message),
            len(turns),
            len(response.hypotheses),
            seconds,
        )
        return self._shortened((*turns, response.text), num_draws=talk.num_draws + 1), response

    def _store(self, response: Response, choice: Choice) -> None:
        """Store a response, where that is asked for; RefusalError if it cannot be done."""
        if self._keep is None:
            return
        try:
            self._keep(response, choice)
        except OSError as error:
            logger.error("no reply, because it cannot be stored: %s", error)
            raise RefusalError(
                "This page cannot store conversations at the moment, so it does not answer."
            ) from error

    def _shortened(self, turns: tuple[str, ...], *, num_draws: int) -> Talk:
        # Whole exchanges go, so that the first turn is the visitor's always.
        too_many = max(len(turns) - self._config.max_turns, 0)
        return Talk(turns=turns[too_many + too_many % 2 :], num_draws=num_draws)
