r"""Text -> tokens as NLTK's TweetTokenizer cut it in 2018, in lower case.

The hashes of DSTC-7 stand for tokenized text, so one token cut otherwise loses an instance, and
with it all that answer it. NLTK came to use another library of regular expressions, for which marks
on letters are part of words and "½" is not: of the 327,745 real bodies at hand, 3.10.4 cuts 205
otherwise than 3.3 and 3.4.1, which agree on all. So the rules of 2018 stand here, with the standard
library; what did not change, the long expressions for addresses and faces, is NLTK's own.
"""

import html.entities
import re
from dataclasses import dataclass

from dialogpt.command_line import UserError

_OTHERS = (
    # In the order in which they are tried, after addresses of the web and before words.
    r"(?:(?:\+?[01][\ *\-.)]*)?(?:\(?\d{3}[\ *\-.)]*)?\d{3}[\ *\-.)]*\d{4})",  # phone numbers
    "FACES",
    r"<[^>\s]+>",  # HTML
    r"-+>|<-+",  # arrows
    r"@\w+",  # users
    r"\#+\w+[\w'\-]*\w+",  # topics
    r"[\w.+-]+@[\w-]+\.(?:[\w-]\.?)+[\w-]",  # addresses of mail
    r"[^\W\d_](?:[^\W\d_]|['\-_])+[^\W\d_]",  # words: don't, well-known
    r"[+\-]?\d+[,/.:-]\d+[+\-]?",  # 3.14, 1/2, 12:30
    r"\w+",
    r"\.(?:\s*\.)+",  # dots
    r"\S",
)
_FLAGS = re.VERBOSE | re.IGNORECASE
_LATER_FACE = "</?3"
_RUN_IN_ADDRESS = r"[^\s()<>{}\[\]]"
_LONG_RUN = re.compile(r"([^a-zA-Z0-9])\1{3,}")
_ENTITY = re.compile(r"&(#?(x?))([^&;\s]+);")
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class ChallengeTokenizer:
    """Cuts text as the code of the challenge did.

    Attributes:
        token: the expression for one token.
        face: that for faces like ":-D", which keep their case.
    """

    token: re.Pattern[str]
    face: re.Pattern[str]

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text; blanks are in none, but between dots and in phone numbers."""
        text = _LONG_RUN.sub(r"\1\1\1", _ENTITY.sub(_character, text))
        search = self.face.search
        return [
            token if search(token) else token.lower()
            for token in (match[0] for match in self.token.finditer(text))
        ]


def challenge_tokenizer() -> ChallengeTokenizer:
    """The tokenizer.

    Raises:
        UserError: NLTK is not installed, or is one that keeps its expressions elsewhere.
    """
    try:
        # Here, because nothing else in data preparation needs it, and it takes a second.
        from nltk.tokenize.casual import EMOTICONS, URLS
    except ImportError as error:
        raise UserError(
            f"the hashes of DSTC-7 are made with NLTK's TweetTokenizer, which cannot be had "
            f"({error}); pip install 'nltk>=3.8'"
        ) from error
    faces = EMOTICONS.replace(_LATER_FACE, "<3")
    # A run of runs: it finds the same as a run, but may take forever to find nothing.
    addresses = URLS.replace(f"{_RUN_IN_ADDRESS}+", _RUN_IN_ADDRESS)
    parts = [addresses, *(faces if part == "FACES" else part for part in _OTHERS)]
    return ChallengeTokenizer(re.compile("|".join(parts), _FLAGS), re.compile(faces, _FLAGS))


def _character(entity: re.Match[str]) -> str:
    """What an HTML entity stands for; nothing, where it stands for none.

    An "x" at the beginning is taken for that of a number, with or without "#": &xi; is lost.
    """
    name = entity[3]
    if not entity[1]:
        number = html.entities.name2codepoint.get(name)
        return "" if number is None else chr(number)
    try:
        number = int(name, 16 if entity[2] else 10)
        if 0x80 <= number <= 0x9F:  # as browsers read them
            return bytes([number]).decode("cp1252")
        return "" if number in _SURROGATES else chr(number)
    except (ValueError, OverflowError):
        return ""
