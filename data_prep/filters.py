"""The filters of DialoGPT (arXiv:1911.00536, its section on the dataset), one function a rule.

A rule looks at a column of dialogues and says which to drop. The last turn of a dialogue is the
response (the paper's "target"), the turns before it are the source. What the authors' public code
did instead is in docs/text-and-filters.md. Rule 7, on bland responses, needs the whole corpus: it
is in `data_prep.blandness`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep.blocklists import (
    PhraseList,
    packaged_list,
    read_subreddits,
    read_words,
)
from data_prep.config import FilterConfig
from data_prep.normalize import TurnText
from data_prep.responses import ResponseWords, response_words
from data_prep.text_columns import BoolArray

TOO_MANY_WORDS = "too_long"
"""Reason of rule 5. It has a name because extraction drops such paths early, unassembled."""

SHIPPED = "default"
"""Value of an option of LISTS: the list that ships."""

LISTS = {
    "frequent_words": "frequent_words_en.txt",
    "offensive_phrases": "offensive_phrases.txt",
    "excluded_subreddits": "excluded_subreddits.txt",
}
"""Option that names a list -> the list that ships."""

KEPT = 0
"""Code of a dialogue that no rule drops; code c > 0 stands for `FilterSet.reasons[c - 1]`."""


@dataclass(frozen=True, slots=True)
class PathColumns:
    """What the rules look at, of m dialogues.

    Attributes:
        has_url: (m,) bool, whether there is an address in any turn.
        num_words: (m,) blank-separated words of all turns together.
        responses: m large strings, the last turns.
        response_has_markup: (m,) bool, whether the body of the response holds "[" or "]".
    """

    has_url: BoolArray
    num_words: NDArray[np.int64]
    responses: pa.Array
    response_has_markup: BoolArray

    @classmethod
    def of_dialogue(cls, turns: Sequence[TurnText]) -> Self:
        """The columns of one dialogue, oldest turn first."""
        if not turns:
            raise ValueError("a dialogue needs at least one turn")
        return cls(
            has_url=np.array([any(turn.has_url for turn in turns)]),
            num_words=np.array([sum(len(turn.text.split()) for turn in turns)]),
            responses=pa.array([turns[-1].text], pa.large_string()),
            response_has_markup=np.array([turns[-1].has_markup]),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of m dialogues.

    Attributes:
        codes: (m,) int8, KEPT or which reason of the FilterSet.
        words: of the responses; None if no rule looked at them.
    """

    codes: NDArray[np.int8]
    words: ResponseWords | None


def url(paths: PathColumns) -> BoolArray:
    """Rule 1: an address in any turn, source or response."""
    return paths.has_url


def word_run(words: ResponseWords, *, max_run: int = 2) -> BoolArray:
    """Rule 2: the response says a word more than max_run times in a row.

    Words are those of `words_of`, so "No, no, NO!" is a run of three and "!!!" is none.

    Args:
        words: of the responses.
        max_run: the paper drops "at least three", so 2 is the longest run that stays.
    """
    return words.longest_runs > max_run


def no_frequent_word(words: ResponseWords) -> BoolArray:
    """Rule 3: the response has none of the most frequent words; it may be in another language.

    The paper takes the 50 most frequent English words. See `responses.has_frequent_word`.
    """
    return ~words.has_frequent


def markup(paths: PathColumns) -> BoolArray:
    """Rule 4: the response has "[" or "]" in it."""
    return paths.response_has_markup


def too_long(paths: PathColumns, *, max_words: int = 200) -> BoolArray:
    """Rule 5: all turns together have more words than max_words."""
    return paths.num_words > max_words


def offensive(words: ResponseWords, *, phrases: PhraseList) -> BoolArray:
    """Rule 6: the response contains a listed phrase; the paper's list is large and unpublished."""
    return np.array(
        [phrases.find_joined(joined) is not None for joined in words.joined.to_pylist()], np.bool_
    )


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
        words = list_path(config, "frequent_words")
        phrases = list_path(config, "offensive_phrases")
        subreddits = list_path(config, "excluded_subreddits")
        return cls(
            config=config,
            frequent_words=read_words(words) if words else frozenset(),
            offensive_phrases=PhraseList.from_file(phrases) if phrases else None,
            excluded_subreddits=read_subreddits(subreddits) if subreddits else frozenset(),
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that can be given, in the order of the checks: the first that holds is it.

        They come as the paper numbers its rules.
        """
        switched = {
            "url": self.config.urls,
            "word_run": self.config.max_word_run > 0,
            "no_frequent_word": bool(self.frequent_words),
            "markup": self.config.markup,
            TOO_MANY_WORDS: self.config.max_words > 0,
            "offensive": self.offensive_phrases is not None,
        }
        return tuple(reason for reason, is_on in switched.items() if is_on)

    def excludes_subreddit(self, subreddit: str) -> bool:
        """Whether the subreddit is listed; case and a leading "r/" make no difference."""
        return subreddit.lower().removeprefix("/").removeprefix("r/") in self.excluded_subreddits

    def judge(self, paths: PathColumns) -> Verdict:
        """Which dialogues to drop, and for the first of `reasons` that holds."""
        codes = np.full(len(paths.num_words), KEPT, np.int8)
        words = None
        if {"word_run", "no_frequent_word", "offensive"} & {*self.reasons}:
            words = response_words(paths.responses, self.frequent_words)
        for code, reason in enumerate(self.reasons, start=1):
            undecided = np.flatnonzero(codes == KEPT)
            codes[undecided[self._breaks(reason, undecided, paths, words)]] = code
        return Verdict(codes, words)

    def _breaks(
        self,
        reason: str,
        rows: NDArray[np.int64],
        paths: PathColumns,
        words: ResponseWords | None,
    ) -> BoolArray:
        """Whether the rule drops each of some rows."""
        if reason == "url":
            return url(paths)[rows]
        if reason == "markup":
            return markup(paths)[rows]
        if reason == TOO_MANY_WORDS:
            return too_long(paths, max_words=self.config.max_words)[rows]
        assert words is not None
        if reason == "word_run":
            return word_run(words, max_run=self.config.max_word_run)[rows]
        if reason == "no_frequent_word":
            return no_frequent_word(words)[rows]
        assert self.offensive_phrases is not None
        return offensive(words.take(rows), phrases=self.offensive_phrases)

    def drop_reason(self, turns: Sequence[TurnText]) -> str | None:
        """Why to drop one dialogue, or None to keep it.

        Args:
            turns: oldest first; the last one is the response.

        Raises:
            ValueError: there are no turns.
        """
        code = int(self.judge(PathColumns.of_dialogue(turns)).codes[0])
        return self.reasons[code - 1] if code != KEPT else None


def list_path(config: FilterConfig, name: str) -> Path | None:
    """The file that an option of LISTS names: "default" ships with the project, "" is none."""
    setting: str = getattr(config, name)
    if not setting:
        return None
    return packaged_list(LISTS[name]) if setting == SHIPPED else Path(setting)
