"""MSCOCO's BLEU, ROUGE-L and CIDEr-D: golden values, and plain formulas written anew."""

import json
import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialogpt.evaluation import cider, tallies
from dialogpt.evaluation.cider import CiderMeasure
from dialogpt.evaluation.coco import CocoBleuMeasure, RougeLMeasure
from dialogpt.evaluation.measure import Chunk, Measure, SummedMetrics

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics" / "coco"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
WAYS = [
    ("PLATO way (no PTB tokeniser, split on blanks)", "input.json"),
    ("MSCOCO way (PTBTokenizer, punctuation removed)", "ptb_tokens.json"),
]
MEASURES = (CocoBleuMeasure, RougeLMeasure, CiderMeasure)

Segments = Sequence[tuple[str, Sequence[str]]]
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", "é"]), max_size=8).map(" ".join)
SEGMENTS = st.lists(
    st.tuples(TEXTS | st.sampled_from(["a  b", " a"]), st.lists(TEXTS, min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)


def golden(file: str) -> Segments:
    found = json.loads((GOLDEN / file).read_text(encoding="utf-8"))
    return [(value["hyp"], value["refs"]) for value in found.values()]


def chunk(segments: Segments, *others: Sequence[str]) -> Chunk:
    nothing: list[list[str]] = [[] for _ in segments]
    return Chunk(
        systems=[[text for text, _ in segments], *others],
        references=[texts for _, texts in segments],
        contexts=nothing,
        knowledge=nothing,
    )


def measured(measure: Measure, segments: Segments, *, size: int = 3) -> SummedMetrics:
    for start in range(0, len(segments), size):
        measure.add(chunk(segments[start : start + size]))
    (metrics,) = measure.results()
    assert isinstance(metrics, SummedMetrics)
    return metrics


@pytest.mark.parametrize(("way", "file"), WAYS)
def test_the_golden_values(way: str, file: str) -> None:
    expected, segments = EXPECTED[way], golden(file)
    bleu = measured(CocoBleuMeasure(), segments)
    assert bleu.values() == pytest.approx(expected["Bleu"], abs=1e-6)
    for measure, name in [(RougeLMeasure(), "ROUGE_L"), (CiderMeasure(), "CIDEr")]:
        metrics = measured(measure, segments)
        assert metrics.values() == pytest.approx([expected[name]], abs=1e-6)
        each = metrics.formula(metrics.sums)[:, 0]
        assert each == pytest.approx(expected[f"{name} per segment"], abs=1e-6)


def ngrams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def plain_bleu(segments: Segments) -> list[float]:
    matches, totals = [0] * 4, [0] * 4
    length = closest = 0
    for text, references in segments:
        own = len(text.split())
        length += own
        closest += min((abs(len(r.split()) - own), len(r.split())) for r in references)[1]
        for n in range(1, 5):
            most: Counter[tuple[str, ...]] = Counter()
            for reference in references:
                most |= ngrams(reference, n)
            matches[n - 1] += (ngrams(text, n) & most).total()
            totals[n - 1] += ngrams(text, n).total()
    brevity = min(1.0, math.exp(1 - (closest + 1e-9) / (length + 1e-15))) if length else 0.0
    precisions = [(m + 1e-15) / (t + 1e-9) for m, t in zip(matches, totals, strict=True)]
    return [brevity * math.prod(precisions[:n]) ** (1 / n) for n in range(1, 5)]


def plain_rouge(text: str, references: Sequence[str]) -> float:
    def longest(a: list[str], b: list[str]) -> int:
        table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                inner = table[i][j] + 1 if x == y else 0
                table[i + 1][j + 1] = max(inner, table[i][j + 1], table[i + 1][j])
        return table[-1][-1]

    words = text.split(" ")
    common = [(longest(words, r.split(" ")), len(r.split(" "))) for r in references]
    p = max(n for n, _ in common) / len(words)
    r = max(n / length for n, length in common)
    return (1 + 1.44) * p * r / (r + 1.44 * p) if p else 0.0


def plain_cider(segments: Segments) -> list[float]:
    documents: Counter[tuple[str, ...]] = Counter()
    for _, references in segments:
        documents.update({g for r in references for n in range(1, 5) for g in ngrams(r, n)})

    def vector(text: str, n: int) -> dict[tuple[str, ...], float]:
        return {
            g: count * math.log(len(segments) / max(1, documents[g]))
            for g, count in ngrams(text, n).items()
        }

    scores = []
    for text, references in segments:
        score = 0.0
        for reference in references:
            difference = ngrams(text, 2).total() - ngrams(reference, 2).total()
            for n in range(1, 5):
                here, there = vector(text, n), vector(reference, n)
                norms = math.hypot(*here.values()) * math.hypot(*there.values())
                if norms:
                    product = sum(
                        min(w, there.get(g, 0)) * there.get(g, 0) for g, w in here.items()
                    )
                    score += product / norms * math.exp(-(difference**2) / 72)
        scores.append(10 * score / 4 / len(references))
    return scores


@settings(max_examples=60, deadline=None)
@given(SEGMENTS)
@example([("x", ["y"]), ("", ["", "z"])])
@example([("a b", ["a b", "a b", "a b"]), ("a", ["a"]), ("", ["b"]), ("b c", ["d"])])
def test_all_three_are_the_plain_formulas(segments: Segments) -> None:
    bleu = measured(CocoBleuMeasure(), segments)
    assert bleu.values() == pytest.approx(plain_bleu(segments), abs=1e-9)
    rouge = measured(RougeLMeasure(), segments)
    expected = [plain_rouge(*segment) for segment in segments]
    assert rouge.formula(rouge.sums)[:, 0] == pytest.approx(expected, abs=1e-12)
    scores = measured(CiderMeasure(), segments)
    each = scores.formula(scores.sums)[:, 0]
    assert each == pytest.approx(plain_cider(segments), abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_systems_do_not_touch_one_another_and_order_does_not_matter(measure: type) -> None:
    segments = [*golden("input.json"), *golden("ptb_tokens.json")]
    shuffled = segments.copy()
    random.Random(1).shuffle(shuffled)
    alone = measured(measure(), segments).values()
    together = measure()
    together.add(chunk(segments, [texts[0] for _, texts in segments]))
    first, copies = together.results()
    assert first.values() == pytest.approx(alone, abs=1e-12)
    assert measured(measure(), shuffled).values() == pytest.approx(alone, abs=1e-12)
    assert (copies.values() > first.values()).all()


def test_a_copy_of_a_reference_scores_all_there_is() -> None:
    segments = [(texts[1], texts) for _, texts in golden("input.json")]
    assert measured(CocoBleuMeasure(), segments).values() == pytest.approx([1.0] * 4)
    assert measured(RougeLMeasure(), segments).values() == pytest.approx([1.0])
    only = [(texts[1], [texts[1]]) for _, texts in golden("input.json")]
    assert plain_cider(only) == pytest.approx([10.0] * 6)
    assert measured(CiderMeasure(), only).values() == pytest.approx([10.0])


def test_replies_without_words_are_scored() -> None:
    segments = [("", ["a b c d e"]), ("a b c d e", ["a b c d e"])]
    bleu = measured(CocoBleuMeasure(), segments).values()
    assert bleu == pytest.approx([math.exp(1 - 10 / 5)] * 4)
    assert measured(RougeLMeasure(), segments).values() == pytest.approx([0.5])
    assert np.isfinite(measured(CiderMeasure(), segments).values()).all()
    assert measured(CocoBleuMeasure(), segments[:1]).values() == pytest.approx([0.0] * 4)


def test_pieces_of_a_chunk_are_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    segments = golden("input.json")
    whole = [measured(measure(), segments, size=6).sums for measure in MEASURES]
    monkeypatch.setattr(tallies, "_SEGMENTS_AT_ONCE", 4)
    monkeypatch.setattr(cider, "_HELD_BYTES", 100)  # the rest goes to a file
    for measure, sums in zip(MEASURES, whole, strict=True):
        assert measured(measure(), segments, size=6).sums == pytest.approx(sums)
