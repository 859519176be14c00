r"""DialoGPT's clean_str: text -> lower-cased tokens between blanks, as its DSTC-7 table was made.

The rules are those of `dstc/tokenizers.py` in microsoft/DialoGPT:

1. Lower case. In each blank-separated word, "http" and all behind it become " __url__".
2. A Markdown link, `[x] ( __url__ )`, becomes x. This works with these very blanks only.
3. Each character but A-Z, a-z, 0-9, and `():,.!?"'` becomes a blank; not so `__url__`.
4. NLTK's TweetTokenizer(preserve_case=False) cuts the rest.
5. The token won't becomes "will n't", can't "can n't"; then 's 'm 're n't 'll 've 'd 'em at the end
   of a token become tokens.
6. Runs of blanks become one.

Two quirks are kept. Of won't won't (or can't can't) in a row only every second one is found by
rule 5, because they share a blank. A text may hold "__url__" as typed, which rule 3 takes for a
mark.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nltk.tokenize import TweetTokenizer

_URL = "__url__"
_LINK_END = re.compile(r"\] \( *__url__ *\)")
_OTHER = re.compile(r"""[^A-Za-z0-9():,.!?"']""")
_BLANKS = re.compile(r"\s+")
_ENDINGS = ("'s", "'m", "'re", "n't", "'ll", "'ve", "'d", "'em")

# Where a rule may look over a blank, in lower-cased text.
_LOOKS_OVER_BLANK = re.compile(
    # A telephone number: digits, blanks or what becomes one, dots and brackets, digits.
    r"""[0-9][^a-z0-9:,!?"'\s]*\s[^a-z0-9:,!?"']*[0-9]"""
    r"""|(won't|can't)[^a-z0-9():,.!?"']+\1"""  # tokens in a row that share a blank
    r"""|\]\s+\("""  # a Markdown link
)
_MOST_WORDS = 1 << 17
_LONGEST_WORD = 32


class _CleanWords(dict[str, str]):
    """Word -> its clean form. Words are kept while they are short and not too many: about 20 MB."""

    def __missing__(self, word: str) -> str:
        result = clean_at_once(word)
        if len(word) <= _LONGEST_WORD:
            if len(self) >= _MOST_WORDS:
                self.clear()
            self[word] = result
        return result


_clean_words = _CleanWords()


def clean_str(text: str) -> str:
    """What DialoGPT's function of this name gives: lower-cased tokens with a blank between them.

    The words of a text are cleaned one by one, each once: no rule looks over a blank but three, and
    where one of these might, the text is cleaned at once. Spaced dots are the tokenizer's only
    other token with blanks in it, and rule 6 makes the same of them and of the dots as tokens.
    """
    text = text.lower()
    if _LOOKS_OVER_BLANK.search(text):
        return clean_at_once(text)
    return " ".join(filter(None, map(_clean_words.__getitem__, text.split())))


def clean_at_once(text: str) -> str:
    """The same, rule by rule: what `clean_str` is compared with."""
    words = []
    for word in text.lower().split():
        before, http, _ = word.partition("http")
        words.append(f"{before} {_URL}".strip() if http else word)
    text = _without_links(" ".join(words))
    # Nothing else is in upper case by now.
    text = _OTHER.sub(" ", text.replace(_URL, "URL")).replace("URL", _URL)
    text = f" {' '.join(_tokenizer().tokenize(text))} "
    text = text.replace(" won't ", " will n't ").replace(" can't ", " can n't ")
    for ending in _ENDINGS:
        text = text.replace(f"{ending} ", f" {ending} ")
    return _BLANKS.sub(" ", text).strip()


def _without_links(text: str) -> str:
    r"""What stands in "[...] ( __url__ )" instead of the whole.

    The same as substituting \[([^\]]*)\] \( *__url__ *\), which takes hours on a long line of "[".
    """
    parts, done = [], 0
    for end in _LINK_END.finditer(text):
        after_last = max(done, text.rfind("]", done, end.start()) + 1)
        start = text.find("[", after_last, end.start())
        if start >= 0:
            parts += [text[done:start], text[start + 1 : end.start()]]
            done = end.end()
    return "".join([*parts, text[done:]])


@cache
def _tokenizer() -> "TweetTokenizer":
    # Here, because it takes a second, and most that import this module need it not at all.
    from nltk.tokenize import TweetTokenizer

    return TweetTokenizer(preserve_case=False)
