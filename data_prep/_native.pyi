from collections.abc import Sequence
from typing import Any, TypeAlias

Texts: TypeAlias = tuple[bytes, bytes]
"""A column of n strings: n + 1 int64 offsets, and UTF-8."""

def posts_of_lines(
    lines: bytes, fields: Sequence[tuple[bytes, int, bytes, int, int, bool]], /
) -> tuple[int, list[bytes | tuple[bytes, bytes, bytes]], bytes]:
    """The posts of some lines of JSON.

    Args:
        lines: whole lines; only the last may lack its end.
        fields: a tuple of `Field.native`.

    Returns:
        num_rows: the lines that were read.
        columns: one a field: int64 values, or (offsets, text, is_there) with one byte a row that is
            0 for nulls.
        refused: int64 (lines, 4): number from 0 of each line that was not read, the rows before it,
            and where it starts and ends.
    """

def turns_of_bodies(offsets: Any, text: Any, only_text: bool, /) -> tuple[Texts, bytes]:
    """The turns of n bodies, where that takes little knowledge of markdown.

    Args:
        offsets: n + 1 int64.
        text: UTF-8.
        only_text: leave all bodies with quotes, emphasis or escapes to `turn_text`.

    Returns:
        turns: as `turn_text` makes them; "" where the body is left to it.
        facts: (n,) uint8, sums of 1 (the turn is made), 2 (an address), 4 (a bracket), 8 (a body
            that only says it was deleted or removed; it has no turn).
    """

def words_of_texts(
    offsets: Any, text: Any, frequent: bytes, /
) -> tuple[Texts, bytes, bytes, bytes]:
    """What the rules on responses want to know of n turns.

    Args:
        offsets: n + 1 int64.
        text: UTF-8, single blanks.
        frequent: words in lower case, each with a line break behind it.

    Returns:
        words: as `words_of` finds them, with a blank between two.
        longest_runs: (n,) int32, the most times that a word stands in a row.
        has_frequent: (n,) uint8, whether one of the words is frequent.
        is_read: (n,) uint8; where it is 0 the text is left to `words_of`.
    """

def trigrams_of_words(offsets: Any, text: Any, /) -> tuple[Texts, bytes, bytes]:
    """The runs of three words of n texts.

    Args:
        offsets: n + 1 int64.
        text: words with a blank between two, as `words_of_texts` gives them.

    Returns:
        trigrams: those of the first text, then those of the second, and so on.
        counts: (n,) int64, how many each text has.
        checksums: uint32, CRC-32 of each trigram.
    """

def reference_comments(
    links: tuple[Any, Any],
    parents: tuple[Any, Any],
    authors: tuple[Any, Any],
    bodies: tuple[Any, Any],
    max_words: int,
    /,
) -> tuple[bytes, bytes, bytes, Texts, bytes]:
    """Which of n comments the public code of DialoGPT keeps.

    Args:
        links: column link_id: n + 1 int64 offsets and UTF-8; an empty string stands for null.
        parents: likewise.
        authors: likewise.
        bodies: likewise.
        max_words: bodies of more words are left out.

    Returns:
        codes: (n,) uint8, 0 or why the comment is dropped: see `reference.posts.EXTRACT_DROPS`.
        links, parents: int64, of the k comments that stay.
        bodies: of these.
        is_there: (k,) uint8, 0 where the body was left out.
    """

def reference_turns(offsets: Any, text: Any, /) -> tuple[Texts, bytes, bytes, bytes]:
    """The turns of n bodies as the public code of DialoGPT writes them.

    Args:
        offsets: n + 1 int64.
        text: UTF-8.

    Returns:
        turns: as `reference.text.turn_of` makes them; "" where the body is left to it.
        num_tokens: (n,) int32.
        longest_tokens: (n,) int32, characters of the longest token.
        facts: (n,) uint8, see `reference.text.TurnTokens`; 0 where the body is left to it.
    """

def rows_of_pairs(known_firsts: Any, known_seconds: Any, firsts: Any, seconds: Any, /) -> bytes:
    """The row of each wanted pair of int64 numbers among n known ones.

    Args:
        known_firsts: (n,).
        known_seconds: (n,) of equal pairs the last row counts.
        firsts: (m,).
        seconds: (m,).

    Returns:
        (m,) int64, -1 where there is none.

    Raises:
        MemoryError: there is not enough, or n is 2 ** 30 or more.
    """
