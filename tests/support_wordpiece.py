"""A small WordPiece vocabulary in the order of BERT's."""

import string

from dialogpt.wordpiece import BOU, CLS, EOU, MASK, PAD, SEP, UNK, WordPieceTokenizer

CONTROLS = (PAD, BOU, EOU, "[unused2]", UNK, CLS, SEP, MASK)
SINGLE = (
    string.ascii_letters + string.digits + string.punctuation + "\u2019\u2026\u4f60\u597d\u00e9"
)
WORDS = ["hello", "how", "are", "you", "do", "don", "doing", "it", "dog", "dogs", "we", "ll", "re"]
WORDS += ["ve", "mask", "un", "unused", "pad", "10", "50", "000"]
ENDINGS = ["##ing", "##used", "##00", "##ly", "##re"]
PIECES = (
    *CONTROLS,
    *SINGLE,
    *(f"##{c}" for c in string.ascii_letters + string.digits),
    *WORDS,
    *ENDINGS,
)


def wordpiece_tokenizer(*, lowercase: bool = True) -> WordPieceTokenizer:
    """Pieces for all of ASCII, a few words and a few characters beyond."""
    return WordPieceTokenizer(PIECES, lowercase=lowercase)
