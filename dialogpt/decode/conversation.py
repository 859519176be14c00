"""A conversation: a plain list of turns, which the user and the model lengthen by turns.

What replies keeps no state. A reply depends on the turns, the knowledge, the settings and the seed
alone: the number of turns before it takes the place of a context's position in a file. So the same
turns with the same seed give the same conversation, also after /undo or /reset.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from dialogpt.command_line import UserError
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.response import AnyResponder, Response
from dialogpt.records import write_text
from dialogpt.text import clean_turn

USER, MODEL = "user", "model"
LONGEST_MESSAGE = 10_000
"""Characters of a message; no window of ours holds more, and a terminal is no place for them."""


class Replies(Protocol):
    """Whatever replies to turns as `Responder` does."""

    def respond(
        self,
        turns: GivenContext,
        *,
        context_index: int = 0,
        on_text: Callable[[str], None] | None = None,
    ) -> Response:
        """The ranked replies to the turns, oldest first; on_text may be told the reply so far."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryBudget:
    """How much of a conversation the model reads.

    Attributes:
        num_tokens: most tokens of all turns together, their ends included.
        num_message_tokens: most tokens of one turn, without its end.
        count_tokens: the tokens of one cleaned turn, without its end.
    """

    num_tokens: int
    num_message_tokens: int
    count_tokens: Callable[[str], int]


def history_budget(responder: AnyResponder) -> HistoryBudget:
    """What the responder reads of a context."""
    tokenizer = responder.forward.tokenizer
    return HistoryBudget(
        num_tokens=responder.context_budget,
        num_message_tokens=responder.message_budget,
        count_tokens=lambda turn: len(tokenizer.encode_batch([turn])[0]),
    )


@dataclass(kw_only=True)
class Conversation:
    """The turns so far; a message and its reply come and go together.

    Attributes:
        responder: what replies.
        budget: how much of the turns it reads.
        turns: cleaned texts, oldest first; the user's and the model's in turn, the user's first.
        knowledge: cleaned sentences that replies may draw on; neither a turn nor part of one.
    """

    responder: Replies
    budget: HistoryBudget
    turns: list[str] = field(default_factory=list)
    knowledge: list[str] = field(default_factory=list)
    _responses: dict[int, Response] = field(default_factory=dict)
    # By the number of turns with the reply; contexts left out, or each would hold all turns again.
    _said_that_turns_drop: bool = False

    @property
    def roles(self) -> list[str]:
        """USER or MODEL for each turn."""
        return [(USER, MODEL)[number % 2] for number in range(len(self.turns))]

    @property
    def last_response(self) -> Response | None:
        """The last reply with its candidates, its context left out; None before the first."""
        return self._responses.get(len(self.turns))

    def say(
        self, message: str, *, on_text: Callable[[str], None] | None = None
    ) -> tuple[Response, list[str]]:
        """The reply to a message, and what the user should know about it, a sentence each.

        If this raises, whatever the reason (Ctrl-C too), the conversation is what it was before.

        Args:
            message: what the user says; any text.
            on_text: told the reply as it grows, where there is one candidate.

        Raises:
            UserError: the message is too long or holds nothing readable, or the reply does not.
        """
        turns = [*self.turns, checked_message(message)]
        response = self.responder.respond(
            GivenContext(turns=tuple(turns), knowledge=tuple(self.knowledge)),
            context_index=len(turns),
            on_text=on_text,
        )
        if not response.text:
            raise UserError(
                "the model found nothing readable to say; say it in other words, or try another "
                "--generation.seed"
            )
        notices = self._notices(turns, response)
        turns.append(response.text)
        self._responses[len(turns)] = replace(response, context=())
        self.turns.extend(turns[-2:])  # last and in one step: an interrupt comes before or after
        return response, notices

    def _notices(self, turns: list[str], response: Response) -> list[str]:
        notices = []
        budget, dropped = self.budget, response.num_turns_dropped
        num_tokens, most = budget.count_tokens(turns[-1]), budget.num_message_tokens
        if num_tokens > most:
            notices.append(
                f"The message has {num_tokens} tokens; the model read the last {most} of them."
            )
        if dropped and not self._said_that_turns_drop:
            self._said_that_turns_drop = True
            # A model may also have a limit of turns: what it left out would have had room.
            sizes = [min(budget.count_tokens(turn), most) + 1 for turn in turns[dropped - 1 :]]
            limit = (
                f"{budget.num_tokens} tokens"
                if sum(sizes) > budget.num_tokens
                else f"{len(turns) - dropped} turns"
            )
            oldest = "oldest turn does" if dropped == 1 else f"{dropped} oldest turns do"
            notices.append(
                f"The {oldest} not fit any more into the {limit} that the model reads of a "
                "conversation; from now on it forgets the beginning. This is said once."
            )
        return notices

    def undo(self) -> str:
        """Take back the last message and its reply; returns the message.

        Raises:
            UserError: nothing was said yet.
        """
        if not self.turns:
            raise UserError("there is nothing to take back yet")
        message = self.turns[-2]
        self._responses.pop(len(self.turns), None)
        del self.turns[-2:]
        return message

    def reset(self) -> None:
        """Begin again with no turns; the knowledge stays."""
        self.turns.clear()
        self._responses.clear()
        self._said_that_turns_drop = False


def checked_message(message: str) -> str:
    """The cleaned text of a message.

    Raises:
        UserError: nothing in it is readable, or it has more than LONGEST_MESSAGE characters.
    """
    if len(message) > LONGEST_MESSAGE:
        raise UserError(
            f"expected a message of at most {LONGEST_MESSAGE:,} characters, found more; send a part"
        )
    cleaned = clean_turn(message)
    if not cleaned:
        raise UserError("the message holds nothing readable; nothing was sent")
    return cleaned


def checked_sentence(sentence: str) -> str:
    """The cleaned text of a sentence of knowledge.

    Raises:
        UserError: nothing in it is readable, or it has more than LONGEST_MESSAGE characters.
    """
    if len(sentence) > LONGEST_MESSAGE:
        raise UserError(
            f"expected a sentence of knowledge of at most {LONGEST_MESSAGE:,} characters, found "
            "more; give it in parts"
        )
    cleaned = clean_turn(sentence)
    if not cleaned:
        raise UserError("expected a sentence of knowledge, found nothing readable; none was added")
    return cleaned


def self_talk(
    responder: Replies, prompt: str, *, num_turns: int, knowledge: Sequence[str] = ()
) -> Iterator[Response]:
    """The model's replies to the prompt, then to its own last turn, and so on.

    Table 6 of DialoGPT, arXiv:1911.00536. It ends early if a reply holds nothing readable.

    Args:
        responder: what replies.
        prompt: the first turn.
        num_turns: most replies.
        knowledge: sentences that every reply may draw on.
    """
    turns = [checked_message(prompt)]
    while len(turns) <= num_turns:
        context = GivenContext(turns=tuple(turns), knowledge=tuple(knowledge))
        response = responder.respond(context, context_index=len(turns))
        if not response.text:
            return
        turns.append(response.text)
        yield response


def save_conversation(
    path: Path,
    turns: Sequence[str],
    *,
    roles: Sequence[str],
    settings: dict[str, Any],
    knowledge: Sequence[str] = (),
) -> None:
    """Write a conversation as a line of JSON, which `python -m dialogpt.decode --contexts` reads.

    Args:
        path: the file to be; missing folders are made.
        turns: what was said, oldest first; at least one.
        roles: who said it, one a turn.
        settings: how the replies were made.
        knowledge: sentences that replies may draw on.

    Raises:
        UserError: there are no turns, or there is such a file already.
        OSError: the file cannot be written.
    """
    if not turns:
        raise UserError("there is nothing to save yet")
    if path.exists():
        raise UserError(f"{path}: exists already; name another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"knowledge": list(knowledge)} if knowledge else {}
    record = {"turns": list(turns), "roles": list(roles), **known, "settings": settings}
    write_text(path, json.dumps(record, ensure_ascii=False) + "\n")
