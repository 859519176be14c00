"""Lists of phrases and subreddits: reading them, and finding phrases in text.

Phrases are found by an Aho-Corasick automaton (pyahocorasick), whose cost does not grow with their
number. It looks through the words of the text with blanks between them, so that a phrase is found
as whole words only. Libraries that find word borders by themselves find others: flashtext takes
every letter beyond ASCII for one ("ass" in "assé"), flashtext2 does not see a phrase across marks
("kill... yourself").
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import ahocorasick

from dialogpt.command_line import UserError
from dialogpt.text import clean_turn

_LISTS = Path(__file__).with_name("lists")
_SUBREDDIT = re.compile(r"/?(?:r/)?([A-Za-z0-9_-]{2,24})/?", re.IGNORECASE)
# Accents that have no composed form, and joiners, belong to the letter before them.
_LETTER = r"[^\W_][\u0300-\u036f\u200c\u200d]*+"
_WORD = re.compile(rf"(?:{_LETTER})++(?:(?:['’]|(?<=\d)[.,](?=\d))(?:{_LETTER})++)*+")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; "’" becomes "'".

    A word is a run of letters and digits, with apostrophes allowed within, and points and commas
    within a number: "don't" and "2,000,000,000" are one word each, "well-read" is two, "!!!" and
    emoji are none. Lower case, not case folding: that would turn the German "aß" into "ass".
    """
    words = _WORD.findall(text.lower())
    return [word.replace("’", "'") for word in words] if "’" in text else words


class PhraseList:
    """Phrases, to be found as whole words in any case.

    Punctuation between words makes no difference, nor does a closing "'s": the phrase "idiot" is
    found in "idiot's". Other contractions are words of their own: "you're" is not "you".
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._automaton = ahocorasick.Automaton()
        for phrase in phrases:
            words = words_of(phrase)
            if not words:
                raise ValueError(f"phrase {phrase!r} holds no word")
            bases = _with_borders(" ".join(words))
            self._automaton.add_word(bases, bases.strip())
        self._automaton.make_automaton()

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The phrases of a list file.

        Raises:
            UserError: the file is missing or not UTF-8, or a line holds no word.
        """
        phrases = []
        for line_number, phrase in _entries(path):
            if not words_of(phrase):
                raise UserError(
                    f"{path}:{line_number}: expected a phrase of at least one word, found "
                    f"{phrase!r}; remove the line, or put # before it if it is a comment"
                )
            phrases.append(phrase)
        return cls(phrases)

    def find(self, words: Sequence[str]) -> str | None:
        """The first phrase among the words, or None.

        Args:
            words: of the text, as `words_of` gives them.
        """
        return self.find_joined(" ".join(words))

    def find_joined(self, words: str) -> str | None:
        """The phrase that ends first in a text, or None.

        Args:
            words: as `words_of` gives them, with a blank between two.
        """
        if not len(self._automaton):
            return None
        found: tuple[int, str] | None = next(self._automaton.iter(_with_borders(words)), None)
        return found and found[1]


def _with_borders(words: str) -> str:
    """The words without a closing "'s", each with a blank before and behind it."""
    return f" {words} ".replace("'s ", " ")


def packaged_list(name: str) -> Path:
    """The path of a list that ships with the project, e.g. "offensive_phrases.txt"."""
    return _LISTS / name


def read_subreddits(path: Path) -> frozenset[str]:
    """The names of a list of subreddits, in lower case and without "r/".

    Raises:
        UserError: the file is missing or not UTF-8, or a line is no subreddit's name.
    """
    names = set()
    for line_number, entry in _entries(path):
        match = _SUBREDDIT.fullmatch(entry)
        if match is None:
            raise UserError(
                f"{path}:{line_number}: expected the name of one subreddit, such as AskReddit or "
                f"r/AskReddit, found {entry!r}; correct or remove the line"
            )
        names.add(match[1].lower())
    return frozenset(names)


def read_words(path: Path) -> frozenset[str]:
    """The words of a list with one word a line, in lower case.

    Raises:
        UserError: the file is missing or not UTF-8, or a line does not hold one word.
    """
    listed = set()
    for line_number, entry in _entries(path):
        words = words_of(entry)
        if len(words) != 1:
            raise UserError(
                f"{path}:{line_number}: expected one word, found {entry!r}; correct the line"
            )
        listed.add(words[0])
    return frozenset(listed)


def _entries(path: Path) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and text of each line that is neither blank nor a # comment."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise UserError(
            f"{path}: expected a UTF-8 text file with one entry a line, found {found}; correct the "
            'path, or give "default" for the list that ships or "" for none'
        )
    for line_number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}:{line_number}: expected UTF-8, found byte 0x{line[error.start]:02x} at "
                f"position {error.start + 1}; save the file as UTF-8"
            ) from error
        entry = clean_turn(text)
        if entry and not entry.startswith("#"):
            yield line_number, entry
