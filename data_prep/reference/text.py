r"""Bodies of comments -> turns as the public code of DialoGPT writes them, letter by letter.

A body becomes a turn in these steps, whose order matters:

1. Backslashes go. What blanks separate are its words; those that begin with "#" go.
2. Of a word that holds "http" (in any case) stays what is before it, and the word URL follows.
3. "b/c", "j/k", "w/o" and "w/" are spelled out, even within words: "show/hide" -> "showithhide".
4. Every character but A-Z, a-z, 0-9 and ()[]:,.!?'“” becomes a blank. Letters of other alphabets
   vanish, and so do quotation marks, dashes and the ’ of "don’t".
5. MENTION and URL, wherever they stand ("CURLY"), become __mention__ and __url__.
6. It is cut into tokens as NLTK's TweetTokenizer does (checked against versions 3.4.1 and 3.10.4),
   with a blank between two. `_TOKEN` says what is left of that tokenizer in this alphabet.

A compiled loop does this where it can; the Python below does it where there is none, and for bodies
in which an author wrote __url__ or __mention__, or "İ" before an address in one word.
"""

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep import native
from data_prep.text_columns import BoolArray, as_text_array, replaced, text_array, text_buffers

WEIGHT = "1.0"
"""What the public code writes before every turn that no list of offensive phrases names."""

_SPELLED_OUT = (
    ("b/c", "because"),
    ("j/k", "just kidding"),
    ("w/o", "without"),
    ("w/", "with"),
    ("__mention__", "MENTION"),
    ("__url__", "URL"),
)
_OUTSIDE_ALPHABET = re.compile(r"[^A-Za-z0-9()\[\]:,.!?'“”]+")
_LONG_RUN = re.compile(r"([^A-Za-z0-9])\1{3,}")
_TOKEN = re.compile(
    r"""
    [A-Za-z0-9]+ (?:\.[A-Za-z0-9]+){0,126} \.[A-Za-z]{2,13} (?!\w)   # a host: www.x.com, end.Next
    | (?:[01][ .)]*)? (?:\(?[0-9]{3}[ .)]*)? [0-9]{3} [ .)]* [0-9]{4}  # a phone number
    | [:8] [oO']? [\])(\[dDpP:]                                      # a face: eyes first
    | [\])(\[dDpP:] [oO']? [:8]                                      # or mouth first: do:
    | [A-Za-z] [A-Za-z'_]+ [A-Za-z]                                  # a word: don't
    | [0-9]+ [,.:] [0-9]+                                            # 3.14, 1,000, 12:30
    | \w+                                                            # U, mp3, __url__
    | \. (?:\ *\.)+                                                  # dots
    | \S
    """,
    re.VERBOSE | re.ASCII,
)
_BRACKET = re.compile(r"[\[\]()]")
_CAPITALS = re.compile(r"[A-Z]{5,}")

# As in native/reference_tokens.h.
_IS_READ, _HAS_URL, _HAS_BRACKET, _HAS_CAPITALS, _REPEATS, _REPEATS_WEIGHT = 1, 2, 4, 8, 16, 32


def num_words(text: str) -> int:
    """How many words a body or title has, between blanks and without its backslashes."""
    return len(text.replace("\\", "").split())


def turn_of(body: str) -> str:
    """The tokens of a body, with a blank between two; "" if nothing is left of it."""
    words = []
    for word in body.replace("\\", "").split():
        # The place in lower case is taken for the place in the word, though "İ" becomes longer.
        place = word.lower().find("http")
        if not word.startswith("#"):
            words.append(word if place < 0 else f"{word[:place]} URL")
    text = " ".join(words)
    for written, meant in _SPELLED_OUT:
        text = text.replace(written, meant)
    text = _OUTSIDE_ALPHABET.sub(" ", text)
    text = text.replace("MENTION", "__mention__").replace("URL", "__url__")
    tokens: list[str] = _TOKEN.findall(_LONG_RUN.sub(r"\1\1\1", text))
    return " ".join(" ".join(tokens).split())


@dataclass(frozen=True, slots=True)
class TurnTokens:
    """The turns of n bodies, and what the filters want to know of them.

    Attributes:
        texts: n large strings.
        num_tokens: (n,) int32, blank-separated tokens of each.
        longest_tokens: (n,) int32, characters of the longest one.
        facts: (n,) uint8, sums of the numbers behind the properties.
    """

    texts: pa.Array
    num_tokens: NDArray[np.int32]
    longest_tokens: NDArray[np.int32]
    facts: NDArray[np.uint8]

    @property
    def has_url(self) -> BoolArray:
        """(n,) whether there is __url__ in it."""
        return self._has(_HAS_URL)

    @property
    def has_bracket(self) -> BoolArray:
        """(n,) whether there is one of ( ) [ ] in it."""
        return self._has(_HAS_BRACKET)

    @property
    def has_capitals(self) -> BoolArray:
        """(n,) whether there are five capitals in a row in it."""
        return self._has(_HAS_CAPITALS)

    def repeats(self, *, with_weight: bool) -> BoolArray:
        """(n,) whether three equal tokens stand in a row.

        Args:
            with_weight: whether the WEIGHT before the turn is a token, too.
        """
        return self._has(_REPEATS | _REPEATS_WEIGHT if with_weight else _REPEATS)

    def _has(self, facts: int) -> BoolArray:
        has: BoolArray = (self.facts & facts) != 0
        return has

    @classmethod
    def of(cls, texts: list[str]) -> Self:
        """What is to know of some turns."""
        tokens = [text.split(" ") if text else [] for text in texts]
        return cls(
            texts=pa.array(texts, pa.large_string()),
            num_tokens=np.array([len(turn) for turn in tokens], np.int32),
            longest_tokens=np.array([max(map(len, turn), default=0) for turn in tokens], np.int32),
            facts=np.array(
                [_facts(text, turn) for text, turn in zip(texts, tokens, strict=True)], np.uint8
            ),
        )


def _facts(text: str, tokens: list[str]) -> int:
    triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return (
        _IS_READ
        | _HAS_URL * ("__url__" in text)
        | _HAS_BRACKET * (_BRACKET.search(text) is not None)
        | _HAS_CAPITALS * (_CAPITALS.search(text) is not None)
        | _REPEATS * any(first == second == third for first, second, third in triples)
        | _REPEATS_WEIGHT * (tokens[:2] == [WEIGHT, WEIGHT])
    )


def turn_tokens(bodies: pa.Array | pa.ChunkedArray) -> TurnTokens:
    """The turn of each body.

    Args:
        bodies: n strings as dumps hold them, no nulls.
    """
    bodies = as_text_array(bodies)
    if native.compiled is None:
        return TurnTokens.of([turn_of(body) for body in bodies.to_pylist()])
    turns, numbers, longest, facts = native.compiled.reference_turns(*text_buffers(bodies))
    tokens = TurnTokens(
        texts=text_array(*turns),
        num_tokens=np.frombuffer(numbers, np.int32),
        longest_tokens=np.frombuffer(longest, np.int32),
        facts=np.frombuffer(facts, np.uint8),
    )
    left = np.flatnonzero((tokens.facts & _IS_READ) == 0)
    return _completed(tokens, left, bodies.take(pa.array(left))) if len(left) else tokens


def _completed(tokens: TurnTokens, rows: NDArray[np.int64], bodies: pa.Array) -> TurnTokens:
    """The turns, with those of some rows made from their bodies."""
    made = TurnTokens.of([turn_of(body) for body in bodies.to_pylist()])
    is_made = np.zeros(len(tokens.facts), np.bool_)
    is_made[rows] = True
    columns = {}
    for name in ("num_tokens", "longest_tokens", "facts"):
        columns[name] = getattr(tokens, name).copy()
        columns[name][rows] = getattr(made, name)
    return TurnTokens(texts=replaced(tokens.texts, is_made, made.texts.to_pylist()), **columns)
