"""What the sections of several commands share."""

from typing import Literal

Direction = Literal["forward", "backward"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]


def require(condition: bool, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)
