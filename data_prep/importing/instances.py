"""Conversations -> rows of the dialogue files: cleaned, numbered, and cut into instances."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from data_prep.dialogues import DialogueRow
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from dialogpt.records import UNKNOWN_SPEAKER
from dialogpt.text import clean_turn

_MAX_SPEAKERS = 128  # speakers are stored as int8
_END_OF_TIME = 253_402_300_800  # the year 10000; a later time is a mistake of the source


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceRules:
    """How conversations become rows.

    Attributes:
        source: name of the source, which stands where Reddit has the subreddit.
        by_response: one row for each reply, and not one for the conversation.
        min_turns: shorter rows are dropped.
        max_turns: most turns of a row; 0 is no limit.
    """

    source: str
    by_response: bool
    min_turns: int
    max_turns: int


def clean_text(detokenize: Callable[[str], str] | None) -> Callable[[str], str]:
    """What every text of an import goes through.

    Args:
        detokenize: takes blanks around punctuation out; None leaves them.
    """
    if detokenize is None:
        return clean_turn
    return lambda text: clean_turn(detokenize(clean_turn(text)))


def cleaned(
    conversation: Conversation, clean: Callable[[str], str], log: ImportLog
) -> Conversation:
    """The conversation with cleaned texts, and without those in which nothing readable is left.

    Args:
        conversation: as its source has it.
        clean: see `clean_text`.
        log: counts the turns that go.
    """
    texts = [clean(turn) for turn in conversation.turns]
    kept = [number for number, text in enumerate(texts) if text]
    if len(kept) < len(texts):
        where = conversation.thread_id
        for _ in range(len(texts) - len(kept)):
            log.drop("turns", "empty", where, "a turn without readable text")
    ids = conversation.turn_ids or [f"{conversation.thread_id}_{n}" for n in range(len(texts))]
    replies = conversation.replies
    return replace(
        conversation,
        turns=tuple(texts[number] for number in kept),
        speakers=tuple(conversation.speakers[number] for number in kept),
        turn_ids=tuple(ids[number] for number in kept),
        times=tuple(conversation.times[number] for number in kept) if conversation.times else (),
        knowledge=_readable(conversation.knowledge, clean),
        knowledge_of={
            who: _readable(sentences, clean) for who, sentences in conversation.knowledge_of.items()
        },
        replies=None if replies is None else _renumbered(replies, kept),
        never_learned=_renumbered(conversation.never_learned, kept),
    )


def _readable(sentences: Sequence[str], clean: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(text for text in map(clean, sentences) if text)


def _renumbered(numbers: frozenset[int], kept: list[int]) -> frozenset[int]:
    return frozenset(new for new, old in enumerate(kept) if old in numbers)


def rows_of(
    conversation: Conversation, rules: InstanceRules, log: ImportLog
) -> Iterator[DialogueRow]:
    """The rows of a cleaned conversation, each with the knowledge of whoever speaks last.

    Args:
        conversation: what `cleaned` gives.
        rules: how to cut it.
        log: counts the rows and what is dropped.
    """
    cut = _responses if rules.by_response else _pieces
    for start, end in cut(conversation, rules, log):
        log.add("instances")
        if end - start >= rules.min_turns:
            yield _row(conversation, start, end, rules.source)
        elif start in conversation.never_learned and end - start == 1:
            log.add("instances_dropped.weight_0")
        else:
            log.add("instances_dropped.too_few_turns")


def _responses(
    conversation: Conversation, rules: InstanceRules, log: ImportLog
) -> Iterator[tuple[int, int]]:
    """First turn of each instance, and one past its response."""
    for turn in range(1, len(conversation.turns)):
        if turn in conversation.never_learned:
            log.add("instances")
            log.add("instances_dropped.weight_0")
        elif conversation.replies is None or turn in conversation.replies:
            start = max(0, turn + 1 - rules.max_turns) if rules.max_turns else 0
            yield start, turn + 1
    if len(conversation.turns) < 2:
        yield 0, len(conversation.turns)


def _pieces(
    conversation: Conversation, rules: InstanceRules, log: ImportLog
) -> Iterator[tuple[int, int]]:
    """First turn of each piece and one past its last.

    GPT-2 learns every turn of a row but the first. So a turn that must not be learned begins a new
    piece, in which it is given; and a conversation that is too long is cut into equal pieces.
    """
    num_turns = len(conversation.turns)
    starts = [0, *sorted(conversation.never_learned - {0}), num_turns]
    pieces = []
    for start, end in pairwise(starts):
        num_pieces = -(-(end - start) // rules.max_turns) if rules.max_turns else 1
        bounds = [start + (end - start) * n // num_pieces for n in range(num_pieces + 1)]
        pieces += list(pairwise(bounds))
    if len(pieces) > 1:
        log.add("dialogues_cut")
    yield from pieces


def _row(conversation: Conversation, start: int, end: int, source: str) -> DialogueRow:
    speakers = conversation.speakers[start:end]
    time = conversation.times[end - 1] if conversation.times else 0
    time = time if 0 < time < _END_OF_TIME else 0
    return {
        "turns": list(conversation.turns[start:end]),
        "speakers": speaker_numbers(speakers),
        "turn_ids": list(conversation.turn_ids[start:end]),
        "thread_id": conversation.thread_id,
        "subreddit": source,
        "month": datetime.fromtimestamp(time, UTC).strftime("%Y-%m") if time else "",
        "created_utc": time,
        "score": 0,
        "knowledge": [*conversation.knowledge, *conversation.knowledge_of.get(speakers[-1], ())],
    }


def speaker_numbers(speakers: Sequence[Hashable]) -> list[int]:
    """0 for whoever speaks first, 1 for the next new voice, and so on.

    Unknown speakers (None), and voices beyond what int8 can number, are UNKNOWN_SPEAKER.
    """
    numbers: dict[Hashable, int] = {}
    for speaker in speakers:
        if speaker is not None:
            numbers.setdefault(speaker, len(numbers))
    numbers = {who: n if n < _MAX_SPEAKERS else UNKNOWN_SPEAKER for who, n in numbers.items()}
    return [numbers.get(speaker, UNKNOWN_SPEAKER) for speaker in speakers]
