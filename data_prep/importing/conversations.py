"""What every source is read into, before anything is cleaned, cut or dealt."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from dialogpt.records import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """A conversation as a source has it.

    Attributes:
        turns: what was said, oldest first, not cleaned yet.
        speakers: who said it, one a turn; anything that tells voices apart and is not written
            anywhere; None where it is not known.
        thread_id: names the conversation in the output; holds no name of a person.
        turn_ids: one a turn; without them they are the thread's id and the turn's number.
        times: seconds since 1970, one a turn; empty where they are not known.
        knowledge: sentences that any reply may draw on.
        knowledge_of: speaker -> sentences that this speaker's replies may draw on as well.
        split: the published split; None if the source has none.
        split_key: what the hash deals by; the turns themselves if it is empty.
        replies: numbers of the turns that are replies; None if all are but the first.
        never_learned: numbers of the turns that no model may learn to say.
    """

    turns: tuple[str, ...]
    speakers: tuple[Hashable, ...]
    thread_id: str
    turn_ids: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    knowledge: tuple[str, ...] = ()
    knowledge_of: Mapping[Hashable, tuple[str, ...]] = field(default_factory=dict)
    split: Split | None = None
    split_key: str = ""
    replies: frozenset[int] | None = None
    never_learned: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        assert len(self.turns) == len(self.speakers)
        assert not self.turn_ids or len(self.turn_ids) == len(self.turns)
        assert not self.times or len(self.times) == len(self.turns)


class UnusableError(ValueError):
    """A record that no conversation can be read from.

    Attributes:
        reason: the name that it is counted under.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Say why.

        Args:
            reason: a few words joined by "_".
            message: what was expected and what was found.
        """
        super().__init__(message)
        self.reason = reason
