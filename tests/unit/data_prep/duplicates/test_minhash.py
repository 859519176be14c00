"""How often similar sets share a band."""

import numpy as np
import pytest

from data_prep.duplicates import minhash
from data_prep.duplicates.minhash import MAX_MISSED_SHARE, Banding, band_keys, signatures
from data_prep.shingles import ShingleSets, bounds_of


def similar_pairs(num_pairs: int, size: int, num_changed: int, seed: int) -> ShingleSets:
    """Set 2 i + 1 has all but some elements of set 2 i."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 2**64, (num_pairs, size), np.uint64)
    right = left.copy()
    right[:, :num_changed] = rng.integers(0, 2**64, (num_pairs, num_changed), np.uint64)
    hashes = np.stack([left, right], axis=1).ravel()
    return ShingleSets(bounds_of(np.full(2 * num_pairs, size)), hashes)


def share_of_pairs_without_a_band(kinds: list[ShingleSets], banding: Banding) -> float:
    keys = band_keys(kinds, banding)
    return float(1 - (keys[::2] == keys[1::2]).any(axis=1).mean())


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_no_more_bands_than_the_promise_needs(similarity: float) -> None:
    banding = Banding.for_similarity(similarity)
    assert banding.missed_share(similarity) <= MAX_MISSED_SHARE
    if banding.num_bands > 1:
        fewer = Banding(banding.num_rows, banding.num_bands - 1)
        assert fewer.missed_share(similarity) > MAX_MISSED_SHARE


@pytest.mark.parametrize("num_kinds", [1, 2])
@pytest.mark.parametrize(("size", "num_changed"), [(9, 1), (18, 2), (90, 10)])
def test_pairs_are_missed_as_seldom_as_the_formula_says(
    size: int, num_changed: int, num_kinds: int
) -> None:
    banding = Banding(4, 5)
    similarity = (size - num_changed) / (size + num_changed)
    assert similarity == 0.8
    num_pairs = 20_000
    # Of the same sets: even then the slots of two kinds have nothing to do with each other.
    kinds = [similar_pairs(num_pairs, size, num_changed, seed=0)] * num_kinds
    expected = banding.missed_share(similarity)
    # R-MinHash varies less than independent slots do, so it misses fewer; never more.
    noise = 3 * (expected * (1 - expected) / num_pairs) ** 0.5
    assert expected / 4 < share_of_pairs_without_a_band(kinds, banding) < expected + noise


def test_a_band_is_shared_only_by_what_is_similar_in_all_kinds() -> None:
    same = similar_pairs(5_000, 10, 0, seed=1)
    other = similar_pairs(5_000, 10, 10, seed=2)
    banding = Banding.for_similarity(0.8)
    assert share_of_pairs_without_a_band([same, same], banding) == 0
    assert share_of_pairs_without_a_band([same, other], banding) == 1
    assert share_of_pairs_without_a_band([other, same], banding) == 1


def test_keys_of_different_bands_are_different_even_if_all_slots_are_equal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(minhash, "signatures", lambda *_, **__: np.full((1, 100), 7, np.uint64))
    one = ShingleSets(np.array([0, 1]), np.array([7], np.uint64))
    keys = band_keys([one], Banding(2, 50))
    assert len({*keys[0].tolist()}) == 50


def test_a_signature_depends_on_its_set_alone() -> None:
    sets = similar_pairs(20_000, 12, 2, seed=3)
    together = signatures(sets, 8, seed=1)
    for row in (0, 17, 16_383, 16_384, 39_999):
        mine = sets.hashes[sets.bounds[row] : sets.bounds[row + 1]]
        shuffled = ShingleSets(np.array([0, 24]), np.concatenate([mine[::-1], mine]))
        assert signatures(shuffled, 8, seed=1)[0].tolist() == together[row].tolist()
        assert signatures(shuffled, 8, seed=2)[0].tolist() != together[row].tolist()


def test_no_sets_have_no_keys() -> None:
    nothing = ShingleSets(np.zeros(1, np.int64), np.zeros(0, np.uint64))
    assert band_keys([nothing], Banding(2, 3)).shape == (0, 3)
