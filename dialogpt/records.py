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
    """

    text: str
    token_ids: list[int]
    finished: bool
    scores: dict[str, float]


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
            yield line_number, json.loads(line)
        except json.JSONDecodeError as error:
            raise RecordError(
                f"{name}:{line_number}: expected one JSON value a line, found "
                f"{line.strip()[:60]!r} ({error.msg}); mend or remove the line"
            ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all: beside its name first, then renamed."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
