"""Which hypotheses may not be the reply: a phrase list, a classifier, or one's own filter.

None of this makes a model safe; docs/safety.md says what it does and what it misses.
"""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import torch

from dialogpt.command_line import UserError
from dialogpt.config.decoding import FilterConfig
from dialogpt.models.text_classifier import TextClassifier
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn

_logger = logging.getLogger(__name__)

# Scripts that put no blanks between words: Thai and Lao, Burmese, Khmer, kana, Han.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
# Default_Ignorable_Code_Point of Unicode, where the category does not say it (Cf): joiners of
# graphemes, fillers of Hangul and Khmer, selectors of how a character is drawn.
_NEVER_DRAWN = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Objection:
    """Why a text may not be said.

    Attributes:
        reason: what is counted, e.g. "phrase".
        detail: what exactly was found, e.g. the phrase.
    """

    reason: str
    detail: str


class CandidateFilter(Protocol):
    """Looks at the texts of hypotheses; pass one's own to `Responder`."""

    def objections(self, texts: Sequence[str]) -> Sequence[Objection | None]:
        """For each text why it may not be said, or None if it may."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FilteredHypothesis:
    """A hypothesis that may not be the reply.

    Attributes:
        hypothesis: with its scores.
        objection: of the first filter that had one.
    """

    hypothesis: Hypothesis
    objection: Objection


def sift(
    hypotheses: Sequence[Hypothesis], filters: Sequence[CandidateFilter], *, context_index: int
) -> tuple[list[Hypothesis], list[FilteredHypothesis]]:
    """The hypotheses that no filter objects to, and the others, both in the order they came in.

    Every hypothesis is looked at, not only the best: the others are shown too. What is dropped is
    logged. Where there is any filter, a hypothesis without readable text is dropped as "empty", so
    that it does not become the reply because all others went.

    Args:
        hypotheses: of one context, best first.
        filters: each is asked about what those before it let pass.
        context_index: for the log.
    """
    objections: dict[int, Objection] = {}
    if filters:
        blank = Objection(reason="empty", detail="no readable text")
        objections = {n: blank for n, h in enumerate(hypotheses) if not h.text}
    for one in filters:
        numbers = [n for n in range(len(hypotheses)) if n not in objections]
        answers = one.objections([hypotheses[n].text for n in numbers])
        for number, objection in zip(numbers, answers, strict=True):
            if objection is not None:
                objections[number] = objection
    dropped = []
    for number, objection in sorted(objections.items()):
        _logger.info(
            "context %d: candidate %d dropped (%s: %s): %r",
            context_index,
            number + 1,
            objection.reason,
            objection.detail,
            hypotheses[number].text,
        )
        dropped.append(FilteredHypothesis(hypothesis=hypotheses[number], objection=objection))
    return [h for n, h in enumerate(hypotheses) if n not in objections], dropped


class PhraseFilter:
    """Objects to texts that hold a phrase of a list as whole words.

    Compared are tokens: a run of letters, digits and their marks, or one other character. So the
    phrase "ass" is not found in "class", and "shut up" is found whatever blanks stand between. In
    scripts without blanks each letter is a token. Compatibility forms (NFKC: "ｉｄｉｏｔ"), case
    and invisible characters make no difference, nor does the form of an apostrophe.

    Args:
        phrases: each must hold a visible character. The cost of a text does not grow with their
            number: they are looked up by their first token.

    Raises:
        ValueError: a phrase holds nothing visible.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[list[str], str]]] = {}
        for phrase in phrases:
            tokens = _tokens(phrase)
            if not tokens:
                raise ValueError(f"phrase {phrase!r} holds nothing visible")
            self._by_first.setdefault(tokens[0], []).append((tokens, clean_turn(phrase)))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The phrases of a UTF-8 file, one a line; blank lines and those that start with # are not.

        Raises:
            UserError: the file is missing, is not UTF-8, holds no phrase, or a line of it nothing
                visible.
        """
        phrases = []
        for line_number, phrase in _lines(path):
            if not _tokens(phrase):
                raise UserError(
                    f"{path}:{line_number}: expected a phrase, found nothing visible; remove it"
                )
            phrases.append(phrase)
        if not phrases:
            raise UserError(
                f"{path}: expected a phrase a line, found none; name another --filter.phrases"
            )
        return cls(phrases)

    def objections(self, texts: Sequence[str]) -> list[Objection | None]:
        """For each text the first phrase in it, or None."""
        return [self._objection(text) for text in texts]

    def _objection(self, text: str) -> Objection | None:
        tokens = _tokens(text)
        for start, token in enumerate(tokens):
            for phrase_tokens, phrase in self._by_first.get(token, ()):
                if tokens[start : start + len(phrase_tokens)] == phrase_tokens:
                    return Objection(reason="phrase", detail=phrase)
        return None


def _tokens(text: str) -> list[str]:
    """Runs of letters, digits and marks, and single other visible characters, case-folded."""
    # Folding may undo the composition, and composing may make something to fold.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    tokens: list[str] = []
    goes_on = False
    for character in folded.replace("’", "'"):
        category = unicodedata.category(character)
        if category in ("Cc", "Cf") and not character.isspace():
            continue  # "id\u200diot" reads like "idiot"
        if _is_never_drawn(character):
            continue
        is_word = category[0] in "LMN" and not _is_unspaced(character)
        if is_word and goes_on:
            tokens[-1] += character
        elif not character.isspace():
            tokens.append(character)
        goes_on = is_word
    return tokens


def _is_never_drawn(character: str) -> bool:
    return character >= "\u034f" and any(a <= ord(character) <= b for a, b in _NEVER_DRAWN)


def _is_unspaced(character: str) -> bool:
    return character >= "\u0e00" and any(a <= ord(character) <= b for a, b in _UNSPACED)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and text of each line that is neither blank nor a comment."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise UserError(f"--filter.phrases {path}: expected a UTF-8 file, found {found}")
    for line_number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").removeprefix("\ufeff").strip()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}:{line_number}: expected UTF-8, found the byte "
                f"{line[error.start]:#04x}; save the file as UTF-8"
            ) from error
        if text and not text.startswith("#"):
            yield line_number, text


class ClassifierFilter:
    """Objects to texts that a classifier gives a label to.

    Args:
        classifier: gives the probability of its label.
        threshold: the least probability at which a text is dropped.
    """

    def __init__(self, classifier: TextClassifier, *, threshold: float) -> None:
        self._classifier = classifier
        self._threshold = threshold

    def objections(self, texts: Sequence[str]) -> list[Objection | None]:
        """For each text the label's probability, or None where it is below the threshold."""
        reason = f"classifier {self._classifier.label}"
        return [
            Objection(reason=reason, detail=f"{p:.4f}") if p >= self._threshold else None
            for p in self._classifier.probabilities(texts)
        ]


def build_filters(config: FilterConfig, device: torch.device) -> tuple[CandidateFilter, ...]:
    """The filters of a configuration, the cheap one first; none if it names none.

    Raises:
        UserError: the phrases or the classifier cannot be had.
    """
    filters: list[CandidateFilter] = []
    if config.phrases:
        filters.append(PhraseFilter.from_file(Path(config.phrases)))
    if config.classifier:
        classifier = TextClassifier.load(
            config.classifier, label=config.classifier_label, device=device
        )
        filters.append(ClassifierFilter(classifier, threshold=config.classifier_threshold))
    return tuple(filters)
