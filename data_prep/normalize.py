"""A Reddit comment's body -> the text of a turn, and what the filters must know of the body.

The text is natural: case, punctuation, accents, emoji and `b/c` stay, so that a model reads in
training what users type later. `dialogpt.text.clean_turn`, which chat and decoding share, has the
last word; only what is particular to Reddit stands here and in `data_prep.reddit_markdown`.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from html.entities import html5

from data_prep.config import TextConfig
from data_prep.reddit_markdown import (
    has_marks,
    hide_literals,
    reduce_marks,
    show_literals,
    strip_quotes,
)
from dialogpt.text import clean_turn

TURN_DROPS = ("removed", "empty", "quote")
"""Why a comment cannot be a turn."""

_REMOVED = re.compile(
    r"\s*+\\?\[\s*+(?:deleted|removed)(?:\s++(?:by|in response)\b[^\[\]]{0,80}+)?"
    r"[\s.]*+\\?\][\s.]*+",
    re.IGNORECASE,
)
# What stands before the path of an address without a scheme. A name alone, "Amazon.com", is a word
# of the language; and "it.is/was" must not pass for an address, so top-level domains are listed.
# Marks of emphasis may stand before an address ("_www.x.com_"), so "_" counts as a border.
_ADDRESS = re.compile(
    r"(?:https?|ftp)://\S"
    r"|(?<![^\W_])www\.\w"
    r"|\]\([ \t]*+[^\s()]"
    r"|(?<=[a-z0-9])\.(?:com|org|net|edu|gov|info|io|tv|ly|gl|fm|uk|de|ca|au|eu|fr|nl|jp|ru)"
    r"(?::\d{2,5})?/"
    r"|(?<![^\W_])(?:youtu\.be|redd\.it|t\.co)/",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:amp;)*(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


@dataclass(frozen=True, slots=True)
class TurnText:
    """What one comment says.

    Attributes:
        text: one line of natural text; "" if there is a drop_reason.
        has_url: whether the body, without its quotes, or the text holds an address.
        has_markup: whether the body, without its quotes, or the text holds "[" or "]".
        drop_reason: why the comment cannot be a turn, "removed", "quote" or "empty"; or None.
    """

    text: str
    has_url: bool
    has_markup: bool
    drop_reason: str | None


_REMOVED_TURN = TurnText("", has_url=False, has_markup=False, drop_reason="removed")
_QUOTING_TURN = TurnText("", has_url=False, has_markup=False, drop_reason="quote")


def turn_text(body: str, config: TextConfig) -> TurnText:
    r"""The turn that a comment's body makes.

    Any string is taken: lone surrogates and control characters are dropped. Given its own text
    again it changes nothing, unless that text has marks on show: what an author escaped ("\*",
    "&amp;lt;b"), put in code or nested wrongly. Of real comments that is 1 in 2,000.

    Args:
        body: as dumps hold it: Reddit's markdown with &, < and > escaped.
        config: which steps to take.
    """
    if _REMOVED.fullmatch(body):
        return _REMOVED_TURN
    kept = strip_quotes(body)
    if config.quotes == "drop" and kept != body:
        return _QUOTING_TURN
    visible = _without_dump_escapes(kept)
    text = clean_turn(_plain_text(visible if config.unescape_entities else kept, config))
    # The text as well: an author may spell "[" as "&#91;", and "www.x" as "www\\.x".
    has_url = contains_url(visible) or contains_url(text)
    has_markup = any(mark in written for written in (visible, text) for mark in "[]")
    if not _is_readable(text):
        return TurnText("", has_url=has_url, has_markup=has_markup, drop_reason="empty")
    return TurnText(text, has_url=has_url, has_markup=has_markup, drop_reason=None)


def contains_url(text: str) -> bool:
    """Whether the text holds an address: a scheme, "www.", a link's target, or a host and a path.

    "show/hide", "a.m." and "Amazon.com" are none; "imgur.com/a1b2" is.
    """
    # Most comments hold none of these, and a search for a letter is a hundred times faster.
    if "/" not in text and "](" not in text and "www." not in text.lower():
        return False
    return _ADDRESS.search(text) is not None


def _without_dump_escapes(body: str) -> str:
    """The markdown as its author typed it: Reddit's API escapes &, < and >, and nothing else."""
    if "&" not in body:
        return body
    return body.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain_text(text: str, config: TextConfig) -> str:
    is_markdown = config.reduce_markdown and has_marks(text)
    if is_markdown:
        text = reduce_marks(hide_literals(text))
    if config.unescape_entities and "&" in text:
        # After markdown: an author writes &gt; or &#42; to show the character, not to mark up.
        text = _ENTITY.sub(_character, text)
    return show_literals(text) if is_markdown else text


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    if name.startswith("#") or f"{name};" in html5:
        return html.unescape(f"&{name};")
    return entity[0]


def _is_readable(text: str) -> bool:
    """Whether there is more than blanks, joiners and accents without a letter."""
    if text.isascii():
        return bool(text)
    return any(unicodedata.category(character)[0] in "LNPS" for character in text)
