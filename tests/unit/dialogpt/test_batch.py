import numpy as np
import torch
from support_train import encoded

from dialogpt.data.batch import Collator, collate
from dialogpt.data.features import Features
from dialogpt.records import IGNORE_INDEX

EOS = 0
X = IGNORE_INDEX


def features(ids, labels):
    return Features(
        input_ids=np.array(ids),
        labels=np.array(labels),
        num_target_words=1.5,
        num_target_chars=4.0,
    )


def test_rows_are_padded_on_the_right_and_padding_is_not_scored():
    batch = collate(
        [features([3, 0, 4, 0], [X, X, 4, 0]), features([5, 0], [X, 0])], [7, 2], eos_id=EOS
    )
    assert batch.input_ids.tolist() == [[3, 0, 4, 0], [5, 0, 0, 0]]
    assert batch.labels.tolist() == [[X, X, 4, 0], [X, 0, X, X]]
    assert batch.lengths.tolist() == [4, 2]
    assert batch.dialogue_indices == (7, 2)
    assert (batch.num_tokens, batch.num_padded_tokens, batch.num_target_tokens) == (6, 8, 3)
    assert (batch.num_target_words, batch.num_target_chars) == (3.0, 8.0)


def test_the_mask_comes_from_lengths_though_padding_and_turn_ends_have_one_id():
    batch = collate(
        [features([0, 0, 0, 0], [X, 0, 0, 0]), features([0, 0], [X, 0])], [0, 1], eos_id=EOS
    )
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_the_first_token_of_a_row_is_never_counted_as_a_target():
    assert collate([features([3, 0], [3, 0])], [0], eos_id=EOS).num_target_tokens == 1


def test_a_batch_without_rows_is_one_token_without_target():
    batch = collate([], [], eos_id=EOS)
    assert batch.input_ids.tolist() == [[EOS]]
    assert batch.labels.tolist() == [[X]]
    assert (batch.num_tokens, batch.num_target_tokens, batch.dialogue_indices) == (0, 0, ())


def test_single_turns_are_left_out_and_counted():
    collator = Collator(direction="forward", max_seq_len=16, eos_id=EOS)
    batch = collator([(4, encoded([[1], [2]])), (9, encoded([[3]]))])
    assert batch.num_skipped == 1
    assert batch.dialogue_indices == (4,)
    assert batch.input_ids.tolist() == [[1, 0, 2, 0]]


def test_a_copy_on_a_device_has_the_same_values():
    batch = collate([features([3, 0, 4, 0], [X, X, 4, 0])], [7], eos_id=EOS)
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.input_ids, batch.input_ids)
    assert torch.equal(moved.labels, batch.labels)
    assert moved.num_tokens == batch.num_tokens
