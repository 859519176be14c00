"""Train, valid and test by a hash of the thread: the same on every machine, month and run."""

from data_prep.config import SplitConfig
from dialogpt.records import Split
from dialogpt.text import record_key

_NUM_KEYS = 2**64  # record_key is uniform over this many values


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
