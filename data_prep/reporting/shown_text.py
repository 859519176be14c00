"""User text as it can be shown: no invisible character acts, no length breaks the page.

A text becomes pieces. What a reader would not see (directions, zero widths, controls, halves of
surrogates) becomes a piece that names it, so that it neither hides nor turns round what follows;
markup is no concern here, as the template escapes every piece.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, TypeAlias

Span: TypeAlias = tuple[int, int]
"""Start and end of a part of a text."""

_JOINERS = frozenset("\u200c\u200d")  # of scripts and emoji; texts of dialogues keep them
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_MOST_ACCENTS = 2  # on one letter
# Characters:
_BEFORE_HIT = 160  # shown before what is marked, if it comes late
_NOT_WORTH_A_GAP = 60
_BLANK_WITHIN = 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes:
        text: what to show.
        kind: "plain"; "hit", to be marked; "hidden", the name of what cannot be seen; "gap", how
            much is left out.
    """

    text: str
    kind: Literal["plain", "hit", "hidden", "gap"] = "plain"


def pieces_of(
    text: str, hits: Sequence[Span] = (), *, most: int = 600, has_lines: bool = False
) -> list[Piece]:
    """A text, cut to what a page can hold.

    Args:
        text: anything.
        hits: parts to mark.
        most: about so many characters to show; those around the first hit, if it comes late.
        has_lines: whether ends of lines and tabs act; otherwise they are named like all that
            cannot be seen.
    """
    start, end = _window(text, min((first for first, _ in hits), default=0), most)
    pieces = [_gap(start)] if start else []
    borders = sorted({start, end, *(min(max(p, start), end) for hit in hits for p in hit)})
    for begin, stop in pairwise(borders):
        is_hit = any(first <= begin and stop <= last for first, last in hits)
        pieces += _visible(text[begin:stop], is_hit=is_hit, acting="\n\t" if has_lines else "")
    return [*pieces, *([_gap(len(text) - end)] if end < len(text) else [])]


def _window(text: str, first_hit: int, most: int) -> Span:
    """Which part to show: from the beginning, or from shortly before the first hit."""
    start = first_hit - _BEFORE_HIT if first_hit > most - _BEFORE_HIT else 0
    start = 0 if start < _NOT_WORTH_A_GAP else _after_blank(text, start)
    if len(text) - start <= most + _NOT_WORTH_A_GAP:
        return start, len(text)
    return start, max(_after_blank(text, start + most - _BLANK_WITHIN), first_hit)


def _after_blank(text: str, place: int) -> int:
    """Where the next word begins, if that is near; else the place itself."""
    blank = text.find(" ", place, place + _BLANK_WITHIN)
    return place if blank < 0 else blank + 1


def plain(text: str, most: int = 200) -> str:
    """A name or the like as one string, with what cannot be seen named in it."""
    shown = {"hidden": "‹{}›", "gap": "…"}
    return "".join(
        shown.get(piece.kind, "{}").format(piece.text) for piece in pieces_of(text, most=most)
    )


def _gap(number: int) -> Piece:
    return Piece(f" … {number:,} more characters … ", "gap")


def _visible(text: str, *, is_hit: bool, acting: str) -> Iterator[Piece]:
    for hidden, characters in groupby(
        text, key=lambda c: "" if c in acting else _name_if_hidden(c)
    ):
        part = "".join(characters)
        if hidden:
            yield Piece(f"{hidden} ×{len(part):,}" if len(part) > 1 else hidden, "hidden")
        else:
            yield Piece(_without_heaps(part), "hit" if is_hit else "plain")


def _name_if_hidden(character: str) -> str:
    """U+202E for a character that cannot be seen, "" for others."""
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return ""
    return f"U+{ord(character):04X}"


def _without_heaps(text: str) -> str:
    """The text without accents beyond a few on one letter, which would cover other lines."""
    if text.isascii():
        return text
    kept = []
    num_accents = 0
    for character in text:
        is_accent = unicodedata.category(character) in ("Mn", "Me")
        num_accents = num_accents + 1 if is_accent else 0
        if num_accents <= _MOST_ACCENTS:
            kept.append(character)
    return "".join(kept)
