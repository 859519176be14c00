"""Sets of shingles against sets of tuples of words."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.blocklists import words_of
from data_prep.shingles import (
    ShingleSets,
    bounds_of,
    compared_words,
    flattened,
    jaccard,
    num_words,
    shingle_sets,
)
from dialogpt.text import clean_turn

texts = st.lists(
    st.one_of(st.text(), st.lists(st.sampled_from("abc"), min_size=1).map(" ".join)), max_size=6
).map(lambda texts: [clean_turn(text) or "-" for text in texts])


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def tuples(text: str, size: int) -> set[tuple[str, ...]]:
    words = words_of(text) or text.split(" ")
    return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}


@given(texts)
def test_compared_words_are_words_of_or_else_the_text(texts: list[str]) -> None:
    expected = [" ".join(words_of(text)) or text for text in texts]
    words = compared_words(column(texts))
    assert words.to_pylist() == expected
    assert num_words(words).tolist() == [len(text.split(" ")) for text in expected]


@given(texts, st.integers(1, 5))
def test_two_texts_have_as_many_shingles_in_common_as_they_have_tuples_of_words(
    texts: list[str], size: int
) -> None:
    sets = shingle_sets(compared_words(column(texts)), size).distinct()
    hashes = [{*sets.hashes[a:b].tolist()} for a, b in pairwise(sets.bounds)]
    for i, left in enumerate(texts):
        assert len(hashes[i]) == sets.sizes[i] == len(tuples(left, size))
        for j, right in enumerate(texts):
            common = tuples(left, size) & tuples(right, size)
            assert len(hashes[i] & hashes[j]) == len(common)


@given(texts.filter(bool), st.integers(1, 3), st.randoms(use_true_random=False))
def test_jaccard_is_that_of_python_sets(texts: list[str], size: int, rng: object) -> None:
    sets = shingle_sets(compared_words(column(texts)), size).distinct()
    left = np.repeat(np.arange(len(texts)), len(texts))
    right = np.tile(np.arange(len(texts)), len(texts))
    similarities = jaccard(sets.take(left), sets.take(right))
    for i, j, similarity in zip(left, right, similarities, strict=True):
        one, other = tuples(texts[i], size), tuples(texts[j], size)
        assert similarity == len(one & other) / len(one | other)


def test_the_order_of_words_within_a_shingle_matters() -> None:
    sets = shingle_sets(column(["a b", "b a", "a b c", "a"]), 2)
    assert len({*sets.hashes.tolist()}) == 4  # "a b" is in two of them


def test_unions_are_those_of_neighbors_and_may_overlap() -> None:
    sets = ShingleSets(bounds_of(np.array([1, 2, 0, 1])), np.array([5, 6, 7, 8], np.uint64))
    united = sets.unions(np.array([0, 1, 3]), np.array([2, 4, 4]))
    assert united.bounds.tolist() == [0, 3, 6, 7]
    assert united.hashes.tolist() == [5, 6, 7, 6, 7, 8, 8]


def test_sets_of_parts_stand_one_behind_the_other() -> None:
    words = [column(["a b c"]), column([]), column(["d", "a b c e"])]
    parts = [shingle_sets(of_part, 2) for of_part in words]
    whole = shingle_sets(pa.concat_arrays(words), 2)
    together = ShingleSets.concatenated(parts)
    assert together.bounds.tolist() == whole.bounds.tolist()
    assert together.hashes.tolist() == whole.hashes.tolist()
    assert len(ShingleSets.concatenated([])) == 0


@pytest.mark.parametrize("start", [0, 1])
def test_flattened_knows_where_slices_begin(start: int) -> None:
    lists = pa.chunked_array([[["a"], ["b", "c"]], [["d"]]]).slice(start)
    values, bounds = flattened(lists)
    again = [values[a:b].to_pylist() for a, b in pairwise(bounds.tolist())]
    assert again == lists.to_pylist()
