"""Words, n-grams and their counts, as hashes, against strings in dictionaries."""

import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.evaluation.ngram_counts import LogCountSums, NgramCounts
from dialogpt.evaluation.ngrams import (
    Splitter,
    ngrams_of,
    split_at_blanks,
    split_at_single_blanks,
    word_hash,
    words_of,
)


def hashes_are_of(texts: list[str], split: Splitter, expected: list[list[str]]) -> None:
    """Assert that words are as many as expected, and two hashes equal where the words are."""
    words = words_of(texts, split)
    assert words.counts.tolist() == [len(some) for some in expected]
    flat = [word for some in expected for word in some]
    pairs = set(zip(flat, words.hashes.tolist(), strict=True))
    assert len(pairs) == len(set(flat)) == len({number for _, number in pairs})


# Of about the lengths at which words are hashed in another way.
long_words = st.integers(1, 80).map(lambda length: "ab" * 40 + "c" * length)
any_text = st.lists(
    st.one_of(st.text(), long_words, st.sampled_from(["\ud800", "a\0", "a", "\xa0\u3000"]))
).map("".join)


@settings(max_examples=100)
@given(texts=st.lists(any_text, max_size=5))
def test_words_are_those_of_str_split(texts: list[str]) -> None:
    hashes_are_of(texts, split_at_blanks, [text.split() for text in texts])
    # A newline is a blank, but no file has one within a text.
    flat = [text.replace("\n", "\x0b") for text in texts]
    hashes_are_of(texts, split_at_single_blanks, [text.split(" ") for text in flat])


def test_all_blanks_of_unicode_are_blanks_and_nothing_else() -> None:
    everything = map(chr, range(sys.maxunicode + 1))
    characters = [c for c in everything if c.isspace() or ord(c) < 0x3100 or ord(c) % 500 == 0]
    counts = words_of([f"a{c}b" for c in characters], split_at_blanks).counts
    blanks = [c for c, count in zip(characters, counts, strict=True) if count == 2]
    assert blanks == [c for c in characters if c.isspace()]


def test_words_of_every_length_differ_by_each_of_their_bytes() -> None:
    words = ["x" * length for length in range(1, 150)]
    words += [f"{word[:i]}y{word[i + 1 :]}" for word in words for i in range(len(word))]
    hashes_are_of([" ".join(words)], split_at_blanks, [words])


@given(texts=st.lists(st.text(alphabet="ab ", max_size=9), max_size=6))
def test_ngrams_stay_within_their_text(texts: list[str]) -> None:
    words = words_of(texts, split_at_blanks)
    seen: dict[tuple[str, ...], int] = {}
    for order, ngrams in enumerate(ngrams_of(words, 3), start=1):
        expected = [
            (tuple(split[i : i + order]), number)
            for number, split in enumerate(text.split() for text in texts)
            for i in range(len(split) - order + 1)
        ]
        assert ngrams.texts.tolist() == [number for _, number in expected]
        for (ngram, _), found, prefix in zip(
            expected, ngrams.hashes.tolist(), ngrams.prefixes.tolist(), strict=True
        ):
            assert seen.setdefault(ngram, found) == found
            assert order == 1 or seen[ngram[:-1]] == prefix
    assert len(set(seen.values())) == len(seen)


def test_the_hash_of_a_word_is_that_which_texts_have() -> None:
    assert words_of(["a 0"], split_at_blanks).hashes[1] == word_hash("0") != word_hash("00")


hashes = st.integers(0, 30).map(lambda n: n * 0x0876543210FEDCBA % 2**64)


@settings(max_examples=30, deadline=None)
@given(
    counted=st.lists(st.lists(hashes, max_size=8), max_size=8),
    most_rows=st.sampled_from([2, 5, 1000]),
    data=st.data(),
)
def test_counts_and_sums_are_the_same_in_memory_and_on_disk(
    counted: list[list[int]], most_rows: int, data: st.DataObject
) -> None:
    counts = NgramCounts(most_rows)
    for some in counted:
        counts.add(np.array(some, np.uint64))
    expected = Counter(number for some in counted for number in some)
    assert counts.total == expected.total()
    num_parts = counts.num_parts()
    found = [counts.part(index, num_parts) for index in range(num_parts)]
    flat = [pair for keys, numbers in found for pair in zip(keys.tolist(), numbers, strict=True)]
    assert flat == sorted(expected.items())

    terms = st.tuples(
        st.sampled_from(sorted(expected) or [0]), st.integers(0, 3), st.integers(-(2**31), 9)
    )
    asked = data.draw(st.lists(st.lists(terms, max_size=6), max_size=6 if expected else 0))
    log_counts = LogCountSums(data.draw(st.sampled_from([2, 1000])))
    sums = np.zeros(4)
    for some_terms in filter(None, asked):
        keys, places, weights = zip(*some_terms, strict=True)
        log_counts.add(np.array(keys, np.uint64), np.array(places), np.array(weights))
        for key, place, weight in some_terms:
            sums[place] += weight * np.log2(expected[key])
    np.testing.assert_allclose(log_counts.sums(counts, 4), sums, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(("most_rows", "on_disk"), [(100, True), (10_000, False)])
def test_more_rows_than_allowed_are_not_held(most_rows: int, on_disk: bool) -> None:
    counts = NgramCounts(most_rows)
    draw = np.random.default_rng(0)
    for _ in range(20):
        counts.add(draw.integers(0, 2**64, 100, np.uint64))
        held = counts._num_new + counts._rows._num_held
        assert held <= max(most_rows, 100)
    assert (counts.num_parts() > 1) == on_disk
