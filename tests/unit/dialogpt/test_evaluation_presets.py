"""Which references count, how texts are prepared, and what a model's own numbers are."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.evaluation.language_model import exchanged, model_metrics
from dialogpt.evaluation.measure import MOST_GROUPS, GroupedSums
from dialogpt.evaluation.presets import _plato_texts, six_slots
from dialogpt.records import TestItem


def item(*references: str, human: str | None = None) -> TestItem:
    return TestItem(id="a", turns=("b",), references=references, human=human)


@pytest.mark.parametrize(
    ("given_item", "slots"),
    [
        # As many as the script has slots, and more: what it does with people's own in slot 1.
        (item("0", "2", "3", "4", "5", human="1"), ["0", "2", "2", "3", "4", "5"]),
        (item("0", "2", "3", "4", "5", "6", "7", human="1"), ["0", "2", "2", "3", "4", "5"]),
        # Fewer: rounds, and people never among them.
        (item("0", "2", human="1"), ["0", "2", "2", "0", "2", "2"]),
        (item("0", human="1"), ["0", "0", "0", "0", "0", "0"]),
        # No human answer is known: nothing is put in its place.
        (item("0", "1", "2", "3", "4", "5", "6"), ["0", "1", "2", "3", "4", "5", "6"]),
        (item("0", "1"), ["0", "1"]),
    ],
)
def test_slots_of_the_script(given_item: TestItem, slots: list[str]) -> None:
    assert list(six_slots(given_item)) == slots


def test_plato_reads_words_of_bert_and_joins_contractions() -> None:
    assert _plato_texts(["I'm sure you don't, Zoë!", "well - known"]) == [
        "i'm sure you don't , zoe !",
        "well-known",
    ]


@given(number=st.integers(2, 50), seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_contexts_are_exchanged_among_all_and_none_is_kept(number: int, seed: int) -> None:
    others = exchanged(number, random.Random(seed))
    assert sorted(others) == list(range(number))
    assert all(other != index for index, other in enumerate(others))


def test_the_numbers_of_a_model_by_hand() -> None:
    # 3 answers of 10 tokens, 5 words, 20 characters; 20 nats, 26 after other contexts; 2 likelier.
    sums = np.array([20.0, 10.0, 5.0, 20.0, 26.0, 2.0, 3.0])
    assert model_metrics(sums) == pytest.approx(
        [np.exp(2.0), np.exp(4.0), np.exp(1.0), 0.6, 2.0 / 3.0]
    )


@given(sizes=st.lists(st.integers(0, 2 * MOST_GROUPS), max_size=4))
@settings(max_examples=20, deadline=None)
def test_sums_are_the_same_however_segments_come(sizes: list[int]) -> None:
    rows = np.arange(2.0 * sum(sizes)).reshape(-1, 2)
    at_once, in_pieces = GroupedSums(2), GroupedSums(2)
    at_once.add(rows)
    for part in np.split(rows, np.cumsum(sizes)[:-1]) if sizes else []:
        in_pieces.add(part)
    np.testing.assert_array_equal(at_once.values(), in_pieces.values())
    assert len(at_once.values()) == min(sum(sizes), MOST_GROUPS)
    np.testing.assert_array_equal(at_once.values().sum(axis=0), rows.sum(axis=0))
    if len(rows) > MOST_GROUPS:
        np.testing.assert_array_equal(at_once.values()[0], rows[::MOST_GROUPS].sum(axis=0))
