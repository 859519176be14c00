import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dialogpt.data.features import Features
from dialogpt.data.packing import TILE_TOKENS, Piece, pack, pack_pieces
from dialogpt.records import IGNORE_INDEX


def features(ids, labels):
    return Features(
        input_ids=np.array(ids), labels=np.array(labels), num_target_words=1.0, num_target_chars=2.0
    )


def test_two_dialogues_become_one_row():
    first = features([5, 6, 0, 7, 0], [-100, -100, -100, 7, 0])
    second = features([8, 0, 9], [-100, -100, 9])
    batch = pack([first, second], [3, 1], eos_id=0, num_tokens=8)
    # Their last tokens are targets only: nothing follows them.
    assert batch.input_ids.tolist() == [5, 6, 0, 7, 8, 0, 0, 0]
    assert batch.positions.tolist() == [0, 1, 2, 3, 0, 1, 0, 0]
    assert batch.ends.tolist() == [4] * 4 + [6] * 2 + [8] * 2
    assert batch.tiles.tolist() == [[0, 0, 4], [4, 4, 6], [6, 6, 8]]
    assert batch.target_places.tolist() == [2, 3, 5]
    assert batch.targets.tolist() == [7, 0, 9]
    assert batch.weights.tolist() == [1, 1, 1]
    assert (batch.num_tokens, batch.num_used_tokens, batch.num_padded_tokens) == (8, 6, 8)
    assert batch.num_target_tokens == 3
    assert (batch.num_target_words, batch.num_target_chars) == (2.0, 4.0)
    assert batch.dialogue_indices == (3, 1)


def test_branches_that_the_kernels_would_not_hear_of_are_refused():
    ids, labels = np.array([5, 6]), np.array([-100, 6])
    pieces = [Piece(input_ids=ids, labels=labels, parent=parent) for parent in (-1, 0, 0)]
    assert pack_pieces(pieces, eos_id=0, num_tokens=8, has_branches=True).ends[2] == 3
    with pytest.raises(AssertionError):
        pack_pieces(pieces, eos_id=0, num_tokens=8)


def test_a_target_is_never_predicted_from_another_dialogue():
    row = features([5, 6], [5, 6])  # as if the first token were a target
    batch = pack([row, row], [0, 1], eos_id=0, num_tokens=4)
    assert batch.target_places.tolist() == [0, 1]


def test_rows_longer_than_the_batch_are_refused():
    with pytest.raises(ValueError, match="at most 3 tokens, found rows of 4"):
        pack([features([1] * 3, [1] * 3)] * 2, [0, 1], eos_id=0, num_tokens=3)


def test_a_batch_moves_and_keeps_its_counts():
    batch = pack([features([1, 2, 3], [-100, 2, 3])], [7], eos_id=0, num_tokens=8)
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in moved.tensors().values()} == {"meta"}
    assert (moved.num_tokens, moved.dialogue_indices) == (3, (7,))


@given(st.lists(st.integers(2, 3 * TILE_TOKENS), max_size=8), st.integers(0, 200))
def test_tiles_cover_every_token_once_and_end_with_their_tree(lengths, spare):
    rows = [features([1] * n, [IGNORE_INDEX] * n) for n in lengths]
    lengths = [n - 1 for n in lengths]
    num_tokens = max(1, sum(lengths) + spare)
    batch = pack(rows, range(len(rows)), eos_id=0, num_tokens=num_tokens)
    covered = []
    for root, first, stop in batch.tiles.tolist():
        assert (first - root) % TILE_TOKENS == 0
        assert root <= first < stop
        assert batch.ends[first] == stop
        assert batch.positions[root] == 0
        covered += range(first, min(first + TILE_TOKENS, stop))
    assert covered == list(range(num_tokens))
    # What fills the row up needs no position that a model of short rows lacks.
    assert not batch.positions[sum(lengths) :].any()
    starts = np.cumsum([0, *lengths])
    for start, length in zip(starts[:-1], lengths, strict=True):
        assert batch.positions[start : start + length].tolist() == list(range(length))
        assert set(batch.ends[start : start + length].tolist()) == {start + length}
