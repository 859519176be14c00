import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_decode import tiny_model
from torch import Tensor

from dialogpt.models import scoring
from dialogpt.models.inference import InferenceGpt2
from dialogpt.models.scoring import continuation_log_probs

MODEL = tiny_model(seed=3)
ids = st.lists(st.integers(0, 34), min_size=1, max_size=20)


def by_naive_loop(prefix: list[int], continuation: list[int]) -> float:
    """One pass a token, without batch, padding or mask."""
    total = 0.0
    for place, token in enumerate(continuation):
        row = torch.tensor([prefix + continuation[:place]])
        with torch.no_grad():
            probabilities = MODEL(row).logits[0, -1].double().softmax(-1)
        total += float(probabilities[token].log())
    return total


@settings(max_examples=20, deadline=None)
@given(pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=6), budget=st.integers(1, 200))
def test_scores_are_those_of_a_naive_loop_however_pairs_are_batched(
    pairs: list[tuple[list[int], list[int]]], budget: int
) -> None:
    scores = continuation_log_probs(MODEL, pairs, max_batch_tokens=budget)
    assert scores == pytest.approx([by_naive_loop(*pair) for pair in pairs], abs=1e-3)


def test_the_output_matrix_meets_only_the_positions_that_are_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = [([1] * 20, [2, 3]), ([4] * 3, [5] * 11), ([6], [0, 7, 0])]
    expected = continuation_log_probs(MODEL, pairs)
    monkeypatch.setattr(scoring, "_MAX_LOGIT_ROWS", 5)
    sizes: list[int] = []
    logits_of = InferenceGpt2.logits

    def counted(engine: InferenceGpt2, states: Tensor) -> Tensor:
        sizes.append(len(states))
        return logits_of(engine, states)

    monkeypatch.setattr(InferenceGpt2, "logits", counted)
    in_pieces = continuation_log_probs(MODEL, pairs)
    assert sizes == [5, 5, 5, 1]  # 2 + 11 + 3 tokens
    assert in_pieces == pytest.approx(expected, abs=1e-4)


def test_nothing_to_score_and_nothing_to_read() -> None:
    assert continuation_log_probs(MODEL, []) == []
    for pair in (([], [1]), ([1], [])):
        with pytest.raises(ValueError, match="at least one token"):
            continuation_log_probs(MODEL, [([1], [2]), pair])


def test_a_pair_that_is_too_long_is_refused() -> None:
    continuation_log_probs(MODEL, [([1] * 40, [2] * 25)])  # the last of 65 is not read
    with pytest.raises(ValueError, match=r"at most 64 tokens before the last.*found 65"):
        continuation_log_probs(MODEL, [([1] * 40, [2] * 26)])
