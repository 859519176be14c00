"""NIST and BLEU: the script's own numbers, and a plain computation of the same."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_mteval import (
    EXPECTED,
    chunk_of,
    corpora,
    golden_lines,
    in_pieces,
    measured,
    mteval_words,
    named,
    plain_mteval,
)

from dialogpt.command_line import UserError
from dialogpt.evaluation import measure, mteval
from dialogpt.evaluation.measure import Chunk
from dialogpt.evaluation.mteval import MtevalMeasure, scores
from dialogpt.evaluation.mteval_words import split_for_mteval

KINDS = {
    "raw": ("hyp_raw.txt", "ref0_raw.txt", "ref1_raw.txt", "ref2_raw.txt"),
    "clean": ("hyp_clean.txt", "ref0_clean.txt", "ref1_clean.txt", "ref2_clean.txt"),
    "zero token": ("zero_hyp.txt", "zero_ref0.txt", "zero_ref1.txt"),
    "clean, ref2 given twice (dstc.py slot filling)": (
        *("hyp_clean.txt", "ref0_clean.txt", "ref1_clean.txt", "ref2_clean.txt", "ref2_clean.txt"),
    ),
}


def values_of(chunk: Chunk) -> list[list[float]]:
    results = measured(MtevalMeasure(len(chunk.systems)), chunk)
    return [metrics.values().tolist() for metrics in results]


@pytest.mark.parametrize("kind", KINDS)
def test_the_scripts_own_numbers(kind: str) -> None:
    hypotheses, *references = map(golden_lines, KINDS[kind])
    chunk = chunk_of([hypotheses], list(zip(*references, strict=True)))
    (metrics,) = measured(MtevalMeasure(1, individual=True), chunk)
    found = named(metrics)
    checked = 0
    for key, name in (("mteval_v14c", "{}-{}"), ("mteval_v14c_individual", "{}-{} alone")):
        for metric, values in EXPECTED[kind].get(key, {}).items():
            for order, value in enumerate(values, start=1):
                name_found = name.format(metric.upper(), order)
                assert found[name_found] == pytest.approx(value, abs=6e-5), name_found
                checked += 1
    assert checked >= 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't go-there!", "don't go-there !"),
        ("1,999.50, 3.", "1,999.50 , 3 ."),
        (".5 a.5 5.a", ". 5 a . 5 5 . a"),
        ("a..5 1..5 1...5", "a . .5 1 . . 5 1 . . .5"),
        ("5-6 a-6 5--6", "5 - 6 a-6 5 - -6"),
        ("__url__ ...", "_ _ url _ _ . . ."),
        ("http://X.y/Z HTTP://X (http://X", "http://X.y/Z http : / / x ( http : / / x"),
        ("R&D x<y", "r d x y"),
        ("ÄÉ Ünd", "ÄÉ Ünd"),  # lower case only in ASCII
        ("a\u00a0b\u3000c\u2028d\u0085e\x0bf", "a b c d e f"),
        ("a\u200bb 漢字。", "a\u200bb 漢字。"),
        ("  ", ""),
    ],
)
def test_words_are_the_scripts(text: str, words: str) -> None:
    assert " ".join(words_found(text)) == words
    assert mteval_words(text) == words.split()


@settings(max_examples=60)
@given(text=st.text(alphabet="aB09.,.,--' \t&<!é漢\u00a0\u2009_", max_size=30))
def test_words_are_those_of_the_scripts_patterns(text: str) -> None:
    assert words_found(text) == mteval_words(text)


def words_found(text: str) -> list[str]:
    spans = split_for_mteval(f"\n{text}\n".encode())
    content = spans.content.tobytes()
    return [content[a:b].decode() for a, b in zip(spans.starts, spans.ends, strict=True)]


@settings(max_examples=30, deadline=None)
@given(chunk=corpora(), sizes=st.lists(st.integers(0, 4), max_size=3))
def test_equals_the_plain_computation_in_any_chunks_and_on_disk(
    chunk: Chunk, sizes: list[int]
) -> None:
    on_disk = MtevalMeasure(len(chunk.systems), most_rows=4)
    results = measured(on_disk, *in_pieces(chunk, *sizes))
    for metrics, hypotheses in zip(results, chunk.systems, strict=True):
        expected = plain_mteval(hypotheses, chunk.references)
        np.testing.assert_allclose(metrics.values(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(values_of(chunk), [m.values() for m in results], rtol=1e-12)


def test_more_segments_than_groups_and_than_are_worked_on_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mteval, "_SEGMENTS_AT_ONCE", 16)
    for module in (mteval, measure):
        monkeypatch.setattr(module, "MOST_GROUPS", 50)
    draw = random.Random(0)

    def text() -> str:
        return " ".join(draw.choices("0abcdefg", weights=range(1, 9), k=draw.randint(0, 6)))

    hypotheses = [text() for _ in range(130)]
    references = [[text(), text() + " z"] for _ in range(130)]
    only = [text if number % 50 == 3 else "" for number, text in enumerate(hypotheses)]
    chunk = chunk_of([hypotheses, only], references)
    results = measured(MtevalMeasure(2), *in_pieces(chunk, 7, 40))
    for metrics, texts in zip(results, chunk.systems, strict=True):
        assert len(metrics.sums) == 50
        np.testing.assert_allclose(metrics.values(), plain_mteval(texts, references), rtol=1e-9)
    # A group's sums are those of every 50th segment, information included.
    whole, part = (metrics.sums for metrics in results)
    assert part[3].tolist() == pytest.approx(whole[3].tolist())
    assert part[3, -4:].tolist() == pytest.approx(part[:, -4:].sum(axis=0).tolist())
    assert part[3, -4] > 0
    bleu = plain_mteval(hypotheses[3::50], references[3::50])[4:]
    assert scores(whole[3])[4:8].tolist() == pytest.approx(bleu)


@settings(max_examples=20, deadline=None)
@given(chunk=corpora(), data=st.data())
def test_the_order_of_segments_and_of_references_does_not_matter(
    chunk: Chunk, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(chunk.references))))
    shuffled = chunk_of(
        [[texts[i] for i in order] for texts in chunk.systems],
        [data.draw(st.permutations(chunk.references[i])) for i in order],
    )
    np.testing.assert_allclose(values_of(shuffled), values_of(chunk), rtol=1e-12)


def test_a_copy_of_a_reference_has_bleu_1_and_no_penalty() -> None:
    hypotheses = ["the cat sat on the mat", "no", "0", "0 0 0"]
    (found,) = values_of(chunk_of([hypotheses], [[text] for text in hypotheses]))
    assert found[4:] == [1.0] * 4
    assert found[:4] == pytest.approx(
        plain_mteval(hypotheses, [[text] for text in hypotheses])[:4], rel=1e-12
    )


def test_a_silent_system_has_0_and_a_silent_segment_only_shortens() -> None:
    references = [["a b c d"], ["a b c d", ""]]
    silent, half, whole = values_of(
        chunk_of([["", ""], ["a b c d", ""], ["a b c d", "a b c d"]], references)
    )
    assert silent == [0.0] * 8
    assert values_of(chunk_of([[""]], [["a b", ""]])) == [[0.0] * 8]
    # All its words match, so that nothing but the empty reference, which is closest, counts.
    assert half[4:] == [1.0] * 4
    assert half[0] < whole[0]
    alone = values_of(chunk_of([["", "a b c d"]], [["a b c d"], ["a b c d"]]))[0]
    assert alone[4] == pytest.approx(np.exp(1 - 8 / 4))


def test_one_word_replies_have_a_smoothed_value_of_the_orders_they_lack() -> None:
    (found,) = values_of(chunk_of([["a", "x"]], [["a b"], ["a b"]]))
    brevity = np.exp(1 - 4 / 2)
    # No bigram, so that no bigram is missing: a precision of 1.
    assert found[4:] == pytest.approx([brevity * 0.5 ** (1 / n) for n in (1, 2, 3, 4)])
    (found,) = values_of(chunk_of([["x y z"]], [["a b c"]]))
    precisions = [1 / 2 / 3, 1 / 4 / 2, 1 / 8 / 1, 1.0]
    expected = [np.prod(precisions[:n]) ** (1 / n) for n in (1, 2, 3, 4)]
    assert found[4:] == pytest.approx(expected)
    assert found[:4] == [0.0] * 4


def test_a_reference_given_twice_counts_twice_in_nist_alone() -> None:
    hypotheses, references = ["a b c", "d"], [["a b", "b c"], ["d", "e f g h"]]
    once = values_of(chunk_of([hypotheses], references))[0]
    twice = values_of(chunk_of([hypotheses], [[a, b, b] for a, b in references]))[0]
    assert once[4:] == twice[4:]
    assert abs(once[0] - twice[0]) > 0.01


def test_systems_do_not_change_one_another() -> None:
    chunk = chunk_of([["a b", "c d"], ["b a", "c d"]], [["a b c"], ["c d", "a"]])
    together = values_of(chunk)
    apart = [values_of(replace(chunk, systems=[texts]))[0] for texts in chunk.systems]
    assert together == apart
    assert together[0] != together[1]


@pytest.mark.parametrize("empty", [["", " "], ["&", ""], []])
def test_a_segment_without_references_is_refused_by_its_number(empty: list[str]) -> None:
    one = MtevalMeasure(1)
    one.add(chunk_of([["a", "b"]], [["a"], ["", "b"]]))
    with pytest.raises(UserError, match=r"^segment 4: expected a reference with a word in it"):
        one.add(chunk_of([["a", "b"]], [["a"], empty]))


def test_without_segments_nothing_is_defined() -> None:
    (metrics,) = MtevalMeasure(1).results()
    assert np.isnan(metrics.values()).all()
