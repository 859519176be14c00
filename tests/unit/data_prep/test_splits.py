"""Splits are stable, have their shares, and move threads only as documented."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.config import SplitConfig
from data_prep.ids import base36
from data_prep.splits import split_codes, split_of
from dialogpt.records import SPLITS

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


THREADS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([201411, 201412, 201501, 201502])), max_size=60
).map(sorted)


@given(THREADS, st.sampled_from(["", "2014-12", "2014-12:2015-01"]))
def test_the_splits_of_comments_are_those_of_their_threads(comments, test_months):
    config = replace(TENTHS, test_months=test_months)
    threads = np.array([thread for thread, _ in comments], np.int64)
    months = np.array([month for _, month in comments], np.int32)
    codes = split_codes(threads, months, config)
    test = {"": (), "2014-12": (201412,), "2014-12:2015-01": (201412, 201501)}[test_months]
    late = {thread for thread, month in comments if month in test}
    without_test = replace(TENTHS, test_fraction=0.0) if test_months else TENTHS
    for code, (thread, _) in zip(codes, comments, strict=True):
        split = split_of(f"t3_{base36(thread)}", without_test)
        assert SPLITS[code] == ("test" if thread in late else split)


@pytest.mark.parametrize("months", ["2014", "2014-13", "2015-01:2014-12", "2014-12-2015-01"])
def test_months_that_are_none_are_refused(months):
    with pytest.raises(ValueError, match="test_months"):
        SplitConfig(test_months=months)
