"""A WordPiece vocabulary from texts, so that PLATO can be trained without BERT's files."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, pre_tokenizers, trainers

from dialogpt.command_line import UserError
from dialogpt.wordpiece import (
    BOU,
    CLS,
    CONTINUATION,
    EOU,
    LONGEST_WORD,
    MASK,
    PAD,
    SEP,
    UNK,
    WordPieceTokenizer,
    bert_words,
)

FIRST_PIECES = (PAD, BOU, EOU, UNK, CLS, SEP, MASK)
"""Control tokens; padding is 0, as in BERT's vocabulary."""
_MOST_CHARACTERS = 1000
"""Rarer ones than these become [UNK]; the value of BERT's trainer in `tokenizers`."""
_LEAST_PAIRS = 2
"""A piece that is joined only once would stand for one word of one text."""
_WORDS_A_TEXT = 1000
_TEXTS_AT_ONCE = 64


def train_wordpiece(texts: Iterable[str], folder: Path, *, vocab_size: int) -> None:
    """Train an uncased WordPiece vocabulary on texts and save it as a tokenizer folder.

    The same texts, in any order, give the same vocabulary: the trainer breaks ties by ids, and
    numbers continuations of words in the order in which it happens upon them, unless it is told.

    Raises:
        UserError: the texts hold too little for so many pieces, or too many characters for so few.
    """
    words = _word_counts(texts)
    first = [*FIRST_PIECES, *_characters(words)]
    if len(first) > vocab_size:
        raise UserError(
            f"expected a piece for each character of the text, found {vocab_size} pieces for "
            f"{len(first)}; give --vocab_size {len(first)} or more"
        )
    known = set(first)
    kept = {word: count for word, count in words.items() if known.issuperset(word)}
    fast = FastTokenizer(models.WordPiece(unk_token=UNK, continuing_subword_prefix=CONTINUATION))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=_LEAST_PAIRS,
        special_tokens=first,
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    fast.train_from_iterator(_repeated(kept), trainer)
    ids = fast.get_vocab(with_added_tokens=False)
    if len(ids) < vocab_size:
        raise UserError(
            f"expected text for a vocabulary of {vocab_size} pieces, found enough for {len(ids)}; "
            f"give --vocab_size {len(ids)} or less, or more text"
        )
    WordPieceTokenizer(sorted(ids, key=lambda piece: ids[piece])).save(folder)


def _word_counts(texts: Iterable[str]) -> Counter[str]:
    """How often each word stands in the texts; those that are too long for a piece left out."""
    counts: Counter[str] = Counter()
    rest = iter(texts)
    while some := list(islice(rest, _TEXTS_AT_ONCE)):
        counts.update(bert_words(" ".join(some)))
    for word in [word for word in counts if len(word) > LONGEST_WORD]:
        del counts[word]
    return counts


def _characters(words: Counter[str]) -> list[str]:
    """The pieces of one character: the frequent ones, then those that go on with a word."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    kept = set(ranked[:_MOST_CHARACTERS])
    inner = {character for word in words for character in word[1:]}
    return [*sorted(kept), *(CONTINUATION + character for character in sorted(inner & kept))]


def _repeated(words: dict[str, int]) -> Iterator[str]:
    """Texts with each word as often as it was counted."""
    for word, count in sorted(words.items()):
        for start in range(0, count, _WORDS_A_TEXT):
            yield " ".join([word] * min(_WORDS_A_TEXT, count - start))
