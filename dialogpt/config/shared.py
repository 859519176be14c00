"""What the sections of several commands share."""

from collections.abc import Sequence
from typing import Literal

from dialogpt.text import clean_turn

Direction = Literal["forward", "backward"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_readable(name: str, sentences: Sequence[str]) -> None:
    """Raise ValueError unless each sentence of an option holds readable text."""
    for number, sentence in enumerate(sentences, start=1):
        require(
            bool(clean_turn(sentence)),
            f"{name}: expected text in every sentence, found nothing readable in sentence {number} "
            f"of {len(sentences)}; remove or mend it",
        )
