from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_train import encoded

from dialogpt.data.chunks import in_columns
from dialogpt.data.features import fit_turns, make_features, make_rows
from dialogpt.records import IGNORE_INDEX

EOS = 0
A, B, C = [5, 6], [7], [8, 9]
X = IGNORE_INDEX

turn_lists = st.lists(st.lists(st.integers(1, 60_000), max_size=12), min_size=2, max_size=7)
limits = st.integers(4, 40)


def row(turns, direction, max_seq_len=100):
    features = make_features(encoded(turns), EOS, direction=direction, max_seq_len=max_seq_len)
    return features.input_ids.tolist(), features.labels.tolist()


def test_forward_scores_every_turn_but_the_first():
    assert row([A, B, C], "forward") == ([5, 6, 0, 7, 0, 8, 9, 0], [X, X, X, 7, 0, 8, 9, 0])


def test_backward_reverses_the_turns_and_scores_all_sources():
    assert row([A, B, C], "backward") == ([8, 9, 0, 7, 0, 5, 6, 0], [X, X, X, 7, 0, 5, 6, 0])


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_single_turn_makes_no_row(direction):
    assert make_features(encoded([A]), EOS, direction=direction, max_seq_len=9) is None


def test_oldest_turns_go_whole_before_any_turn_is_cut():
    # 8 tokens in all; without A and its end there are 5.
    assert row([A, B, C], "forward", 7) == ([7, 0, 8, 9, 0], [X, X, 8, 9, 0])


def test_the_first_of_two_turns_loses_its_head():
    assert row([[1, 2, 3, 4], C], "forward", 6) == ([3, 4, 0, 8, 9, 0], [X, X, X, 8, 9, 0])
    assert row([[1, 2, 3, 4], C], "backward", 6) == ([8, 9, 0, 3, 4, 0], [X, X, X, 3, 4, 0])


def test_a_response_that_does_not_fit_alone_has_no_end_to_learn():
    ids, labels = row([[1, 2], [3, 4, 5, 6, 7, 8]], "forward", 6)
    assert ids == [2, 0, 3, 4, 5, 0]
    assert labels == [X, X, 3, 4, 5, X]
    ids, labels = row([[1, 2], [3, 4, 5, 6, 7, 8]], "backward", 6)
    assert ids == [3, 4, 5, 0, 2, 0]
    assert labels == [X, X, X, X, 2, 0]


@given(turns=turn_lists, limit=limits)
def test_no_row_is_too_long_and_short_dialogues_are_whole(turns, limit):
    whole = sum(map(len, turns)) + len(turns)
    for direction in ("forward", "backward"):
        ids, labels = row(turns, direction, limit)
        assert len(ids) == len(labels) == min(len(ids), limit)
        if whole <= limit:
            assert len(ids) == whole


@given(turns=turn_lists, limit=limits)
def test_every_dialogue_of_two_turns_makes_a_row_with_a_target_in_both_directions(turns, limit):
    for direction in ("forward", "backward"):
        _, labels = row(turns, direction, limit)
        assert any(label != IGNORE_INDEX for label in labels[1:])


@given(turns=turn_lists, limit=limits)
def test_both_directions_hold_the_same_tokens(turns, limit):
    forward, _ = row(turns, "forward", limit)
    backward, _ = row(turns, "backward", limit)
    assert sorted(forward) == sorted(backward)


@given(turns=turn_lists, limit=limits)
def test_what_is_kept_is_the_end_of_the_context_and_the_start_of_the_response(turns, limit):
    fitted = fit_turns(tuple(map(np.array, turns)), limit)
    kept = [turn.tolist() for turn in fitted.turns]
    assert len(kept) >= 2
    assert kept[1:-1] == turns[fitted.first + 1 : -1]
    first = turns[fitted.first]
    assert first[len(first) - len(kept[0]) :] == kept[0]
    assert kept[-1] == turns[-1][: len(kept[-1])]
    assert fitted.response_is_cut == (len(kept[-1]) < len(turns[-1]))


def test_words_and_characters_are_those_of_the_targets():
    forward = make_features(encoded([A, B, C]), EOS, direction="forward", max_seq_len=100)
    assert (forward.num_target_words, forward.num_target_chars) == (3.0, 6.0)
    backward = make_features(encoded([A, B, C]), EOS, direction="backward", max_seq_len=100)
    assert (backward.num_target_words, backward.num_target_chars) == (3.0, 6.0)


def test_a_cut_turn_counts_in_proportion():
    # Of the four words of the source two are kept; of the response, all.
    backward = make_features(encoded([[1, 2, 3, 4], C]), EOS, direction="backward", max_seq_len=6)
    assert backward.num_target_words == 2.0
    # Of six tokens of the response three are kept.
    forward = make_features(
        encoded([[1, 2], [3, 4, 5, 6, 7, 8]]), EOS, direction="forward", max_seq_len=6
    )
    assert forward.num_target_words == 3.0


@given(
    dialogues=st.lists(
        st.tuples(
            st.lists(st.lists(st.integers(1, 60_000), max_size=12), min_size=1, max_size=6),
            st.lists(st.lists(st.integers(1, 60_000), max_size=5), max_size=2),
        ),
        max_size=6,
    ),
    limit=limits,
    direction=st.sampled_from(["forward", "backward"]),
)
def test_rows_made_together_are_those_made_one_by_one(dialogues, limit, direction):
    """Single turns, empty turns, knowledge in between, and dialogues that have to be cut."""
    made = [
        replace(
            encoded(turns),
            num_words=np.array([3 * len(turn) + 1 for turn in turns], np.uint32),
            knowledge=tuple(np.array(sentence, np.uint16) for sentence in knowledge),
        )
        for turns, knowledge in dialogues
    ]
    together = make_rows(in_columns(made), EOS, direction=direction, max_seq_len=limit)
    assert len(together) == len(made)
    for dialogue, row in zip(made, together, strict=True):
        alone = make_features(dialogue, EOS, direction=direction, max_seq_len=limit)
        assert (row is None) == (alone is None)
        if alone is None or row is None:
            continue
        assert row.input_ids.tolist() == alone.input_ids.tolist()
        assert row.labels.tolist() == alone.labels.tolist()
        assert (row.input_ids.dtype, row.labels.dtype) == (np.int64, np.int64)
        assert row.num_target_words == alone.num_target_words
        assert row.num_target_chars == alone.num_target_chars
