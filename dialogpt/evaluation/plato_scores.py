"""BLEU-1/2 and Knowledge R/P/F1 as the scripts of PLATO have them.

Bao et al. 2020, "PLATO: Pre-trained Dialogue Generation Model with Discrete Latent Variable",
arXiv:1910.07931.

None of them is what the name says elsewhere, so their names say whose they are.
"""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from pathlib import Path

import numpy as np

from dialogpt.command_line import UserError
from dialogpt.copying import ngrams
from dialogpt.evaluation.means import MeanMeasure
from dialogpt.evaluation.measure import Chunk

_JOINS = (
    (" - ", "-"),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
_NUM_ORDERS = 3
"""BLEU-2 needs one order more than two, because of method 5."""


def plato_text(text: str) -> str:
    """A tokenized text with its contractions joined again, as PLATO decodes word pieces.

    "do not" becomes "don't" as well, behind a blank. All other blanks stay.
    """
    for apart, joined in _JOINS:
        text = text.replace(apart, joined)
    return text


class PlatoBleuMeasure(MeanMeasure):
    """BLEU-1 and BLEU-2 of each sentence against its first reference, averaged over sentences.

    Texts are split at each single blank, so that two in a row hold a token "". See `plato_bleu`.
    """

    names = ("BLEU-1 (PLATO)", "BLEU-2 (PLATO)")

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        references = [_ngram_counts(texts[0].split(" ")) for texts in chunk.references]
        for means, hypotheses in self._by_system(chunk):
            rows = [
                _smoothed_bleu(_ngram_counts(text.split(" ")), reference)
                for text, reference in zip(hypotheses, references, strict=True)
            ]
            means.add(np.array(rows).reshape(-1, 2))


def plato_bleu(hypothesis: Sequence[str], reference: Sequence[str]) -> tuple[float, float]:
    """BLEU-1 and BLEU-2 of one sentence as NLTK up to 3.4.5 smooths them with method 7.

    Method 7 (Chen and Cherry 2014, "A Systematic Comparison of Smoothing Techniques for
    Sentence-Level BLEU") is method 4, then method 5. Method 4, in NLTK's rule of that time: the
    precision of an order without a match is 1 / (i + 5 / ln(length)), with i = 0 for one token.
    Method 5: each precision, the first one on, becomes the average of the smoothed one before it
    (for the first: 1 + itself), itself, and that of the next order. So a copy scores 4/3, and
    BLEU-1 depends on pairs of tokens.

    Returns:
        (0, 0) if no token matches, or where NLTK divides by 0: a hypothesis of one token.
    """
    return _smoothed_bleu(_ngram_counts(hypothesis), _ngram_counts(reference))


_Counts = tuple[int, list[Counter[tuple[Hashable, ...]]]]


def _ngram_counts(tokens: Sequence[str]) -> _Counts:
    """How many tokens, and the counts of n-grams for n = 1 to 3."""
    return len(tokens), [Counter(ngrams(tokens, n)) for n in range(1, _NUM_ORDERS + 1)]


def _smoothed_bleu(hypothesis: _Counts, reference: _Counts) -> tuple[float, float]:
    length, counts = hypothesis
    reference_length, reference_counts = reference
    matches = [
        sum(min(count, there[ngram]) for ngram, count in here.items() if ngram in there)
        for here, there in zip(counts, reference_counts, strict=True)
    ]
    if not matches[0] or length < 2:
        return 0.0, 0.0
    first, second, third = (
        match / max(1, length - order) if match else 1 / (order + 5 / math.log(length))
        for order, match in enumerate(matches)
    )
    smoothed_first = (1 + first + first + second) / 3
    smoothed_second = (smoothed_first + second + third) / 3
    brevity = min(1.0, math.exp(1 - reference_length / length))
    return brevity * smoothed_first, brevity * math.sqrt(smoothed_first * smoothed_second)


def read_stop_words(path: Path) -> frozenset[str]:
    """The words of a UTF-8 file, one a line; blank lines are none.

    Raises:
        UserError: it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"{path}: expected a file of stop words, found nothing; name one that is there, or none"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: expected a UTF-8 file of stop words, found the byte "
            f"0x{error.object[error.start]:02x} at byte {error.start + 1}; save it as UTF-8"
        ) from error
    return frozenset(word for line in lines if (word := line.strip()))


class KnowledgeMeasure(MeanMeasure):
    """How much of the knowledge the replies name, and how much of them is knowledge.

    Of each segment, K and H are the sets of blank-separated words of all knowledge sentences and of
    the hypothesis, both without stop words; recall is |K & H| / |K|, precision |K & H| / |H|, F1
    their harmonic mean; all are 0 where nothing is in both. Averaged over all segments that come
    with knowledge, so F1 is not that of the other two numbers. PLATO's list has 284 words, among
    them favorite and work; without a list, words such as "i" and "." count as knowledge.

    Args:
        stop_words: what counts for nothing.
    """

    names = ("Knowledge R", "Knowledge P", "Knowledge F1")

    def __init__(self, stop_words: Collection[str] = ()) -> None:
        self._stop_words = frozenset(stop_words)
        super().__init__()

    @property
    def note(self) -> str:
        """What one must know about the numbers, for whoever prints them."""
        number = len(self._stop_words)
        return f"{number} stop words left out" if number else "no list of stop words"

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        knowledge = [self._words(" ".join(sentences)) for sentences in chunk.knowledge]
        known = np.array([len(sentences) > 0 for sentences in chunk.knowledge], np.bool_)
        defined = np.repeat(known[:, None], 3, axis=1)
        for means, hypotheses in self._by_system(chunk):
            rows = [
                _overlap(self._words(text), words)
                for text, words in zip(hypotheses, knowledge, strict=True)
            ]
            means.add(np.array(rows).reshape(-1, 3), defined)

    def _words(self, text: str) -> set[str]:
        return set(text.split()) - self._stop_words


def _overlap(words: set[str], knowledge: set[str]) -> tuple[float, float, float]:
    """Recall, precision, F1."""
    both = len(words & knowledge)
    if not both:
        return 0.0, 0.0, 0.0
    recall, precision = both / len(knowledge), both / len(words)
    return recall, precision, 2 * recall * precision / (recall + precision)
