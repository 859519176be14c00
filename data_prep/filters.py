"""The filters of DialoGPT (arXiv:1911.00536, its section on the dataset), one function a rule.

A rule looks at a dialogue and returns why to drop it, or None to keep it. The last turn is the
response (the paper's "target"), the turns before it are the source. What the authors' public code
did instead is in docs/text-and-filters.md.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from data_prep.blocklists import (
    PhraseList,
    packaged_list,
    read_subreddits,
    read_words,
    words_of,
)
from data_prep.config import FilterConfig
from data_prep.normalize import TurnText

TOO_MANY_WORDS = "too_long"
"""Reason of rule 5. It has a name because extraction drops such paths early, unassembled."""


def url(turns: Sequence[TurnText]) -> str | None:
    """Rule 1: "url" if there is an address in any turn, source or response."""
    return "url" if any(turn.has_url for turn in turns) else None


def word_run(words: Sequence[str], *, max_run: int = 2) -> str | None:
    """Rule 2: "word_run" if the response says a word more than max_run times in a row.

    Words are those of `words_of`, so "No, no, NO!" is a run of three and "!!!" is none.

    Args:
        words: of the response.
        max_run: the paper drops "at least three", so 2 is the longest run that stays.
    """
    run = 0
    previous = None
    for word in words:
        run = run + 1 if word == previous else 1
        if run > max_run:
            return "word_run"
        previous = word
    return None


def no_frequent_word(words: Sequence[str], *, frequent: AbstractSet[str]) -> str | None:
    """Rule 3: "no_frequent_word" if none of the words is frequent: it may not be English.

    In a contraction the part before the apostrophe counts ("I'm", "that's"), and so does the verb
    of "don't" and "isn't".

    Args:
        words: of the response.
        frequent: the paper takes the 50 most frequent English words.
    """
    for word in words:
        if word in frequent:
            return None
        if "'" in word and not frequent.isdisjoint(_verb_and_stem(word)):
            return None
    return "no_frequent_word"


def _verb_and_stem(contraction: str) -> tuple[str, ...]:
    if contraction.endswith("n't"):
        return contraction[:-3], contraction[:-2]  # "do" of "don't", "can" of "can't"
    return (contraction.split("'")[0],)


def markup(response: TurnText) -> str | None:
    """Rule 4: "markup" if the response has "[" or "]" in it."""
    return "markup" if response.has_markup else None


def too_long(turns: Sequence[TurnText], *, max_words: int = 200) -> str | None:
    """Rule 5: TOO_MANY_WORDS if all turns together have more words than max_words.

    Args:
        turns: source and response.
        max_words: blank-separated words; the paper's limit is 200.
    """
    num_words = sum(len(turn.text.split()) for turn in turns)
    return TOO_MANY_WORDS if num_words > max_words else None


def offensive(words: Sequence[str], *, phrases: PhraseList) -> str | None:
    """Rule 6: "offensive" if the response contains a listed phrase.

    Args:
        words: of the response.
        phrases: the paper's list is large and unpublished.
    """
    return "offensive" if phrases.find(words) is not None else None


@dataclass(frozen=True, slots=True)
class FilterSet:
    """The rules that a configuration switches on, with their lists read.

    Build one in each worker process with `from_config`: the configuration is what travels.

    Attributes:
        config: the switches and thresholds.
        frequent_words: of rule 3; empty when the rule is off.
        offensive_phrases: of rule 6; None when the rule is off.
        excluded_subreddits: names in lower case.
    """

    config: FilterConfig
    frequent_words: frozenset[str]
    offensive_phrases: PhraseList | None
    excluded_subreddits: frozenset[str]

    @classmethod
    def from_config(cls, config: FilterConfig) -> Self:
        """Read the lists that the configuration names.

        Raises:
            UserError: a list is missing or malformed; the message names file and line.
        """
        frequent_words: frozenset[str] = frozenset()
        if config.frequent_words:
            frequent_words = read_words(packaged_list("frequent_words_en.txt"))
        phrases = _list_path(config.offensive_phrases, "offensive_phrases.txt")
        subreddits = _list_path(config.excluded_subreddits, "excluded_subreddits.txt")
        return cls(
            config=config,
            frequent_words=frequent_words,
            offensive_phrases=PhraseList.from_file(phrases) if phrases else None,
            excluded_subreddits=read_subreddits(subreddits) if subreddits else frozenset(),
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that can be given, in the order of the checks: the first that holds is it.

        The excluded subreddits come first, then the rules as the paper numbers them.
        """
        switched = {
            "subreddit": bool(self.excluded_subreddits),
            "url": self.config.urls,
            "word_run": self.config.max_word_run > 0,
            "no_frequent_word": self.config.frequent_words,
            "markup": self.config.markup,
            TOO_MANY_WORDS: self.config.max_words > 0,
            "offensive": self.offensive_phrases is not None,
        }
        return tuple(reason for reason, is_on in switched.items() if is_on)

    def excludes_subreddit(self, subreddit: str) -> bool:
        """Whether the subreddit is listed; case and a leading "r/" make no difference."""
        return subreddit.lower().removeprefix("/").removeprefix("r/") in self.excluded_subreddits

    def drop_reason(self, turns: Sequence[TurnText], subreddit: str) -> str | None:
        """Why to drop the dialogue, the first of `reasons` that holds; None to keep it.

        Args:
            turns: oldest first; the last one is the response.
            subreddit: where it was said, e.g. "AskReddit"; "" if that is not known.

        Raises:
            ValueError: there are no turns.
        """
        if not turns:
            raise ValueError("a dialogue needs at least one turn")
        if self.excludes_subreddit(subreddit):
            return "subreddit"
        if self.config.urls and (reason := url(turns)):
            return reason
        return self._response_reason(turns, turns[-1])

    def _response_reason(self, turns: Sequence[TurnText], response: TurnText) -> str | None:
        config = self.config
        words = words_of(response.text)
        if config.max_word_run and (reason := word_run(words, max_run=config.max_word_run)):
            return reason
        if config.frequent_words and (
            reason := no_frequent_word(words, frequent=self.frequent_words)
        ):
            return reason
        if config.markup and (reason := markup(response)):
            return reason
        if config.max_words and (reason := too_long(turns, max_words=config.max_words)):
            return reason
        if self.offensive_phrases is not None:
            return offensive(words, phrases=self.offensive_phrases)
        return None


def _list_path(setting: str, default_name: str) -> Path | None:
    """The file that a setting names: "default" ships with the project, "" is none."""
    if not setting:
        return None
    return packaged_list(default_name) if setting == "default" else Path(setting)
