"""Kept and dropped dialogues as they are shown: speech bubbles of escaped, shortened text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from data_prep.rejects import KEPT_DIALOGUES
from data_prep.reporting.formats import counted
from data_prep.reporting.formats import number as number_text
from data_prep.reporting.highlights import Highlighter
from data_prep.reporting.reasons import OFFENSIVE_REASONS, explanation
from data_prep.reporting.shown_text import Piece, pieces_of, plain
from dialogpt.records import UNKNOWN_SPEAKER, TestItem

SHOWN_TURNS = 6
"""Turns of a dialogue that are shown, the last ones."""

_SHOWN_REFERENCES = 6
_SHOWN_KNOWLEDGE = 5
_SIDES = ("left", "right")
_MARKED = {"bland": " Marked are those of the 100 most frequent; the rule knows all."}
_HIDDEN_IN_MARKDOWN = frozenset({"url", "markup"})


@dataclass(frozen=True, slots=True)
class Bubble:
    """A turn.

    Attributes:
        speaker: who says it, in a word or two.
        side: "left", "right", or "note" for what nobody says.
        pieces: what is said.
        is_response: whether it is the last one.
    """

    speaker: str
    side: str
    pieces: Sequence[Piece]
    is_response: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownDialogue:
    """A dialogue, comment or line.

    Attributes:
        facts: where it comes from, in a few words each.
        bubbles: the turns.
        num_left_out: turns before those that are shown.
        remark: what there is to say of it, or "".
        is_raw: whether the text is as in the dump.
        is_offensive: whether to show it only when asked.
    """

    facts: Sequence[str]
    bubbles: Sequence[Bubble]
    num_left_out: int = 0
    remark: str = ""
    is_raw: bool = False
    is_offensive: bool = False


@dataclass(frozen=True, slots=True)
class ExampleGroup:
    """Examples of one reason.

    Attributes:
        reason: its name.
        explanation: in a sentence, or "".
        dialogues: the examples.
    """

    reason: str
    explanation: str
    dialogues: Sequence[ShownDialogue]

    @property
    def is_offensive(self) -> bool:
        """Whether all of them are to be shown only when asked."""
        return all(shown.is_offensive for shown in self.dialogues)


def dropped_groups(
    examples: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    highlighter: Highlighter,
    *,
    order: Iterable[str],
    most: int,
) -> list[ExampleGroup]:
    """The examples of what was dropped, by reason.

    Args:
        examples: rows of `rejects.REJECT_SCHEMA`.
        settings: of the manifest.
        highlighter: finds what to mark.
        order: of the reasons; those it does not have come last.
        most: examples of a reason.
    """
    by_reason: dict[str, list[Mapping[str, Any]]] = {reason: [] for reason in order}
    for example in examples:
        by_reason.setdefault(example["reason"], []).append(example)
    by_reason.pop(KEPT_DIALOGUES, None)
    return [
        ExampleGroup(
            reason,
            explanation(reason, settings) + _MARKED.get(reason, ""),
            [_dropped(example, highlighter) for example in _different(found)[:most]],
        )
        for reason, found in by_reason.items()
        if found and most
    ]


def _different(examples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The examples without those that say the same as another: "[deleted]" is seen once."""
    different: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for example in examples:
        different.setdefault(tuple(example["turns"]), example)
    return list(different.values())


def _dropped(example: Mapping[str, Any], highlighter: Highlighter) -> ShownDialogue:
    turns = example["turns"]
    is_offensive = example["reason"] in OFFENSIVE_REASONS or highlighter.is_offensive(turns)
    if example["kind"] != "path":
        bodies = [turn.replace("\r\n", "\n").strip("\n") for turn in turns]
        return ShownDialogue(
            facts=list(_facts(example)),
            bubbles=[Bubble("", "left", pieces_of(body, has_lines=True)) for body in bodies],
            is_raw=True,
            is_offensive=is_offensive,
        )
    hits = highlighter.hits(example["reason"], turns)
    last = len(turns) - 1
    bubbles = [
        _unattributed(pieces_of(turns[number], hits[number]), is_response=0 < number == last)
        for number in range(max(0, len(turns) - SHOWN_TURNS), len(turns))
    ]
    return ShownDialogue(
        facts=list(_facts(example)),
        bubbles=bubbles,
        num_left_out=example["num_turns"] - len(bubbles),
        remark=_remark(example, is_marked=any(hits)),
        is_offensive=is_offensive,
    )


def _unattributed(pieces: list[Piece], *, is_response: bool) -> Bubble:
    """A turn of a dropped path: who spoke is not noted of these, but the response is known."""
    return Bubble("response" if is_response else "", _SIDES[is_response], pieces, is_response)


def _remark(example: Mapping[str, Any], *, is_marked: bool) -> str:
    reason, turns = example["reason"], example["turns"]
    if example.get("detail"):
        return plain(str(example["detail"]))
    if reason in _HIDDEN_IN_MARKDOWN and not is_marked:
        return "The text does not show it any more: a link keeps no more than its label."
    if reason == "too_long" and len(turns) == example["num_turns"]:
        num_words = sum(len(turn.split()) for turn in turns)
        return f"{counted(num_words, 'word')} in {counted(len(turns), 'turn')}."
    return ""


def shown_row(row: Mapping[str, Any], highlighter: Highlighter) -> ShownDialogue:
    """A row of the dialogue files, with its "split"."""
    knowledge = [
        Bubble("knowledge", "note", pieces_of(sentence))
        for sentence in row["knowledge"][:_SHOWN_KNOWLEDGE]
    ]
    turns = _spoken(row["turns"], row["speakers"])
    return ShownDialogue(
        facts=[row["split"], *_facts({**row, "num_turns": len(row["turns"])})],
        bubbles=[*knowledge, *turns],
        num_left_out=len(row["turns"]) - len(turns),
        is_offensive=highlighter.is_offensive(row["turns"]),
    )


def shown_item(item: TestItem, highlighter: Highlighter) -> ShownDialogue:
    """A test item: its context, then the answers."""
    speakers = item.speakers or [UNKNOWN_SPEAKER] * len(item.turns)
    context = _spoken(item.turns, speakers, has_response=False)
    answers = [("human", item.human)] if item.human is not None else []
    answers += [
        (f"reference {number}", text)
        for number, text in enumerate(item.references[:_SHOWN_REFERENCES], start=1)
    ]
    num_more = len(item.references) - _SHOWN_REFERENCES
    return ShownDialogue(
        facts=[plain(fact, 60) for fact in (item.id, item.subreddit, item.month) if fact],
        bubbles=[
            *context,
            *(Bubble(name, "right", pieces_of(text), True) for name, text in answers),
        ],
        num_left_out=len(item.turns) - len(context),
        remark=f"{num_more:,} more references" if num_more > 0 else "",
        is_offensive=highlighter.is_offensive(
            [*item.turns, *item.references, *([item.human] if item.human else [])]
        ),
    )


def _spoken(
    turns: Sequence[str], speakers: Sequence[int], *, has_response: bool = True
) -> list[Bubble]:
    """The last turns as said by persons A, B, ...; the first voice stands left."""
    bubbles = []
    for number in range(max(0, len(turns) - SHOWN_TURNS), len(turns)):
        speaker = speakers[number]
        is_response = has_response and number == len(turns) - 1
        name = _name(speaker) + (", the response" if is_response else "")
        side = _SIDES[speaker != UNKNOWN_SPEAKER and speaker % 2 == 1]
        bubbles.append(Bubble(name, side, pieces_of(turns[number]), is_response))
    return bubbles


def _name(speaker: int) -> str:
    if speaker == UNKNOWN_SPEAKER:
        return "unknown"
    return ascii_uppercase[speaker] if speaker < len(ascii_uppercase) else f"voice {speaker + 1}"


def _facts(example: Mapping[str, Any]) -> Iterator[str]:
    """Where an example comes from: the place of a line, else what is known of the comment."""
    if example.get("kind") == "line":
        yield plain(str(example.get("detail") or example.get("month") or ""))
        return
    for name in ("subreddit", "month"):
        if example.get(name):
            yield plain(str(example[name]), most=60)
    if example.get("kind") != "comment":
        yield counted(example["num_turns"], "turn")
    if example.get("score") is not None:
        yield f"score {number_text(example['score'])}"
