r"""Reddit's markdown -> the text that its reader sees.

Every step is linear in the length of the text: the regular expressions are anchored, bounded or
possessive, and emphasis is paired with a stack, because a dump holds bodies made to break parsers.

Where Reddit's renderer would eat what the author meant, the author wins: `f**k`, `5*3*2`, `#1`,
`>_<` and `¯\_(ツ)_/¯` stay as typed.
"""

import re
from typing import NamedTuple

_MARKS = "\\`*_{}[]()#+-.!:|&<>^~"
# Literal characters hide in the private-use area while marks are dropped. Nothing is lost by that:
# `clean_turn` drops private-use characters, which no font shows, anyway.
_HIDE = {ord(mark): chr(0xE000 + ord(mark)) for mark in _MARKS}
_SHOW = {ord(hidden): chr(mark) for mark, hidden in _HIDE.items()}
_FOREIGN_HIDDEN = re.compile("[\ue000-\ue07f]")

# Without any of these a text holds no markdown, and six comments in ten stop here.
_ANY_MARK = re.compile(r"[*_~`#>\\^|\[]")
_LINE_MARK = re.compile(r"(?:^|\r)[ \t]*+[-+=]", re.MULTILINE)

_QUOTED_LINE = re.compile(
    r"^[ ]{0,3}(?:>|&(?:amp;)*+gt;)"  # a sign that the author escaped quotes as well
    r"(?!!)"  # ">!" opens a spoiler
    r"(?![._:;=,'~-]++(?:[()\[\]DPO3/\\|<]|&lt;)++(?!\S))"  # ">_<" and ">:(" are faces
    r".*+\n?",
    re.MULTILINE,
)
_CODE = re.compile(
    r"^```[^\n`]*+\n(?P<fenced>(?:(?!```).*+\n)*+)```[ \t]*+$"
    r"|(?:(?<=\n\n)|\A)(?P<indented>(?:(?:[ ]{4}|\t).*+(?:\n|\Z))++)"
    r"|(?<![\\`])(?P<ticks>`{1,2})(?!`)(?P<span>[^`\n]++)(?P=ticks)(?!`)",
    re.MULTILINE,
)
_SHRUG = re.compile(r"¯(\\{0,3})_(\([^()\s]{1,3}\))\\?_(\\?)/¯")
_FACE = re.compile(
    r"(?<![^\s(])(?:[*^>~;=.oO0TtuUxX-][_.]{1,5}[*^<~;=.oO0TtuUxX-]|\^[oOwv-]\^)(?![^\s).,!?;])"
)
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!:|&<>^~])")

_RULE = re.compile(
    r"^[ \t]*+(?:(?:\*[ \t]*+){3,}+|(?:-[ \t]*+){3,}+|(?:_[ \t]*+){3,}+|={3,}+[ \t]*+)$",
    re.MULTILINE,
)
_LINK_DEFINITION = re.compile(
    r"^[ ]{0,3}\[[^\[\]\n]++\]:[ \t]*+(?:https?://|www\.|[/#]).*+$", re.MULTILINE
)
_BULLET = re.compile(r"^[ \t]*+(?:[*+-](?:[ \t]++|(?=\n)))++(?=\s*+\S)", re.MULTILINE)
# "#1" and "#hashtag" are words; Reddit would make headings of them.
_HEADING = re.compile(
    r"^[ ]{0,3}(?:#{1,6}+(?:[ \t]++|(?=\n))(?=\s*+\S)|#{2,6}+(?=[^\s#])|#(?=[*_~]))", re.MULTILINE
)
_TABLE_RULE = re.compile(
    r"[ \t]*+\|?[ \t]*+(?::?-++:?[ \t]*+\|[ \t]*+)++(?::?-++:?[ \t]*+)?(?!.)", re.DOTALL
)

_PICTURE = re.compile(r"!\[(?:gif|img|emote|video)\]\([^()\s]*+\)")
_LINK = re.compile(
    r"\[((?:[^\[\]]++|\[[^\[\]]*+\])*+)\]"
    r"\([ \t]*+[^\s()]*+(?:\([^\s()]*+\)[^\s()]*+)*+"
    r"(?:\s++(?:\"[^\"\n]*+\"|'[^'\n]*+'))?+\s*+\)"
)
_SPOILER = re.compile(r">!((?:[^!>\n]++|!(?!<))++)!<")
# A caret between a base and its exponent ("2^10", "x^(2n)") is text, not small print.
_SMALL_PHRASE = re.compile(r"(?<![\w)\]}^])\^++\(((?:[^()]++|\([^()]*+\))*+)\)")
_SMALL_WORD = re.compile(r"(?<![^\s(\[\"'*_~])\^++(?=[^\W_]|[(/\[*])")
_SMALL_JOINED = re.compile(r"(?<=[^\s^])\^{2,}+(?=[^\W_])")

# Stressed letters inside a word, "hu*man*ity" or "**W**hat". One starred letter is left alone:
# "M*A*S*H" is a name. What is starred out, "f**k", has no partner within the word.
_STRESSED_LETTERS = re.compile(
    r"\*(?:(?<=[^\W\d_]\*)(?:([^\W\d_]{2,30})\*|\*([^\W\d_]{1,30})\*\*)(?![*\d_])"
    r"|(?<![\w*]\*)(?:([^\W\d_]{2,30})\*|\*([^\W\d_]{1,30})\*\*)(?=[^\W\d_]))"
)
_EMPHASIS_RUN = re.compile(r"\*+|_+|~~+")
_WORD_CHARACTER = re.compile(r"[^\W_]")


def has_marks(text: str) -> bool:
    """Whether any markdown can be in the text; the answer errs towards yes."""
    if _ANY_MARK.search(text):
        return True
    return ("-" in text or "+" in text or "=" in text) and _LINE_MARK.search(text) is not None


def strip_quotes(body: str) -> str:
    """The body without the lines that quote somebody ("> ..." or "&gt; ...")."""
    if ">" not in body and "gt;" not in body:
        return body
    return _QUOTED_LINE.sub("", body)


def hide_literals(text: str) -> str:
    """The text with code, escaped marks and faces safe from `reduce_marks`, until shown again."""
    if not text.isascii():
        text = _FOREIGN_HIDDEN.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "`" in text or "    " in text or "\t" in text:
        text = _CODE.sub(_hidden_code, text)
    if "¯" in text:
        text = _SHRUG.sub(_hidden_shrug, text)
    if "\\" in text:
        text = _ESCAPED.sub(lambda match: match[1].translate(_HIDE), text)
    return _FACE.sub(lambda match: match[0].translate(_HIDE), text)


def show_literals(text: str) -> str:
    """The text with what `hide_literals` hid."""
    return text if text.isascii() else text.translate(_SHOW)


def reduce_marks(text: str) -> str:
    """The text without the marks of links, emphasis, lists, headings, tables and the like.

    Numbers of ordered lists stay, because a reader sees them. Reference links ("[text][1]") stay
    as typed: without brackets their label would be noise.
    """
    text = _RULE.sub("", text)
    if "|" in text:
        text = _without_tables(text)
    text = _BULLET.sub("", text)
    if "#" in text:
        text = _HEADING.sub("", text)
    if "[" in text:
        text = _LINK_DEFINITION.sub("", text)
        text = _PICTURE.sub(" ", text)
        text = _LINK.sub(r"\1", _LINK.sub(r"\1", text))  # twice: a link may hold a link
    if ">!" in text:
        text = _SPOILER.sub(r"\1", text)
    if "^" in text:
        text = _without_superscripts(text)
    if "*" in text or "_" in text or "~~" in text:
        text = _without_emphasis(_STRESSED_LETTERS.sub(r"\1\2\3\4", text))
    return text


def _hidden_code(match: re.Match[str]) -> str:
    code: str = match["fenced"] or match["indented"] or match["span"] or ""
    return code.translate(_HIDE)


def _hidden_shrug(match: re.Match[str]) -> str:
    # Markdown eats one or two of the backslashes that make the left arm; the figure has one.
    arm = "\\" if match[1] else ""
    return f"¯{arm}_{match[2]}_{match[3]}/¯".translate(_HIDE)


def _without_tables(text: str) -> str:
    """Tables as their cells with blanks between; a "|" outside a table stays."""
    lines = text.split("\n")
    row_numbers: set[int] = set()
    for number, line in enumerate(lines):
        if number in row_numbers or "|" not in line or not _TABLE_RULE.match(line):
            continue
        row_numbers.add(number - 1)
        lines[number] = ""
        row = number + 1
        while row < len(lines) and "|" in lines[row]:
            row_numbers.add(row)
            row += 1
    for number in row_numbers:
        if number >= 0:
            lines[number] = lines[number].replace("|", " ")
    return "\n".join(lines)


def _without_superscripts(text: str) -> str:
    text = _SMALL_PHRASE.sub(r"\1", _SMALL_PHRASE.sub(r"\1", text))  # twice: they nest
    text = _SMALL_WORD.sub("", text)
    return _SMALL_JOINED.sub(" ", text)


class _Span(NamedTuple):
    """Emphasis marks: text[start:end]."""

    start: int
    end: int


def _without_emphasis(text: str) -> str:
    """The text without paired `*`, `_` and `~~`.

    The rules are CommonMark's, with three differences: each kind of mark has its own stack, marks
    between two letters or digits are text, and so is a pair with no letter or digit within.
    """
    openers: dict[str, list[_Span]] = {"*": [], "_": [], "~": []}
    dropped: list[_Span] = []
    previous_end = last_wordy_gap = 0
    for run in _EMPHASIS_RUN.finditer(text):
        start, end = run.span()
        # Runs are the only borders of openers, so one look at each gap tells whether anything
        # readable stands between an opener and this run.
        if _WORD_CHARACTER.search(text, previous_end, start):
            last_wordy_gap = previous_end
        previous_end = end
        stack = openers[text[start]]
        opens, closes = _flanks(text, start, end)
        while closes and stack and start < end:
            opener = stack.pop()
            if last_wordy_gap < opener.end:
                continue
            length = min(opener.end - opener.start, end - start)
            dropped.append(_Span(opener.end - length, opener.end))
            dropped.append(_Span(start, start + length))
            start += length
            if opener.start < opener.end - length:
                stack.append(_Span(opener.start, opener.end - length))
        if opens and start < end:
            stack.append(_Span(start, end))
    return _without_spans(text, dropped)


def _flanks(text: str, start: int, end: int) -> tuple[bool, bool]:
    """Whether the run text[start:end] can open, and can close, emphasis."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if before.isalnum() and after.isalnum():
        strikes = text[start] == "~"
        return strikes, strikes
    opens = not after.isspace() and (after.isalnum() or not before.isalnum())
    closes = not before.isspace() and (before.isalnum() or not after.isalnum())
    return opens, closes


def _without_spans(text: str, spans: list[_Span]) -> str:
    if not spans:
        return text
    pieces = []
    position = 0
    for start, end in sorted(spans):
        pieces.append(text[position:start])
        position = end
    pieces.append(text[position:])
    return "".join(pieces)
