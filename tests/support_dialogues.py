"""Random dialogues, and folders like those that `extract` writes."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import strategies as st

from data_prep.dialogues import DIALOGUES_FOLDER, DialogueWriter
from dialogpt.records import SPLITS, UNKNOWN_SPEAKER, Dialogue
from dialogpt.text import clean_turn

WORDS = (
    "i",
    "you",
    "the",
    "a",
    "to",
    "it",
    "is",
    "what",
    "like",
    "tea",
    "book",
    "rain",
    "not",
    "so",
)

CONTROL_TEXTS = ("<|endoftext|>", "</s>", "<pad>", "<unk>", "<s>", "<0x41>", "\u2581", "\u2047")

clean_texts = st.one_of(
    st.text(),
    st.lists(st.one_of(st.sampled_from(CONTROL_TEXTS), st.text()), max_size=6).map("".join),
).map(clean_turn)
"""What can stand in a turn, with more than its share of what spells a control token."""


@st.composite
def dialogue_strategy(draw: st.DrawFn) -> Dialogue:
    turns = draw(st.lists(clean_texts.filter(bool), min_size=1, max_size=5))
    identifiers = st.text("abc019_", min_size=1, max_size=8)
    return Dialogue(
        turns=tuple(turns),
        speakers=tuple(draw(st.integers(UNKNOWN_SPEAKER, 4)) for _ in turns),
        turn_ids=tuple(draw(identifiers) for _ in turns),
        thread_id=draw(identifiers),
        knowledge=tuple(draw(st.lists(clean_texts, max_size=2))),
    )


def made_up_dialogues(num_dialogues: int, *, seed: int = 0) -> list[Dialogue]:
    """Dialogues of plain words; two of a thread share their first turn."""
    rng = random.Random(seed)
    dialogues = []
    for number in range(num_dialogues):
        thread = number // 2
        opener = " ".join(random.Random(f"{seed}-{thread}").choices(WORDS, k=7))
        turns = [
            " ".join(rng.choices(WORDS, k=rng.randint(1, 12))) for _ in range(rng.randint(1, 4))
        ]
        dialogues.append(
            Dialogue(
                turns=(opener, *turns),
                speakers=tuple(i % 2 for i in range(len(turns) + 1)),
                turn_ids=(f"t1_{thread}", *(f"t1_{number}_{i}" for i in range(len(turns)))),
                thread_id=f"t3_{thread}",
            )
        )
    return dialogues


def write_dialogues(folder: Path, parts: Mapping[str, Sequence[Sequence[Dialogue]]]) -> None:
    """Write dialogues as `extract` does.

    Args:
        folder: the output folder of the extraction.
        parts: split -> the dialogues of each part; a split that is left out is empty.
    """
    num_parts = max(len(of_split) for of_split in parts.values())
    for part in range(num_parts):
        with DialogueWriter(folder / DIALOGUES_FOLDER, part) as writer:
            for split in SPLITS:
                for dialogue in [*parts.get(split, []), *[[]] * num_parts][part]:
                    writer.write(split, _row(dialogue))


def _row(dialogue: Dialogue) -> dict[str, object]:
    return {
        "turns": list(dialogue.turns),
        "speakers": list(dialogue.speakers),
        "turn_ids": list(dialogue.turn_ids),
        "thread_id": dialogue.thread_id,
        "subreddit": "SmallTalk",
        "month": "2018-05",
        "created_utc": 1_525_132_800,
        "score": 1,
        "knowledge": list(dialogue.knowledge),
    }
