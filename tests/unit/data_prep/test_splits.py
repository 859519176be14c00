"""Splits are stable, have their shares, and move threads only as documented."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.config import SplitConfig
from data_prep.splits import split_of

TENTHS = SplitConfig(valid_fraction=0.1, test_fraction=0.2)


@pytest.mark.parametrize(
    ("thread_id", "expected"),
    [
        ("t3_22569", "train"),
        ("t3_1", "train"),
        ("t3_2", "train"),
        ("t3_3", "test"),
        ("t3_14", "valid"),
        ("t3_16", "valid"),
        ("t3_4", "train"),
        ("t3_5", "test"),
        ("t3_2tz4xk", "train"),
        ("", "test"),
        ("t3_é", "test"),
    ],
)
def test_a_thread_keeps_its_split_for_ever(thread_id, expected):
    # Recorded values: if they move, every published split changes.
    assert split_of(thread_id, TENTHS) == expected


def test_shares_are_those_of_the_config():
    num_threads = 20_000
    counts = Counter(split_of(f"t3_{number:x}", TENTHS) for number in range(num_threads))
    # Five standard deviations of a binomial count are at most 5 * sqrt(20000 * 0.16) = 283.
    assert abs(counts["valid"] - 0.1 * num_threads) < 283
    assert abs(counts["test"] - 0.2 * num_threads) < 283
    assert sum(counts.values()) == num_threads


def test_zero_fractions_leave_everything_to_train():
    config = SplitConfig(valid_fraction=0.0, test_fraction=0.0)
    assert {split_of(f"t3_{number}", config) for number in range(2000)} == {"train"}


@pytest.mark.parametrize(("edge_key", "expected"), [(0, "test"), (2**64 - 1, "valid")])
def test_the_ends_of_the_key_range_belong_to_test_and_valid(monkeypatch, edge_key, expected):
    monkeypatch.setattr("data_prep.splits.record_key", lambda _: edge_key)
    assert split_of("t3_any", SplitConfig(valid_fraction=1e-9, test_fraction=1e-9)) == expected
    assert split_of("t3_any", SplitConfig(valid_fraction=0.0, test_fraction=0.0)) == "train"


fractions = st.floats(0, 0.49)


@given(st.text(), fractions, fractions, fractions)
def test_another_valid_fraction_moves_threads_only_between_train_and_valid(
    thread_id, valid, other_valid, test
):
    config = SplitConfig(valid_fraction=valid, test_fraction=test)
    before = split_of(thread_id, config)
    after = split_of(thread_id, replace(config, valid_fraction=other_valid))
    assert before == after or "test" not in (before, after)
    if other_valid >= valid and before == "valid":
        assert after == "valid"


@given(st.text(), fractions, fractions, fractions)
def test_another_test_fraction_moves_threads_only_between_train_and_test(
    thread_id, valid, test, other_test
):
    config = SplitConfig(valid_fraction=valid, test_fraction=test)
    before = split_of(thread_id, config)
    after = split_of(thread_id, replace(config, test_fraction=other_test))
    assert before == after or "valid" not in (before, after)
    if other_test >= test and before == "test":
        assert after == "test"


def test_another_salt_deals_anew():
    ids = [f"t3_{number}" for number in range(500)]
    ours = [split_of(thread_id, TENTHS) for thread_id in ids]
    theirs = [split_of(thread_id, replace(TENTHS, salt="other")) for thread_id in ids]
    assert ours != theirs
