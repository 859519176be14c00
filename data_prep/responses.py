"""What the rules on responses want to know of their words, a column at a time.

`data_prep.blocklists.words_of` says what the words of a text are. Texts of ASCII and the most
common characters beyond are read by a compiled loop, if there is one.
"""

import zlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_prep import native
from data_prep.blocklists import words_of
from data_prep.text_columns import BoolArray, replaced, text_array, text_buffers


@dataclass(frozen=True, slots=True)
class ResponseWords:
    """The words of n responses.

    Attributes:
        joined: n large strings: the words in lower case with a blank between two.
        longest_runs: (n,) int32, the most times that a word stands in a row.
        has_frequent: (n,) bool, whether one of the words is frequent.
    """

    joined: pa.Array
    longest_runs: NDArray[np.int32]
    has_frequent: BoolArray

    def take(self, rows: NDArray[np.int64]) -> "ResponseWords":
        """Some rows, in the order given."""
        return ResponseWords(
            joined=self.joined.take(pa.array(rows)),
            longest_runs=self.longest_runs[rows],
            has_frequent=self.has_frequent[rows],
        )


@dataclass(frozen=True, slots=True)
class Trigrams:
    """The trigrams (three words in a row) of n responses.

    Attributes:
        texts: large strings: those of the first response, of the second, and so on.
        counts: (n,) int64, how many each response has.
        checksums: uint32, CRC-32 of each trigram.
    """

    texts: pa.Array
    counts: NDArray[np.int64]
    checksums: NDArray[np.uint32]


def response_words(texts: pa.Array, frequent: AbstractSet[str]) -> ResponseWords:
    """The words of each text.

    Args:
        texts: n large strings, cleaned.
        frequent: words in lower case.
    """
    if native.compiled is None:
        read = [words_of(text) for text in texts.to_pylist()]
        return ResponseWords(
            joined=pa.array(map(" ".join, read), pa.large_string()),
            longest_runs=np.array([longest_run(words) for words in read], np.int32),
            has_frequent=np.array([has_frequent_word(w, frequent) for w in read], np.bool_),
        )
    listed = "".join(word + "\n" for word in sorted(frequent)).encode()
    joined, runs, has_frequent, is_read = native.compiled.words_of_texts(
        *text_buffers(texts), listed
    )
    unread = np.frombuffer(is_read, np.uint8) == 0
    rest = [words_of(text) for text in texts.filter(pa.array(unread)).to_pylist()]
    longest_runs = np.frombuffer(runs, np.int32).copy()
    is_frequent = np.frombuffer(has_frequent, np.bool_).copy()
    longest_runs[unread] = [longest_run(words) for words in rest]
    is_frequent[unread] = [has_frequent_word(words, frequent) for words in rest]
    return ResponseWords(
        joined=replaced(text_array(*joined), unread, [" ".join(words) for words in rest]),
        longest_runs=longest_runs,
        has_frequent=is_frequent,
    )


def longest_run(words: Iterable[str]) -> int:
    """The most times that a word stands in a row: 3 for "no no NO" in lower case, 0 for nothing."""
    return max((sum(1 for _ in run) for _, run in groupby(words)), default=0)


def has_frequent_word(words: Iterable[str], frequent: AbstractSet[str]) -> bool:
    """Whether one of the words is frequent.

    In a contraction the part before the apostrophe counts ("I'm", "that's"), and so does the verb
    of "don't" and "isn't".
    """
    return any(
        word in frequent or ("'" in word and not frequent.isdisjoint(_verb_and_stem(word)))
        for word in words
    )


def _verb_and_stem(contraction: str) -> tuple[str, ...]:
    if contraction.endswith("n't"):
        return contraction[:-3], contraction[:-2]  # "do" of "don't", "can" of "can't"
    return (contraction.split("'")[0],)


def trigrams_of(joined: pa.Array) -> Trigrams:
    """The trigrams of each response.

    Args:
        joined: n large strings, as in ResponseWords.
    """
    if native.compiled is not None:
        texts, counts, checksums = native.compiled.trigrams_of_words(*text_buffers(joined))
        return Trigrams(
            text_array(*texts),
            np.frombuffer(counts, np.int64),
            np.frombuffer(checksums, np.uint32),
        )
    trigrams = [_trigrams(text.split(" ")) for text in joined.to_pylist()]
    flat = [trigram for of_text in trigrams for trigram in of_text]
    return Trigrams(
        pa.array(flat, pa.large_string()),
        np.array([len(of_text) for of_text in trigrams], np.int64),
        np.array([zlib.crc32(trigram.encode()) for trigram in flat], np.uint32),
    )


def _trigrams(words: Sequence[str]) -> list[str]:
    return [" ".join(words[first : first + 3]) for first in range(len(words) - 2)]
