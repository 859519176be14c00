"""Train, valid and test by a hash of the thread: the same on every machine, month and run."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_prep.config import SplitConfig
from data_prep.ids import encode_ids
from dialogpt.records import SPLITS, Split
from dialogpt.text import record_key

_NUM_KEYS = 2**64  # record_key is uniform over this many values
_TEST = SPLITS.index("test")


def split_of(thread_id: str, config: SplitConfig) -> Split:
    """The split that a whole thread belongs to, so that no dialogue is split from its siblings.

    The test split takes keys from the bottom of the range and the validation split from the top.
    So another valid_fraction moves threads only between train and valid, and another test_fraction
    only between train and test: a larger validation set never eats into an old test set.

    Args:
        thread_id: e.g. `t3_22569` for a Reddit submission.
        config: shares of the splits, and the salt; another salt deals anew.
    """
    key = record_key(f"{config.salt}:{thread_id}")
    if key < config.test_fraction * _NUM_KEYS:
        return "test"
    if key >= _NUM_KEYS - config.valid_fraction * _NUM_KEYS:
        return "valid"
    return "train"


def dealt_by_hash(config: SplitConfig) -> SplitConfig:
    """What the hash decides: where time decides about the test split, only the rest."""
    return replace(config, test_fraction=0.0) if config.test_months else config


def split_codes(
    thread_ids: NDArray[np.int64], months: NDArray[np.int32], config: SplitConfig
) -> NDArray[np.int8]:
    """The split of the thread of each comment, as a number in SPLITS.

    Args:
        thread_ids: (n,) of all comments of some whole threads, ascending.
        months: (n,) of these comments, as 201502.
        config: also says whether time decides what is in the test split.
    """
    first_rows = np.flatnonzero(np.diff(thread_ids, prepend=-1))
    if not len(first_rows):
        return np.zeros(0, np.int8)
    dealing = dealt_by_hash(config)
    threads = encode_ids(thread_ids[first_rows], "t3_").to_pylist()
    codes = np.array([SPLITS.index(split_of(thread, dealing)) for thread in threads], np.int8)
    first, last = config.test_month_numbers
    in_test_months = ((months >= first) & (months <= last)).astype(np.int8)
    codes[np.maximum.reduceat(in_test_months, first_rows) > 0] = _TEST
    return np.repeat(codes, np.diff(first_rows, append=len(thread_ids)))
