"""Words as mteval-v14c.pl splits texts for NIST and BLEU.

The caller of the script (`dstc/metrics.py` of microsoft/DialoGPT) puts a blank for each `&` and
`<`, which its XML could not hold; so does this module. What the script takes for a blank in decoded
text is what `str.split` takes for one, the no-break space and the ideographic one included.
"""

import re

import numpy as np

from dialogpt.evaluation.ngrams import Bytes, WordSpans, with_plain_blanks

_PLAIN, _ALONE, _BORDER = 0, 1, 2
"""What a byte is: of a word, a word of its own, between words."""

_XML_TO_BLANK = bytes.maketrans(b"&<", b"  ")
_LOWER = bytes(range(256)).lower()
_PUNCTUATION = b"""!"#$%()*+/:;=>?@[\\]^_`{|}~"""
_KINDS = bytes(
    _BORDER if byte in b" \n" else _ALONE if byte in _PUNCTUATION + b".," else _PLAIN
    for byte in range(256)
)
_IS_DIGIT = np.isin(np.arange(256), list(b"0123456789"))
_URL = re.compile(rb"(?<=[ \n])https?://[^ \n]*")


def split_for_mteval(texts: bytes) -> WordSpans:
    """Words of texts, lower-cased in ASCII, as the script has them without options.

    A token that begins with `http://` or `https://` stays whole, its case too. Elsewhere every
    punctuation of ASCII is a word of its own but `'`, but `-` that follows no digit, and but `.`
    or `,` between two digits. Of several `.` or `,` in a row the last stays with the digit behind
    it where the row has an even number of them, or, if a digit stands before it, an odd one: the
    script's patterns look at two characters at a time and never at one again ("a..5" is "a", ".",
    ".5").
    """
    spaced = with_plain_blanks(texts.translate(_XML_TO_BLANK)).tobytes()
    content = np.frombuffer(bytearray(spaced.translate(_LOWER)), np.uint8)
    kinds = np.frombuffer(bytearray(spaced.translate(_KINDS)), np.uint8)
    _keep_numbers_whole(content, kinds)
    if b"http" in spaced:
        for url in _URL.finditer(spaced):
            content[url.start() : url.end()] = np.frombuffer(url[0], np.uint8)
            kinds[url.start() : url.end()] = _PLAIN
    before, here = kinds[:-1], kinds[1:]
    border = (before | here) != _PLAIN
    starts = np.flatnonzero(border & (here != _BORDER)) + 1
    ends = np.flatnonzero(border & (before != _BORDER)) + 1
    return WordSpans(content=content, starts=starts, ends=ends)


def _keep_numbers_whole(content: Bytes, kinds: Bytes) -> None:
    """Mark `.` and `,` that stay with a digit as plain, and `-` behind a digit as alone."""
    marks = np.flatnonzero((content == ord(".")) | (content == ord(",")))
    begins = np.diff(marks, prepend=-1) != 1
    row_starts = np.maximum.accumulate(np.where(begins, marks, 0))
    is_odd = (marks - row_starts) % 2 == 0  # how many in a row up to this one
    follows_digit = _IS_DIGIT[content[row_starts - 1]]
    kept = _IS_DIGIT[content[marks + 1]] & (is_odd == follows_digit)
    kinds[marks[kept]] = _PLAIN
    dashes = np.flatnonzero(content == ord("-"))
    kinds[dashes[_IS_DIGIT[content[dashes - 1]]]] = _ALONE
