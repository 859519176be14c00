"""Numbers as the page writes them."""

from datetime import datetime
from typing import Any


def count(value: float | None) -> str:
    """1234567 -> 1,234,567; a dash for what is not known."""
    return "–" if value is None else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """124439808 -> 124 M, three digits; a dash for what is not known."""
    if value is None:
        return "–"
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            scaled = value / (1e3 if unit == "k" else size)
            return f"{scaled:.{0 if scaled >= 100 else 1}f} {unit}"
    return f"{value:,.0f}"


def decimal(value: float | None, digits: int) -> str:
    """With so many digits behind the point; a dash for what is not known."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    """0.0123 -> 1.2 %; a dash for what is not known."""
    return "–" if share is None else f"{share:.1%}".replace("%", " %")


def plural(number: int, noun: str) -> str:
    """1 step, 2 steps."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def when(moment: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def setting(value: Any) -> str:
    """A value of the settings as YAML has it, near enough to be typed again."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(setting, value))}]"
    return str(value)
