"""Conversations of the package chitchat-dataset -> threads of a Reddit-like dump."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data_prep.sample_records import DumpLine, RecordMaker, dump_line, month_of
from dialogpt.command_line import UserError

REAL_COMMENT = "comment: real text and time"
REAL_TITLE = "submission: real prompt as title"
MADE_UP_TITLE = "submission: made-up title, the conversation has no prompt"

_TITLE_WITHOUT_PROMPT = "Just talking"
_MIN_RUN_TURNS = 2
_MAX_RUN_TURNS = 7


@dataclass(frozen=True, slots=True)
class RealTurn:
    """What one person wrote before the other answered.

    Attributes:
        text: the messages of the turn, one a line.
        sender: the package's id of the person; it never reaches the dump.
        created_utc: seconds since 1970 of the first message.
    """

    text: str
    sender: str
    created_utc: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with at least one turn, and the prompt that it was given, if any."""

    prompt: str | None
    turns: tuple[RealTurn, ...]


def load_conversations(num_conversations: int, *, seed: int) -> list[Conversation]:
    """A seeded choice of the package's conversations, in the order of time.

    Fewer conversations are a subset of more. One in which nobody wrote anything is left out.

    Raises:
        UserError: the package is absent, or its data are not as expected.
    """
    try:
        import chitchat_dataset
    except ImportError as error:
        raise UserError(
            "the conversations come from the package chitchat-dataset, which is not installed; "
            "`pip install chitchat-dataset`, or install this project with its extra [sample]"
        ) from error
    conversations = dict(chitchat_dataset.Dataset())
    chosen = sorted(conversations)
    random.Random(seed).shuffle(chosen)
    parsed = [parse_conversation(key, conversations[key]) for key in chosen[:num_conversations]]
    return sorted(
        (conversation for conversation in parsed if conversation.turns),
        key=lambda conversation: (conversation.turns[0].created_utc, conversation.turns[0].sender),
    )


def parse_conversation(conversation_id: str, value: Mapping[str, Any]) -> Conversation:
    """One entry of the package; turns without a visible character are left out.

    Raises:
        UserError: a field is missing or of another kind.
    """
    try:
        turns = tuple(_parse_turn(messages) for messages in value["messages"] if messages)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"chitchat-dataset, conversation {conversation_id}: expected messages with text, "
            f"sender and an ISO 8601 timestamp, found otherwise ({error!r}); install "
            "chitchat-dataset 0.9"
        ) from error
    prompt = value.get("prompt")
    return Conversation(
        prompt=prompt if isinstance(prompt, str) and prompt.strip() else None,
        turns=tuple(turn for turn in turns if turn.text.strip()),
    )


def _parse_turn(messages: Sequence[Mapping[str, str]]) -> RealTurn:
    first = messages[0]
    time = datetime.fromisoformat(first["timestamp"])
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return RealTurn(
        text="\n".join(message["text"] for message in messages),
        sender=first["sender"],
        created_utc=int(time.timestamp()),
    )


def run_lengths(num_turns: int, rng: random.Random) -> list[int]:
    """Cut num_turns turns into runs of 2 to 7; only a conversation of one turn gives a run of one.

    Reddit's chains are short: long conversations would all fall to the limit of 200 words.
    """
    lengths = []
    left = num_turns
    while left > _MAX_RUN_TURNS:
        # At least two turns must be left for the last run.
        lengths.append(rng.randint(_MIN_RUN_TURNS, min(_MAX_RUN_TURNS, left - _MIN_RUN_TURNS)))
        left -= lengths[-1]
    return [*lengths, left]


def conversation_lines(conversation: Conversation, maker: RecordMaker) -> Iterator[DumpLine]:
    """The submission of a conversation, then the comments of its runs, each a chain of replies.

    Every run starts anew under the submission, so a conversation's runs are siblings and the
    thread-wise split keeps them together.
    """
    turns = conversation.turns
    submission = maker.submission(
        conversation.prompt or _TITLE_WITHOUT_PROMPT,
        author=maker.author("submitter"),
        created_utc=turns[0].created_utc,
        num_comments=len(turns),
    )
    yield dump_line(
        submission,
        month=month_of(turns[0].created_utc),
        origin=REAL_TITLE if conversation.prompt else MADE_UP_TITLE,
    )
    remaining = iter(turns)
    for length in run_lengths(len(turns), maker.rng):
        parent = submission
        for turn in (next(remaining) for _ in range(length)):
            parent = maker.comment(
                turn.text,
                parent,
                author=maker.author(turn.sender),
                created_utc=turn.created_utc,
            )
            yield dump_line(parent, month=month_of(turn.created_utc), origin=REAL_COMMENT)
