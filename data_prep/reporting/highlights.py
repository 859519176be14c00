"""Where in a dropped dialogue the reason stands, as far as its text still shows it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from data_prep.blocklists import PhraseList, packaged_list, words_of
from data_prep.normalize import contains_url
from data_prep.reporting.shown_text import Span
from dialogpt.command_line import UserError

_TOKEN = re.compile(r"\S+")
_BRACKETED = re.compile(r"\[[^\[\]]*\]|[\[\]]")
_TRIGRAM = 3


@dataclass(frozen=True, slots=True)
class Highlighter:
    """Finds reasons in text.

    Attributes:
        phrases: that the rule on offensive responses looked for; None if their list is not at hand.
        rude: phrases of the list that ships.
        trigrams: frequent ones, as far as they are known.
    """

    phrases: PhraseList | None
    rude: PhraseList
    trigrams: frozenset[str]

    @classmethod
    def of(cls, settings: Mapping[str, Any], trigrams: Iterable[str]) -> "Highlighter":
        """For what was dropped under some settings, of the manifest."""
        rude = PhraseList.from_file(packaged_list("offensive_phrases.txt"))
        listed = str(settings.get("filters", {}).get("offensive_phrases", ""))
        # A list of the user's own is noted as "path (sha256 0123)".
        phrases = rude if listed == "default" else _phrases(listed.rpartition(" (sha256 ")[0])
        return cls(phrases, rude, frozenset(trigrams))

    def hits(self, reason: str, turns: Sequence[str]) -> list[list[Span]]:
        """What to mark in each turn; nothing where the reason cannot be pointed at."""
        if reason == "url":
            return [list(_addresses(turn)) for turn in turns]
        nothing: list[list[Span]] = [[] for _ in turns[:-1]]
        return [*nothing, *(list(self._in_response(reason, turn)) for turn in turns[-1:])]

    def is_offensive(self, turns: Iterable[str]) -> bool:
        """Whether a turn holds a phrase of the list that ships."""
        return any(self.rude.find(words_of(turn)) is not None for turn in turns)

    def _in_response(self, reason: str, response: str) -> Iterator[Span]:
        if reason == "word_run":
            yield from _longest_run(response)
        elif reason == "markup":
            yield from (match.span() for match in _BRACKETED.finditer(response))
        elif reason == "offensive" and self.phrases is not None:
            yield from _phrase(response, self.phrases)
        elif reason == "bland":
            yield from _frequent_trigrams(response, self.trigrams)


def _phrases(path: str) -> PhraseList | None:
    try:
        return PhraseList.from_file(Path(path)) if path else None
    except UserError:
        return None  # it was moved since


def _addresses(turn: str) -> Iterator[Span]:
    yield from (match.span() for match in _TOKEN.finditer(turn) if contains_url(match[0]))


def _words_in_place(text: str) -> list[tuple[str, Span]]:
    """The words of a text, each with the place of what stands between blanks around it."""
    return [(word, match.span()) for match in _TOKEN.finditer(text) for word in words_of(match[0])]


def _longest_run(response: str) -> Iterator[Span]:
    runs = [list(run) for _, run in groupby(_words_in_place(response), key=lambda found: found[0])]
    if runs:
        longest = max(runs, key=len)
        yield longest[0][1][0], longest[-1][1][1]


def _phrase(response: str, phrases: PhraseList) -> Iterator[Span]:
    words = _words_in_place(response)
    phrase = phrases.find([word for word, _ in words])
    if phrase is None:
        return
    wanted = phrase.split(" ")
    bases = [word.removesuffix("'s") for word, _ in words]
    for start in range(len(words) - len(wanted) + 1):
        if bases[start : start + len(wanted)] == wanted:
            yield words[start][1][0], words[start + len(wanted) - 1][1][1]


def _frequent_trigrams(response: str, trigrams: frozenset[str]) -> Iterator[Span]:
    words = _words_in_place(response)
    for start in range(len(words) - _TRIGRAM + 1):
        run = words[start : start + _TRIGRAM]
        if " ".join(word for word, _ in run) in trigrams:
            yield run[0][1][0], run[-1][1][1]
