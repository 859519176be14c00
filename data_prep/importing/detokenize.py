"""Tokenised English, with blanks around punctuation, as text that people write.

DailyDialog, Persona-Chat and DSTC7-AVSD are published in this form; users type the other one. The
rules were made on these data. The Moses detokenizer (sacremoses) does as well on punctuation, but
leaves the " ’ s" and "I ’ Ve" of DailyDialog, in one turn of ten, as they are.
"""

import re
from collections.abc import Callable
from re import Match

_APOSTROPHES = "['’‘′`]"
_CLITICS = "s|m|d|ll|re|ve|t|nt|all|clock"
_SPLIT_CLITIC = re.compile(rf"(?<=\w) ?{_APOSTROPHES} ({_CLITICS})\b", re.IGNORECASE)
_ATTACHED_CLITIC = re.compile(rf"(?<=\w) {_APOSTROPHES}({_CLITICS})\b", re.IGNORECASE)
_NEGATION = re.compile(rf"(?<=\w) n{_APOSTROPHES}t\b", re.IGNORECASE)
_NAME_OR_TITLE = re.compile(rf"\b(O|[Mm]a) {_APOSTROPHES} (?=[A-Z]|am\b)")
_SINGLE_QUOTE = re.compile(rf"(?:(?<=\s)|^){_APOSTROPHES}(?=\s|$)")
_DOUBLE_QUOTE = re.compile(r'(?:(?<=\s)|^)"(?=\s|$)')
_GLUED_SENTENCES = re.compile(r"(?<=[^\W\d_]{2})([.?!])(?=[A-Z])")

_REPLACEMENTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("。"), ". "),
    (re.compile("、"), ", "),
    # Numbers: 7 , 500 and 39 . 99 and 8 : 30 and 20 %; no year, no telephone number.
    (re.compile(r"(?<![\d.,-])(\d{1,3}) , (\d{3})(?![\d-])"), r"\1,\2"),
    (re.compile(r"(?<=\d) ([.:]) (?=\d)"), r"\1"),
    (re.compile(r"(?<=\d) (?=%)"), ""),
    (re.compile(r"([$£¥€]) (?=\d)"), r"\1"),
    # he / she, L / C
    (re.compile(r"(?<=\w) / (?=\w)"), "/"),
    # Brackets and directed quotation marks.
    (re.compile(r"([(\[“]) +"), r"\1"),
    (re.compile(r" +([)\]”])"), r"\1"),
    # What closes a word or a sentence; several in a row belong together: ! ! and . . .
    (re.compile(r" +([.,!?;:]+)(?=[\s.,!?;:)\]”\"'’]|$)"), r"\1"),
)


def detokenize(text: str) -> str:
    """The text with its blanks where a writer of English puts them.

    Only blanks move, but for these: the apostrophe of a contraction becomes "'", its ending loses a
    capital that stands alone (You ’ Ve -> You've), sentences that stand against one another get a
    blank between them (right.But -> right. But), and a Chinese full stop or comma becomes an
    English one.

    Args:
        text: tokens with blanks between them; written text mostly stays as it is.
    """
    text = " ".join(text.split())
    text = _NAME_OR_TITLE.sub(r"\1'", text)
    for pattern in (_SPLIT_CLITIC, _ATTACHED_CLITIC):
        text = pattern.sub(_joined_clitic, text)
    text = _NEGATION.sub("n't", text)
    text = _pair(text, _DOUBLE_QUOTE, _no_possessive)
    text = _pair(text, _SINGLE_QUOTE, _possessive)
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return " ".join(_GLUED_SENTENCES.sub(r"\1 ", text).split())


def _joined_clitic(found: Match[str]) -> str:
    ending = found[1]
    # "You ’ Ve", but "IT ’ S".
    is_shouted = ending.isupper() and found.string[: found.start()][-2:].isupper()
    return "'" + (ending if is_shouted else ending.lower())


def _pair(text: str, mark: re.Pattern[str], alone: Callable[[str, int], str]) -> str:
    """Join quotation marks that stand alone to what they enclose, if every one has a partner."""
    places = [found.start() for found in mark.finditer(text)]
    if len(places) == 1:
        return alone(text, places[0])
    if len(places) % 2:
        return text
    for first, second in reversed(list(zip(places[::2], places[1::2], strict=True))):
        inside = text[first + 1 : second].strip()
        text = f"{text[:first]}{text[first]}{inside}{text[second]}{text[second + 1 :]}"
    return text


def _no_possessive(text: str, _place: int) -> str:
    return text


def _possessive(text: str, place: int) -> str:
    """Five minutes ' walk."""
    return text[: place - 1] + text[place:] if text[:place].endswith("s ") else text
