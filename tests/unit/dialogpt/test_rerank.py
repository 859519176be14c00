import itertools
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support_decode import tiny_model

from dialogpt.command_line import UserError
from dialogpt.config.decoding import DecodeConfig, GenerationConfig, MmiConfig
from dialogpt.data.features import make_features
from dialogpt.decode.contexts import Context
from dialogpt.decode.load import LoadedModel
from dialogpt.decode.rerank import Reranker, best_first, build_reranker
from dialogpt.decode.scorers import BackwardScorer, ScorerModels
from dialogpt.records import IGNORE_INDEX, EncodedDialogue, Hypothesis

EOS = 0
MODEL = tiny_model(seed=6)
CONTEXT = Context(turns=("a", "b", "c"), turn_ids=([11, 12, 13, EOS], [14, EOS], [15, 16, 17, EOS]))
OTHER = Context(turns=("d",), turn_ids=([*range(1, 9), EOS],))


def hypothesis(ids: Sequence[int], forward: float = -5.0, text: str | None = None) -> Hypothesis:
    return Hypothesis(
        text=" ".join(map(str, ids)) if text is None else text,
        token_ids=list(ids),
        finished=True,
        scores={"forward_log_prob": forward},
    )


def reranker(
    *,
    window: int = 64,
    longest: int = 12,
    mmi: bool = True,
    scorers: dict[str, float] | None = None,
    generation: dict[str, Any] | None = None,
    **options: Any,
) -> Reranker:
    config = DecodeConfig(
        model="runs/forward",
        mmi=mmi,
        generation=GenerationConfig(max_new_tokens=longest, **(generation or {})),
        mmi_options=MmiConfig(**options),
        scorers=scorers or {},
    )
    tokenizer: Any = SimpleNamespace(eos_id=EOS)
    loaded = LoadedModel(
        name="tiny",
        model=MODEL,
        tokenizer=tokenizer,
        window=window,
        readable=torch.ones(35, dtype=torch.bool),
    )
    models = ScorerModels(
        forward=loaded, backward=loaded if mmi else None, generation=config.generation
    )
    return build_reranker(config, models)


def source_ids(ranking: Reranker, context: Context) -> list[int]:
    backward = ranking.scorers[0]
    assert isinstance(backward, BackwardScorer)
    return backward.source_ids(context)


def backward_scores(
    hypotheses: Sequence[Hypothesis], context: Context = CONTEXT
) -> dict[tuple[int, ...], float]:
    (ranked,) = reranker().rerank([context], [hypotheses])
    return {tuple(h.token_ids): h.scores["backward_log_prob"] for h in ranked}


def log_prob_by_hand(reply: Sequence[int], source: Sequence[int]) -> float:
    """log p(source | reply EOS), a token at a time."""
    ids, total = [*reply, EOS], 0.0
    for token in source:
        with torch.no_grad():
            logits = MODEL(torch.tensor([ids])).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[token])
        ids.append(token)
    return total


REPLIES = [hypothesis([21, 22, 23]), hypothesis([7]), hypothesis(range(20, 32)), hypothesis([3, 9])]


def test_the_score_is_the_log_probability_of_the_source_latest_turn_first() -> None:
    source = [15, 16, 17, EOS, 14, EOS, 11, 12, 13, EOS]
    scores = backward_scores(REPLIES)
    for reply in REPLIES:
        expected = log_prob_by_hand(reply.token_ids, source)
        assert scores[tuple(reply.token_ids)] == pytest.approx(expected, abs=1e-3)


@given(
    turns=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=9), min_size=2, max_size=6),
    max_seq_len=st.integers(4, 60),
)
def test_the_backward_model_reads_rows_as_it_was_trained_on(
    turns: list[list[int]], max_seq_len: int
) -> None:
    *source, reply = [np.array(ids, dtype=np.uint16) for ids in turns]
    assume(max_seq_len - len(reply) - 1 >= 2)  # else training cuts the reply
    sizes = np.ones(len(turns))
    dialogue = EncodedDialogue(
        turns=(*source, reply),
        speakers=sizes.astype(np.int8),
        num_words=sizes.astype(np.uint32),
        num_chars=sizes.astype(np.uint32),
        turn_keys=sizes.astype(np.uint64),
        thread_key=0,
    )
    row = make_features(dialogue, EOS, direction="backward", max_seq_len=max_seq_len)
    assert row is not None
    mmi = reranker(window=max_seq_len, longest=len(reply))
    context = Context(
        turns=("",) * len(source), turn_ids=tuple([*ids.tolist(), EOS] for ids in source)
    )
    source_read = source_ids(mmi, context)
    assert [*reply.tolist(), EOS, *source_read] == row.input_ids.tolist()
    assert (row.labels != IGNORE_INDEX).sum() == len(source_read)


def test_replies_differ_in_score_and_a_shuffled_context_changes_it() -> None:
    scores = backward_scores(REPLIES)
    assert all(abs(a - b) > 0.01 for a, b in itertools.combinations(scores.values(), 2))
    shuffled = Context(
        turns=("c", "a", "b"), turn_ids=(*CONTEXT.turn_ids[2:], *CONTEXT.turn_ids[:2])
    )
    assert backward_scores(REPLIES, shuffled) != pytest.approx(scores, abs=0.01)


def test_another_hypothesis_changes_no_score_and_padding_neither() -> None:
    together = backward_scores(REPLIES)
    bland = hypothesis([1] * 12, forward=-0.5)
    with_bland = backward_scores([*REPLIES, bland])
    del with_bland[tuple(bland.token_ids)]
    assert with_bland == pytest.approx(together, abs=1e-4)
    for reply in REPLIES:
        assert backward_scores([reply])[tuple(reply.token_ids)] == pytest.approx(
            together[tuple(reply.token_ids)], abs=1e-4
        )


def test_contexts_of_a_batch_do_not_mix() -> None:
    groups = [REPLIES[:2], REPLIES[1:]]
    together = reranker().rerank([CONTEXT, OTHER], groups)
    for context, group, ranked in zip([CONTEXT, OTHER], groups, together, strict=True):
        (alone,) = reranker().rerank([context], [group])
        assert [h.token_ids for h in ranked] == [h.token_ids for h in alone]
        for one, other in zip(ranked, alone, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_equal_hypotheses_all_stay_and_have_the_same_scores_to_the_bit() -> None:
    (ranked,) = reranker().rerank([CONTEXT], [[*REPLIES, *REPLIES, REPLIES[0]]])
    assert len(ranked) == 9
    for reply in REPLIES:
        scores = [h.scores["score"] for h in ranked if h.token_ids == reply.token_ids]
        assert len(scores) in (2, 3)
        assert len(set(scores)) == 1


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_score_weighs_both_directions(reduction: Any, weight: float) -> None:
    replies = [hypothesis(h.token_ids, forward=-n) for n, h in enumerate(REPLIES)]
    (ranked,) = reranker(reduction=reduction, weight=weight).rerank([CONTEXT], [replies])
    divisor = 10 if reduction == "mean" else 1  # 7 tokens and 3 ends of turns
    for h in ranked:
        forward, backward = h.scores["forward_log_prob"], h.scores["backward_log_prob"]
        expected = (1 - weight) * forward + weight * backward / divisor
        assert h.scores["score"] == pytest.approx(expected)
        if reduction == "mean":
            assert h.scores["backward_log_prob_mean"] == pytest.approx(backward / 10)
    scores = [h.scores["score"] for h in ranked]
    assert scores == sorted(scores, reverse=True)


def test_sum_and_mean_rank_alike_with_the_paper_weight() -> None:
    by_sum, by_mean = (
        reranker(reduction=reduction).rerank([CONTEXT], [REPLIES])[0]
        for reduction in ("sum", "mean")
    )
    assert [h.token_ids for h in by_sum] == [h.token_ids for h in by_mean]


def test_the_last_turn_alone_can_be_the_source() -> None:
    last = reranker(source="last")
    assert source_ids(last, CONTEXT) == [15, 16, 17, EOS]
    (ranked,) = last.rerank([CONTEXT], [REPLIES[:1]])
    expected = log_prob_by_hand(REPLIES[0].token_ids, [15, 16, 17, EOS])
    assert ranked[0].scores["backward_log_prob"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (23, [15, 16, 17, EOS, 14, EOS, 11, 12, 13, EOS]),
        (22, [15, 16, 17, EOS, 14, EOS]),
        (18, [15, 16, 17, EOS]),
        (16, [16, 17, EOS]),
        (14, [EOS]),
    ],
)
def test_the_source_is_cut_to_what_the_longest_hypothesis_leaves(
    window: int, expected: list[int]
) -> None:
    small = reranker(window=window, longest=12)
    assert source_ids(small, CONTEXT) == expected
    # Short and long hypotheses alike explain these tokens, and fit into the window.
    (ranked,) = small.rerank([CONTEXT], [REPLIES])
    for h in ranked:
        assert len(h.token_ids) + 1 + len(expected) <= window
        by_hand = log_prob_by_hand(h.token_ids, expected)
        assert h.scores["backward_log_prob"] == pytest.approx(by_hand, abs=1e-3)


def test_no_room_for_a_source_is_an_error() -> None:
    with pytest.raises(UserError, match="max_new_tokens 12 leaves no room for a source"):
        reranker(window=13, longest=12)


def test_without_mmi_the_forward_log_probability_ranks() -> None:
    replies = [hypothesis([1], forward=-3.0), hypothesis([2], forward=-1.0)]
    (ranked,) = Reranker.by_forward_log_prob().rerank([CONTEXT], [replies])
    assert [h.token_ids for h in ranked] == [[2], [1]]
    assert ranked[0].scores == {"forward_log_prob": -1.0, "score": -1.0}
    assert replies[0].scores == {"forward_log_prob": -3.0}  # what came in is left as it was


def test_ties_go_by_forward_log_probability_then_by_text_and_blanks_come_last() -> None:
    rows = [
        ("b", -1.0, -2.0),
        ("", 0.0, 0.0),
        ("a", -1.0, -2.0),
        ("c", -1.0, -1.5),
        ("d", -0.5, -9.0),
    ]
    hypotheses = []
    for text, score, forward in rows:
        one = hypothesis([1], forward=forward, text=text)
        one.scores["score"] = score
        hypotheses.append(one)
    assert [h.text for h in best_first(hypotheses)] == ["d", "c", "a", "b", ""]


def test_beam_search_ranks_by_log_probability_over_a_power_of_the_length() -> None:
    # Lengths with the end of turn: 4, 2, 13 and, cut off, 2.
    replies = [hypothesis(h.token_ids, forward=-6.0 - n) for n, h in enumerate(REPLIES)]
    replies[3].finished = False
    for penalty in (0.0, 0.7, 1.0):
        options = {"method": "beam", "length_penalty": penalty}
        (ranked,) = reranker(mmi=False, generation=options).rerank([CONTEXT], [replies])
        found = {tuple(h.token_ids): h.scores for h in ranked}
        for reply, forward, length in zip(replies, (-6, -7, -8, -9), (4, 2, 13, 2), strict=True):
            scores = found[tuple(reply.token_ids)]
            assert scores["score"] == scores["length_normalized_log_prob"]
            assert scores["score"] == pytest.approx(forward / math.pow(length, penalty))
            assert scores["forward_log_prob"] == forward
    assert [len(h.token_ids) for h in ranked] == [12, 3, 1, 2]


def test_weights_of_scores_that_are_there_can_be_set_and_others_only_shown() -> None:
    replies = [hypothesis(h.token_ids, forward=-n) for n, h in enumerate(REPLIES)]
    for scorers, weights in [
        ({"backward_log_prob": 0.0, "forward_log_prob": 2.0}, {"forward_log_prob": 2.0}),
        ({"forward_log_prob": 0.5}, {"forward_log_prob": 0.5, "backward_log_prob": 1.0}),
        (
            {"length_normalized_log_prob": 3.0},
            {"length_normalized_log_prob": 3.0, "backward_log_prob": 1.0},
        ),
    ]:
        (ranked,) = reranker(scorers=scorers).rerank([CONTEXT], [replies])
        for h in ranked:
            expected = sum(weight * h.scores[name] for name, weight in weights.items())
            assert h.scores["score"] == pytest.approx(expected)
            assert {"forward_log_prob", "backward_log_prob"} <= set(h.scores)


def test_the_backward_score_needs_a_backward_model() -> None:
    with pytest.raises(UserError, match="backward_log_prob needs --mmi"):
        reranker(mmi=False, scorers={"backward_log_prob": 1.0})
    with pytest.raises(UserError, match=r"mmi_options\.reduction mean"):
        reranker(scorers={"backward_log_prob_mean": 1.0})


def test_beam_search_puts_replies_that_were_cut_last() -> None:
    group = [
        Hypothesis(
            text=str(number),
            token_ids=[number],
            finished=number % 2 == 0,
            scores={"forward_log_prob": float(-number)},
        )
        for number in range(1, 7)
    ]
    contexts = [Context(turns=("a",), turn_ids=([1, EOS],))]
    for method, expected in (("beam", "246135"), ("sample", "123456")):
        ranked = reranker(mmi=False, generation={"method": method}).rerank(contexts, [group])
        assert "".join(h.text for h in ranked[0]) == expected
