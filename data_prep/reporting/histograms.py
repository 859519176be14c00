"""The histograms of the page, with what is to be said of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_prep.reporting.distribution import Distribution
from data_prep.reporting.drawing import Drawing, Drawn
from data_prep.reporting.formats import percent
from data_prep.reporting.histogram import Limit, draw_histogram
from data_prep.reporting.overview import Overview
from data_prep.reporting.texts import TextStatistics

_TOKEN_LIMITS = (
    Limit(128, "128: public DialoGPT code"),
    Limit(256, "256: our recipes"),
    Limit(1024, "1,024: positions of GPT-2"),
)
"""Lengths that models are trained at."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """A distribution with its figure.

    Attributes:
        title: what is counted.
        distribution: the numbers.
        drawn: its figure.
        remarks: sentences below it.
    """

    title: str
    distribution: Distribution
    drawn: Drawn
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    title: str
    unit: str
    distribution: Distribution
    remarks: Sequence[str] = ()
    limits: Sequence[Limit] = ()
    outer: float = 0.005


def histograms(
    drawing: Drawing, overview: Overview, texts: TextStatistics, *, tokenizer: str, max_words: int
) -> list[Histogram]:
    """Those of which there is something to show.

    Args:
        drawing: draws them.
        overview: of all dialogues.
        texts: of those whose text was read.
        tokenizer: whose tokens were counted.
        max_words: the limit of the filter; 0 if there is none.
    """
    plans = [*_about_dialogues(overview), *_about_texts(texts, tokenizer, max_words)]
    return [
        Histogram(
            plan.title,
            plan.distribution,
            draw_histogram(
                drawing,
                plan.name,
                plan.distribution,
                title=plan.title,
                unit=plan.unit,
                limits=plan.limits,
                outer=plan.outer,
            ),
            plan.remarks,
        )
        for plan in plans
        if plan.distribution.total
    ]


def _about_dialogues(overview: Overview) -> Iterator[_Plan]:
    yield _Plan("turns", "Turns of a dialogue", "turns", overview.num_turns)
    yield _Plan(
        "speakers",
        "Speakers of a dialogue",
        "different known voices",
        overview.num_speakers,
        list(_speaker_remarks(overview)),
    )
    if overview.scores.least or overview.scores.greatest:
        # A few reach thousands, and nearly all are about 1.
        yield _Plan("scores", "Score of the last turn", "score", overview.scores, outer=0.02)


def _speaker_remarks(overview: Overview) -> Iterator[str]:
    if overview.num_unknown_speakers:
        share = percent(overview.num_unknown_speakers / overview.num_turns.sum)
        yield (
            f"Of {overview.num_unknown_speakers:,} turns ({share}) the speaker is not known: the "
            "account is deleted, say."
        )


def _about_texts(texts: TextStatistics, tokenizer: str, max_words: int) -> Iterator[_Plan]:
    sampled = [_sampled(texts.num_rows)] if texts.is_sample else []
    yield _Plan("words_per_turn", "Words of a turn", "words", texts.turn_words, sampled)
    yield _Plan(
        "words_per_dialogue",
        "Words of a dialogue",
        "words, all turns together",
        texts.dialogue_words,
        sampled,
        [Limit(max_words, f"{max_words:,}: the filter’s limit")] if max_words else [],
    )
    yield _Plan(
        "tokens_per_dialogue",
        f"Tokens of a dialogue ({tokenizer})",
        "tokens, one at the end of each turn included",
        texts.dialogue_tokens,
        list(_token_remarks(texts)),
        _TOKEN_LIMITS,
    )
    if texts.num_knowledge.greatest:
        yield _Plan(
            "knowledge", "Sentences of knowledge", "sentences", texts.num_knowledge, sampled
        )


def _token_remarks(texts: TextStatistics) -> Iterator[str]:
    tokens = texts.dialogue_tokens
    if tokens.total < texts.num_all_rows:
        yield _sampled(tokens.total)
    longer = [
        f"{percent(tokens.share_above(limit.number))} more than {limit.number:,}"
        for limit in _TOKEN_LIMITS
    ]
    yield (
        f"{longer[0]}, {longer[1]}, {longer[2]}. Training with such a max_seq_len loses the oldest "
        "turns of longer ones."
    )


def _sampled(num_dialogues: int) -> str:
    return f"A sample of {num_dialogues:,} dialogues."
