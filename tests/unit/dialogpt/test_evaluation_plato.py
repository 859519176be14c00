"""PLATO's own numbers: golden values, NLTK's own formula at its old rule, quirks."""

import json
import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.command_line import UserError
from dialogpt.evaluation.measure import Chunk
from dialogpt.evaluation.plato_scores import (
    KnowledgeMeasure,
    PlatoBleuMeasure,
    plato_bleu,
    plato_text,
    read_stop_words,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics" / "plato"
PAIRS = json.loads((GOLDEN / "input.json").read_text(encoding="utf-8"))
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=9)


def chunk(pairs: list[dict]) -> Chunk:
    return Chunk(
        systems=[[pair["hyp"] for pair in pairs]],
        references=[[pair["ref"], "not this one"] for pair in pairs],
        contexts=[[] for _ in pairs],
        knowledge=[pair["knowledge"] for pair in pairs],
    )


def test_bleu_is_that_of_nltk_3_4() -> None:
    for pair, expected in zip(PAIRS, EXPECTED["nltk 3.4"]["per_pair"], strict=True):
        scores = plato_bleu(pair["hyp"].split(" "), pair["ref"].split(" "))
        assert scores == pytest.approx(expected, abs=1e-6)
    measure = PlatoBleuMeasure()
    measure.add(chunk(PAIRS[:3]))
    measure.add(chunk(PAIRS[3:]))
    (metrics,) = measure.results()
    assert metrics.names == ("BLEU-1 (PLATO)", "BLEU-2 (PLATO)")
    assert metrics.values() == pytest.approx(EXPECTED["nltk 3.4"]["mean"], abs=1e-6)


def plain_bleu(hypothesis: list[str], reference: list[str]) -> tuple[float, float]:
    """Chen and Cherry's methods 4 and 5 in turn on all four orders, with exact fractions."""

    def precision(n: int) -> Fraction:
        counts, there = (
            Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
            for words in (hypothesis, reference)
        )
        return Fraction((counts & there).total(), max(1, counts.total()))

    exact = [precision(n) for n in range(1, 6)]
    try:
        if not exact[0]:
            return 0.0, 0.0
        smoothed = [
            float(p) if p else 1 / (i + 5 / math.log(len(hypothesis)))
            for i, p in enumerate(exact[:4])
        ]
    except ZeroDivisionError:
        return 0.0, 0.0
    beyond = [*smoothed, float(exact[4])]
    last = smoothed[0] + 1
    averages = []
    for i in range(4):
        last = (last + beyond[i] + beyond[i + 1]) / 3
        averages.append(last)
    brevity = 1.0
    if len(hypothesis) <= len(reference):
        brevity = math.exp(1 - len(reference) / len(hypothesis))
    return brevity * averages[0], brevity * (averages[0] * averages[1]) ** 0.5


@settings(max_examples=150, deadline=None)
@given(WORDS, WORDS)
def test_bleu_is_the_plain_formula(hypothesis: list[str], reference: list[str]) -> None:
    expected = plain_bleu(hypothesis, reference)
    assert plato_bleu(hypothesis, reference) == pytest.approx(expected, abs=1e-12)


def test_a_copy_scores_four_thirds_and_one_word_nothing() -> None:
    words = ["so", "it", "goes", "on", "and", "on"]
    assert plato_bleu(words, words) == pytest.approx((4 / 3, math.sqrt(4 / 3 * (4 / 3 + 2) / 3)))
    assert plato_bleu(["so"], ["so"]) == (0.0, 0.0)
    assert plato_bleu([], ["so"]) == plato_bleu([""], [""]) == (0.0, 0.0)


def test_two_blanks_hold_a_token() -> None:
    measure = PlatoBleuMeasure()
    measure.add(chunk([{"hyp": "a  b", "ref": "a b", "knowledge": []}]))
    expected = plato_bleu(["a", "", "b"], ["a", "b"])
    assert measure.results()[0].values() == pytest.approx(expected)
    assert expected[0] != pytest.approx(plato_bleu(["a", "b"], ["a", "b"])[0])


@pytest.mark.parametrize(
    ("apart", "joined"),
    [
        ("i do n't know , it 's all i 've", "i don't know , it's all i've"),
        ("i ' m here - you ' re not", "i'm here-you're not"),
        ("i do not know . do not", "i don't know . don't"),
        ("don ' t", "don't"),
        ("so  what ", "so  what "),
    ],
)
def test_contractions_are_joined(apart: str, joined: str) -> None:
    assert plato_text(apart) == joined


def test_knowledge_is_that_of_the_script() -> None:
    stop_words = read_stop_words(GOLDEN / "stop.txt")
    assert len(stop_words) == 16
    expected = EXPECTED["knowledge R P F1"]
    for pair, scores in zip(PAIRS, expected["per_pair"], strict=True):
        single = KnowledgeMeasure(stop_words)
        single.add(chunk([pair]))
        assert single.results()[0].values() == pytest.approx(scores, abs=1e-6)
    measure = KnowledgeMeasure(stop_words)
    measure.add(chunk(PAIRS[:5]))
    measure.add(chunk(PAIRS[5:]))
    assert measure.results()[0].values() == pytest.approx(expected["mean"], abs=1e-6)
    assert measure.note == "16 stop words left out"


def test_segments_without_knowledge_count_for_nothing() -> None:
    measure = KnowledgeMeasure()
    assert measure.note == "no list of stop words"
    pairs = [
        {"hyp": "a b", "ref": "x", "knowledge": ["a", "c d"]},
        {"hyp": "a b", "ref": "x", "knowledge": []},
    ]
    measure.add(chunk(pairs))
    assert measure.results()[0].values() == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    nothing = KnowledgeMeasure()
    nothing.add(chunk(pairs[1:]))
    assert np.isnan(nothing.results()[0].values()).all()


def test_a_stop_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "stop.txt"
    with pytest.raises(UserError, match="expected a file of stop words, found nothing"):
        read_stop_words(path)
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(UserError, match="found the byte 0xff at byte 3"):
        read_stop_words(path)
    path.write_bytes("\ufeffthe\r\n\n i'm \n".encode())
    assert read_stop_words(path) == {"the", "i'm"}
