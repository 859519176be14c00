"""Settings that are not the paper's, DialoGPT (arXiv:1911.00536), or not this project's default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_prep.config import ExtractConfig
from dialogpt.command_line import as_plain

_PAPER: Mapping[str, Any] = {
    "min_turns": 2,
    "max_turns": 0,
    "filters.urls": True,
    "filters.max_word_run": 2,
    "filters.markup": True,
    "filters.max_words": 200,
    "filters.bland_share": 0.9,
    "filters.bland_count": 1000,
    "duplicates.drop": "none",
    "multiref.min_responses": 6,
    "multiref.max_references": 5,
}
"""Option -> the value that does what the paper says."""

_REMARKS = {
    "split.test_months": "the test split is a hash of threads from the same months",
    "multiref.max_references": "0 keeps all; the paper has five beside the human one",
    "filters.bland_count": "the paper’s corpus has 147 million dialogues",
}
_NO_VALUE = "—"
_INDIFFERENT = frozenset({"keep_rejects", "split.salt"})
_WITHOUT_VALUE = {
    "split.test_months": "later months than those for training",
    "filters.frequent_words": "the 50 most frequent English words",
    "filters.offensive_phrases": "a large list that is not published",
    "filters.excluded_subreddits": "a list that is not published",
}
"""What the paper has for options whose values it does not give. The default lists are ours."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An option that is not as in the paper.

    Attributes:
        option: its dotted name.
        here: its value.
        paper: the paper's.
        default: this project's.
        remark: one more word on it, or "".
    """

    option: str
    here: str
    paper: str
    default: str
    remark: str


def differences_from_paper(settings: Mapping[str, Any]) -> list[Difference]:
    """The options of an extraction that differ from the paper's, or where it has none, from ours.

    Args:
        settings: nested, of the manifest.
    """
    defaults = flat(as_plain(ExtractConfig(dumps="", output="")))
    found = []
    for option, value in flat(settings).items():
        if option in _INDIFFERENT or not _is_other(option, value, defaults):
            continue
        paper = _WITHOUT_VALUE.get(option) or _shown(_PAPER.get(option, _NO_VALUE))
        default = _shown(defaults.get(option, _NO_VALUE))
        found.append(Difference(option, _shown(value), paper, default, _REMARKS.get(option, "")))
    return found


def _is_other(option: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    if option == "split.test_months":
        return not value
    return bool(value != _PAPER.get(option, defaults.get(option, value)))


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value == "":
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
