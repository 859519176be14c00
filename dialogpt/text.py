"""The one normaliser that extraction, training data and generation share.

Models learn the text that users type: case and punctuation stay, only what no reader can see goes.
What is particular to Reddit (entities, markdown, quotes) is `data_prep.normalize`, and runs before.
"""

import unicodedata
from hashlib import blake2b

TEXT_RULES = "natural-1"
"""Name of the rules below. It is stored with shards and checkpoints; change it with the rules."""

# Control (Cc), format (Cf), surrogate (Cs), private-use (Co) characters: invisible or not text. The
# zero-width joiner and the variation selectors stay, because emoji are made of them.
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co"})
_KEPT_FORMAT_CHARACTERS = frozenset({"\u200c", "\u200d"})


def clean_turn(text: str) -> str:
    """One line of NFC text with single blanks and without invisible characters.

    Applying it twice changes nothing. An answer of "" means that nothing readable was there.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = " ".join(text.split())  # three times as fast as a regular expression
    if not text.isprintable():
        text = "".join(
            character
            for character in text
            if character in _KEPT_FORMAT_CHARACTERS
            or unicodedata.category(character) not in _DROPPED_CATEGORIES
        )
        # Dropping a character may bring two blanks, or a letter and its accent, together.
        text = " ".join(unicodedata.normalize("NFC", text).split())
    return text


def record_key(record_id: str) -> int:
    """A stable 64-bit key for a comment or thread id: the same on every machine and run.

    Two of n ids collide with probability of about n**2 / 2**65: 3e-4 for 100 million.
    """
    digest = blake2b(record_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
