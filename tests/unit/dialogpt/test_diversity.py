"""Entropy, distinct n-grams and length: published and recorded values, and a plain computation."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_mteval import (
    EXPECTED,
    GOLDEN,
    chunk_of,
    golden_lines,
    in_pieces,
    measured,
    named,
    plain_diversity,
    texts,
)

from dialogpt.evaluation.diversity import (
    MOST_LEFT_OUT,
    DiversityMeasure,
    LengthMeasure,
    PlatoDistinctMeasure,
    ReplyDiversityMeasure,
)

ORDERS = (1, 2, 3, 4)
hypotheses = st.lists(texts, min_size=1, max_size=12)


def diversity(replies: list[str]) -> list[float]:
    (metrics,) = measured(DiversityMeasure(1), chunk_of([replies]))
    return metrics.values().tolist()


@pytest.mark.parametrize("kind", ["raw", "clean"])
def test_the_recorded_numbers(kind: str) -> None:
    chunk = chunk_of([golden_lines(f"hyp_{kind}.txt")])
    (metrics,) = measured(DiversityMeasure(1), chunk)
    found, expected = named(metrics), EXPECTED[kind]
    assert [found[f"Entropy-{n}"] for n in ORDERS] == pytest.approx(expected["entropy"], abs=1e-6)
    assert [found[f"Dist-{n}"] for n in (1, 2)] == pytest.approx(expected["distinct"], abs=1e-6)
    (length,) = measured(LengthMeasure(1), chunk)
    assert named(length)["Avg len"] == pytest.approx(expected["avg_len"], abs=1e-12)


def test_the_published_numbers_of_a_constant_reply() -> None:
    path = GOLDEN / "diversity_published.json"
    (published,) = (
        value["published"]
        for key, value in json.loads(path.read_text(encoding="utf-8")).items()
        if key.startswith("constant-baseline")
    )
    chunk = chunk_of([["i do n't know what you mean ."] * published["n"]])
    (metrics,) = measured(DiversityMeasure(1), chunk)
    found = named(metrics)
    entropies = [found[f"Entropy-{n}"] for n in ORDERS]
    assert entropies == pytest.approx(published["entropy"], abs=1e-12)
    assert [found[f"Dist-{n}"] for n in (1, 2)] == pytest.approx(published["div"], abs=1e-15)
    (length,) = measured(LengthMeasure(1), chunk)
    assert named(length)["Avg len"] == published["avg_len"]


@settings(max_examples=30, deadline=None)
@given(first=hypotheses, data=st.data())
def test_equals_the_plain_computation_in_any_chunks_and_on_disk(
    first: list[str], data: st.DataObject
) -> None:
    second = data.draw(st.permutations(first).map(lambda some: [*some[1:], "a new one"]))
    sizes = data.draw(st.lists(st.integers(0, 4), max_size=3))
    measure = DiversityMeasure(2, most_rows=4)
    results = measured(measure, *in_pieces(chunk_of([first, second]), *sizes))
    for metrics, replies in zip(results, (first, second), strict=True):
        np.testing.assert_allclose(metrics.values(), plain_diversity(replies), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(metrics.values(), diversity(replies), rtol=1e-9, atol=1e-9)


def test_values_without_a_group_are_those_of_the_other_segments() -> None:
    draw = np.random.default_rng(0)
    for number in (5, 150):
        replies = [" ".join(draw.choice(list("abcdefgh"), 6)) for _ in range(number)]
        chunks = in_pieces(chunk_of([replies]), 3, 40)
        (metrics,) = measured(DiversityMeasure(1, most_rows=50), *chunks)
        num_groups = min(number, MOST_LEFT_OUT)
        assert len(metrics.left_out) == num_groups
        for group, found in enumerate(metrics.left_out):
            others = [r for i, r in enumerate(replies) if i % MOST_LEFT_OUT != group]
            np.testing.assert_allclose(found, plain_diversity(others), rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(replies=hypotheses, data=st.data())
def test_the_order_of_segments_does_not_matter(replies: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(replies))
    np.testing.assert_allclose(diversity(shuffled), diversity(replies), rtol=1e-9, atol=1e-9)


def test_what_has_no_ngrams_has_no_diversity() -> None:
    found = diversity(["", "a", "b"])
    assert found[0] == pytest.approx(math.log(2))
    assert found[4] == 1.0
    assert np.isnan(found).tolist() == [False, True, True, True] * 2
    assert np.isnan(diversity([])).all()
    (length,) = measured(LengthMeasure(1), chunk_of([["", "a", " a\u00a0b  c "]]))
    assert named(length)["Avg len"] == pytest.approx(4 / 3)
    assert np.isnan(measured(LengthMeasure(1))[0].values()).all()


def test_platos_formula_and_its_empty_words() -> None:
    # What the release's own script gives for these.
    replies = [
        "i have two dogs and a cat , what about you ?",
        "i love to read books about history .",
        "hi",
        "that is great ! i am a teacher at a small school .",
        "pizza is my favorite food .",
        "blue green red",
        "i work as a nurse in the city",
        "",
    ]
    (metrics,) = measured(PlatoDistinctMeasure(1), chunk_of([replies]))
    assert metrics.values() == pytest.approx([0.807692, 1.0], abs=1e-6)
    # "a", "" and "b"; then "" alone.
    (metrics,) = measured(PlatoDistinctMeasure(1), chunk_of([["a  b", ""]]))
    expected_values = [(3 + 1e-12) / (4 + 1e-5), (2 + 1e-12) / (2 + 1e-5)]
    assert metrics.values() == pytest.approx(expected_values, abs=1e-15)
    assert metrics.left_out[0] == pytest.approx([(1 + 1e-12) / (1 + 1e-5), 1e-12 / 1e-5])


@settings(max_examples=30, deadline=None)
@given(replies=hypotheses)
def test_diversity_per_reply_is_the_mean_over_replies_that_have_ngrams(replies: list[str]) -> None:
    (metrics,) = measured(ReplyDiversityMeasure(1), *in_pieces(chunk_of([replies]), 2))
    found = named(metrics)
    for order in ORDERS:
        each = [plain_diversity([reply])[3 + order] for reply in replies]
        known = [share for share in each if not math.isnan(share)]
        expected = sum(known) / len(known) if known else math.nan
        assert found[f"Dist-{order} per reply"] == pytest.approx(expected, nan_ok=True)
