"""What flows between the stages: dialogues as text, dialogues as token ids, scored hypotheses.

JSON Lines in and out stands here too, because every command speaks it. No torch: data preparation
imports this module.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

IGNORE_INDEX = -100
"""The label that torch's cross-entropy and transformers skip."""

UNKNOWN_SPEAKER = -1
"""Speaker of a turn whose author is not known (a deleted account, say)."""


class RecordError(ValueError):
    """A record is not what the reader expects; the message says where and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """A conversation in text, oldest turn first.

    Attributes:
        turns: the utterances; at least one.
        speakers: one small integer a turn, 0 for whoever speaks first, 1 for the next new voice and
            so on; UNKNOWN_SPEAKER where the author is not known.
        turn_ids: where each turn comes from, e.g. `t1_c2715` for a Reddit comment.
        thread_id: what the turns were said under, e.g. `t3_22569` for a Reddit submission.
        knowledge: sentences the reply may draw on (a persona, a caption); empty for Reddit.
    """

    turns: tuple[str, ...]
    speakers: tuple[int, ...]
    turn_ids: tuple[str, ...]
    thread_id: str
    knowledge: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.turns:
            raise ValueError(f"dialogue of thread {self.thread_id!r} has no turns")
        if not len(self.turns) == len(self.speakers) == len(self.turn_ids):
            raise ValueError(
                f"dialogue of thread {self.thread_id!r}: {len(self.turns)} turns, "
                f"{len(self.speakers)} speakers and {len(self.turn_ids)} turn ids must be as many"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TestItem:
    """A context, what people answered, and which of the answers is held out as the human system.

    In a file each is one JSON object a line, under these names.

    Attributes:
        id: names the item, e.g. the comment that is answered.
        turns: the context, oldest turn first; at least one.
        references: answers to compare with; at least one.
        human: one more answer, which stands for what a person would say; None if there is none.
        speakers: as in Dialogue, one a turn; empty where nothing is known.
        turn_ids: where each turn comes from; empty where nothing is known. So for the others.
        reference_ids, reference_scores: one a reference.
        human_id: where the human answer comes from.
        thread_id, subreddit, month: where and when it was said.
        knowledge: sentences that the answers may draw on.
    """

    __test__ = False  # pytest takes a class of this name for tests

    id: str
    turns: tuple[str, ...]
    references: tuple[str, ...]
    human: str | None = None
    speakers: tuple[int, ...] = ()
    turn_ids: tuple[str, ...] = ()
    reference_ids: tuple[str, ...] = ()
    reference_scores: tuple[int, ...] = ()
    human_id: str | None = None
    thread_id: str = ""
    subreddit: str = ""
    month: str = ""
    knowledge: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The item as one line, without its end."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(values, ensure_ascii=False)


def read_test_items(path: Path) -> Iterator[TestItem]:
    """The items of a JSON Lines file; keys that are not known are passed over.

    Raises:
        RecordError: a line is not an item; the message names the file and the line.
    """
    with path.open(encoding="utf-8-sig") as source:
        try:
            for line_number, value in json_lines(source, path.name):
                yield _test_item(value, where=f"{path.name}:{line_number}")
        except UnicodeDecodeError as error:
            raise RecordError(
                f"{path.name}: expected UTF-8, found the byte {error.object[error.start]:#04x}; "
                "save the file as UTF-8"
            ) from error


def _test_item(value: Any, *, where: str) -> TestItem:
    lists = {"turns": str, "references": str, "speakers": int, "turn_ids": str}
    lists |= {"reference_ids": str, "reference_scores": int, "knowledge": str}
    if not isinstance(value, dict):
        raise RecordError(f"{where}: expected a JSON object, found {str(value)[:60]!r}")
    values: dict[str, Any] = {}
    for name in TestItem.__slots__:
        if name not in value:
            continue
        found = value[name]
        if name in lists:
            if not isinstance(found, list) or not all(isinstance(v, lists[name]) for v in found):
                raise RecordError(
                    f"{where}: expected a list of {lists[name].__name__} under {name!r}, found "
                    f"{str(found)[:60]!r}; mend or remove the line"
                )
            values[name] = tuple(found)
        elif isinstance(found, str) or (found is None and name in ("human", "human_id")):
            values[name] = found
        else:
            raise RecordError(
                f"{where}: expected a text under {name!r}, found {str(found)[:60]!r}; mend or "
                "remove the line"
            )
    for name in ("id", "turns", "references"):
        if not values.get(name):
            raise RecordError(
                f"{where}: expected an item with {name!r}, found the keys {list(value)}; mend or "
                "remove the line"
            )
    return TestItem(**values)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedDialogue:
    """A conversation as token ids: what one shard record holds.

    No id is a separator: where a turn ends is known from its length, and the end-of-turn token is
    put in when a batch is made. So a user who types a control token cannot forge a turn.

    Attributes:
        turns: one integer array of token ids a turn, oldest first.
        speakers: (turns,) int8, as in Dialogue.
        num_words: (turns,) uint32, blank-separated words of the text of each turn.
        num_chars: (turns,) uint32, Unicode characters of the text of each turn.
        turn_keys: (turns,) uint64, `record_key` of each turn id.
        thread_key: `record_key` of the thread id.
        knowledge: one integer array of token ids a sentence.
    """

    turns: tuple[NDArray[Any], ...]
    speakers: NDArray[np.int8]
    num_words: NDArray[np.uint32]
    num_chars: NDArray[np.uint32]
    turn_keys: NDArray[np.uint64]
    thread_key: int
    knowledge: tuple[NDArray[Any], ...] = ()


@dataclass(kw_only=True, slots=True)
class Hypothesis:
    """One generated reply with every score it was given.

    Attributes:
        text: the reply as a user reads it.
        token_ids: its tokens, without the end-of-turn token.
        finished: whether the model ended the turn, or the length limit did.
        scores: name -> value; higher is better for all. `forward_log_prob` is
            log p(reply | context), `backward_log_prob` log p(source | reply), both in nats.
        latent: the value of the latent variable that spoke; None for a model without one.
    """

    text: str
    token_ids: list[int]
    finished: bool
    scores: dict[str, float]
    latent: int | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens of the reply, the end-of-turn token included if the model drew it."""
        return len(self.token_ids) + self.finished


def json_lines(source: TextIO, name: str) -> Iterator[tuple[int, Any]]:
    """Line number (from 1) and decoded value of each non-blank line.

    Args:
        source: an open text stream.
        name: what to call it in an error.

    Raises:
        RecordError: a line is not JSON.
    """
    for line_number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        # ValueError: not JSON, or a number of thousands of digits; RecursionError: brackets in
        # brackets in brackets.
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise RecordError(
                f"{name}:{line_number}: expected one JSON value a line, found "
                f"{line.strip()[:60]!r} ({why}); mend or remove the line"
            ) from error
        yield line_number, value


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all: beside its name first, then renamed."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
