"""Words and n-grams of many texts at once, as 64-bit hashes in numpy arrays.

A text is never kept and no vocabulary grows: a word is its hash, an n-gram the hash of its words'.
Different words of at most 8 bytes and equal length never share a hash; any other two words or
n-grams do with a probability of about 2^-64. So among 150 million n-grams (a million hypotheses
with five references) one pair or more collides with a probability of 0.0006, and then one count is
off by what the rarer of the two has. The hash is no defence against texts made to collide.

Shapes: N texts, T words of them all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
Integers = NDArray[np.int64]

_BLANK = 0x20
_NEWLINE = 0x0A
# What `str.split` splits at: ASCII, and by UTF-8 bytes where there are two or three of them.
_ASCII_BLANKS = b"\t\x0b\x0c\r\x1c\x1d\x1e\x1f"
_WIDE_BLANKS = np.array(
    [
        int.from_bytes(character.encode(), "big")
        for character in map(chr, (0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F))
    ]
    + [int.from_bytes(character.encode(), "big") for character in "\u205f\u3000"]
)
_TO_BLANK = bytes.maketrans(_ASCII_BLANKS, b" " * len(_ASCII_BLANKS))
_IS_BLANK = np.isin(np.arange(256), [_BLANK, _NEWLINE])

_LONG_WORD = 64
"""Words of more bytes, which are rare, are hashed one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WordSpans:
    """Where the words of some texts lie.

    Attributes:
        content: uint8, all texts, each between two newlines.
        starts: (T,) int64 offsets in content.
        ends: (T,) int64 offsets behind the words.
    """

    content: Bytes
    starts: Integers
    ends: Integers


Splitter = Callable[[bytes], WordSpans]
"""Takes texts in UTF-8 as `WordSpans.content` has them; words hold no newline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The words of some texts.

    Attributes:
        hashes: (T,) uint64, text after text.
        counts: (N,) int64 words of each text.
    """

    hashes: Hashes
    counts: Integers


@dataclass(frozen=True, kw_only=True, slots=True)
class Ngrams:
    """All n-grams of one order within some texts; none reaches from a text into the next.

    Attributes:
        hashes: (number,) uint64.
        prefixes: (number,) uint64 hashes without the last word; where n is 1 zeros.
        texts: (number,) int64 which text each is of, ascending.
    """

    hashes: Hashes
    prefixes: Hashes
    texts: Integers


def words_of(texts: Sequence[str], split: Splitter) -> Words:
    """The words of each text."""
    if not texts:
        return Words(hashes=np.zeros(0, np.uint64), counts=np.zeros(0, np.int64))
    lines = "\n".join(texts)
    if lines.count("\n") >= len(texts):  # a newline within a text is a blank like another
        lines = "\n".join(text.replace("\n", "\x0b") for text in texts)
    # Lone surrogates, which JSON can bring, are words like others.
    spans = split(f"\n{lines}\n".encode("utf-8", "surrogatepass"))
    newlines = np.flatnonzero(spans.content == _NEWLINE)
    # An empty last word starts at the newline behind it.
    counts = np.diff(np.searchsorted(spans.starts, newlines, side="right"))
    return Words(hashes=_hashes(spans), counts=counts)


def word_hash(word: str) -> int:
    """The hash that `words_of` has for a word."""
    return int(words_of([word], split_at_single_blanks).hashes[0])


def split_at_blanks(texts: bytes) -> WordSpans:
    """Words as `str.split` has them: between blanks of ASCII or of the rest of Unicode."""
    content = with_plain_blanks(texts)
    is_blank = _IS_BLANK[content]
    starts = np.flatnonzero(is_blank[:-1] & ~is_blank[1:]) + 1
    ends = np.flatnonzero(~is_blank[:-1] & is_blank[1:]) + 1
    return WordSpans(content=content, starts=starts, ends=ends)


def split_at_single_blanks(texts: bytes) -> WordSpans:
    """Words as `text.split(" ")` has them: two blanks in a row have an empty word between them."""
    content = np.frombuffer(texts, np.uint8)
    borders = np.flatnonzero(_IS_BLANK[content])
    return WordSpans(content=content, starts=borders[:-1] + 1, ends=borders[1:])


def with_plain_blanks(texts: bytes) -> Bytes:
    """The texts with an ASCII blank for each byte of what `str.split` splits at, but newlines."""
    content = np.frombuffer(bytearray(texts.translate(_TO_BLANK)), np.uint8)
    if texts.isascii():
        return content
    leads = np.flatnonzero(content >= 0xC2)
    following = [content[leads + ahead].astype(np.int64) for ahead in (0, 1)]
    pairs = (following[0] << 8) | following[1]
    narrow = leads[(pairs == 0xC285) | (pairs == 0xC2A0)]  # next line, no-break space
    leads, pairs = leads[pairs >= 0xE000], pairs[pairs >= 0xE000]
    wide = leads[np.isin((pairs << 8) | content[leads + 2], _WIDE_BLANKS)]
    for places in (narrow, narrow + 1, wide, wide + 1, wide + 2):
        content[places] = _BLANK
    return content


def ngrams_of(words: Words, max_order: int) -> Iterator[Ngrams]:
    """The n-grams with n from 1 to max_order, one order after the other."""
    hashes = words.hashes
    texts = np.repeat(np.arange(len(words.counts)), words.counts)
    prefixes = np.zeros_like(hashes)
    last = np.arange(len(hashes))  # where the last word of each n-gram is
    remaining = np.repeat(np.cumsum(words.counts), words.counts) - last
    for order in range(1, max_order + 1):
        if order > 1:
            whole = np.flatnonzero(remaining > 1)
            prefixes, texts = hashes[whole], texts[whole]
            last, remaining = last[whole] + 1, remaining[whole] - 1
            hashes = mixed(prefixes) + words.hashes[last]
        yield Ngrams(hashes=hashes, prefixes=prefixes, texts=texts)


def mixed(values: Hashes) -> Hashes:
    """Every bit of each value depends on all of its bits; different values stay different.

    Shifts and odd factors as in the last step of MurmurHash3 (public domain, A. Appleby).
    """
    shift = np.uint64(33)
    values = values ^ (values >> shift)
    values *= 0xFF51AFD7ED558CCD
    values ^= values >> shift
    values *= 0xC4CEB9FE1A85EC53
    values ^= values >> shift
    return values


def within(hashes: Hashes, owners: Integers) -> Hashes:
    """(number,) hashes of n-grams together with what each is of, a text or a segment."""
    return mixed(hashes + owners.astype(np.uint64) * 0x9E3779B97F4A7C15)


def runs(values: Hashes) -> tuple[Integers, Integers]:
    """Where runs of equal values start, and how long each is."""
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    return starts, np.diff(starts, append=len(values))


def _hashes(spans: WordSpans) -> Hashes:
    """(T,) hashes of words, from 8 bytes at a time."""
    lengths = spans.ends - spans.starts
    padded = np.concatenate((spans.content, np.zeros(8, np.uint8)))
    # Entry i holds bytes i to i + 7 as one number, the first byte lowest.
    eights = np.ndarray(len(spans.content) + 1, "<u8", buffer=padded.data, strides=(1,))
    hashes = lengths.astype(np.uint64) * 0xD6E8FEB86659FD93
    which = np.arange(len(lengths))
    starts, left = spans.starts, lengths
    while len(which):
        unused = np.maximum(8 - left, 0).astype(np.uint64) * 8
        # In two steps, because a shift by 64 bits is not defined.
        half = unused >> 1
        block = (eights[starts] << half) << half
        hashes[which] = mixed(hashes[which] ^ block)
        more = np.flatnonzero((left > 8) & (lengths[which] <= _LONG_WORD))
        which, starts, left = which[more], starts[more] + 8, left[more] - 8
    for word in np.flatnonzero(lengths > _LONG_WORD):
        text = spans.content[spans.starts[word] : spans.ends[word]].tobytes()
        hashes[word] = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
    return hashes
