import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from support_decode import NUM_PADDING_IDS, tiny_model
from torch import Tensor
from transformers import GPT2LMHeadModel

from dialogpt.command_line import UserError
from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.generate import generate, uniform_table
from dialogpt.decode.logits import choose_tokens
from dialogpt.decode.replies import GeneratedReply
from dialogpt.models.inference import InferenceGpt2
from dialogpt.models.scoring import continuation_log_probs

EOS = 0
VOCAB_SIZE = 40 - NUM_PADDING_IDS
# Lengths from 1 to 30, and separators within: what is masked by id instead of length goes wrong.
CONTEXTS = [
    [5, 6, 7, EOS],
    [EOS],
    [9, EOS, EOS, 8, EOS],
    [*range(1, 25), EOS, 3, EOS, 4, 2, EOS],
    [30, 31, EOS, 12, 13, 14, EOS],
    [EOS, EOS, EOS],
]
GREEDY = GenerationConfig(method="greedy", max_new_tokens=24)
SAMPLED = GenerationConfig(num_samples=5, max_new_tokens=24, seed=7)


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    return tiny_model()


def replies_to(
    model: GPT2LMHeadModel, contexts: list[list[int]], indices: list[int], **options: Any
) -> list[list[GeneratedReply]]:
    generation = options.pop("generation", SAMPLED)
    return generate(
        model,
        contexts,
        context_indices=indices,
        generation=generation,
        eos_id=EOS,
        vocab_size=VOCAB_SIZE,
    )


def reply_without_cache(
    model: GPT2LMHeadModel, context: list[int], *, sample: int, index: int, options: Any
) -> tuple[list[int], bool]:
    """The reply by full passes over one row: no padding, no mask, no cache, no batch."""
    size = {"num_samples": sample + 1, "max_new_tokens": options.max_new_tokens}
    uniforms = torch.from_numpy(uniform_table(options.seed, index, **size))[sample]
    ids: list[int] = []
    for step in range(options.max_new_tokens):
        logits = model(torch.tensor([context + ids])).logits[:, -1].detach()
        logits[:, VOCAB_SIZE:] = -math.inf
        if step < options.min_new_tokens:
            logits[:, EOS] = -math.inf
        token = int(choose_tokens(logits, uniforms[step : step + 1], generation=options)[0])
        if token == EOS:
            return ids, True
        ids.append(token)
    return ids, False


@pytest.mark.parametrize("options", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_batch_of_mixed_lengths_gives_the_tokens_of_full_passes_one_by_one(
    model: GPT2LMHeadModel, options: GenerationConfig
) -> None:
    batch = replies_to(model, CONTEXTS, list(range(len(CONTEXTS))), generation=options)
    for index, (context, replies) in enumerate(zip(CONTEXTS, batch, strict=True)):
        assert len(replies) == (1 if options is GREEDY else 5)
        for sample, reply in enumerate(replies):
            alone = reply_without_cache(model, context, sample=sample, index=index, options=options)
            assert (reply.token_ids, reply.finished) == alone
    lengths = {len(reply.token_ids) for replies in batch for reply in replies}
    assert len(lengths) > 1
    assert {reply.finished for replies in batch for reply in replies} == {True, False}


@pytest.mark.parametrize("options", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_context_gets_the_same_replies_whatever_shares_the_batch(
    model: GPT2LMHeadModel, options: GenerationConfig
) -> None:
    whole = replies_to(model, CONTEXTS, list(range(len(CONTEXTS))), generation=options)
    order = list(range(len(CONTEXTS)))
    random.Random(3).shuffle(order)
    assert order != sorted(order)
    shuffled = replies_to(model, [CONTEXTS[i] for i in order], order, generation=options)
    for place, index in enumerate(order):
        assert ids_of(shuffled[place]) == ids_of(whole[index])
        alone = replies_to(model, [CONTEXTS[index]], [index], generation=options)[0]
        assert ids_of(alone) == ids_of(whole[index])
        for one, other in zip(alone, whole[index], strict=True):
            assert one.forward_log_prob == pytest.approx(other.forward_log_prob, abs=1e-3)


def ids_of(replies: list[GeneratedReply]) -> list[list[int]]:
    return [reply.token_ids for reply in replies]


def test_the_log_probability_is_that_of_the_reply_under_the_model_itself(
    model: GPT2LMHeadModel,
) -> None:
    options = GenerationConfig(
        num_samples=6, top_k=5, top_p=0.9, temperature=3.0, max_new_tokens=24, min_new_tokens=2
    )
    for context, replies in zip(
        CONTEXTS, replies_to(model, CONTEXTS, list(range(6)), generation=options), strict=True
    ):
        for reply in replies:
            scored = [*reply.token_ids, *([EOS] if reply.finished else [])]
            with torch.no_grad():
                logits = model(torch.tensor([context + scored])).logits[0].log_softmax(-1)
            by_hand = sum(
                float(logits[len(context) - 1 + place, token]) for place, token in enumerate(scored)
            )
            assert reply.forward_log_prob == pytest.approx(by_hand, abs=1e-3)
            by_scoring = continuation_log_probs(model, [(context, scored)])[0]
            assert reply.forward_log_prob == pytest.approx(by_scoring, abs=1e-3)


@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_a_reply_does_not_end_before_the_fewest_tokens(model: GPT2LMHeadModel, method: Any) -> None:
    free = GenerationConfig(method=method, max_new_tokens=24)
    short = {
        len(r.token_ids)
        for rs in replies_to(model, CONTEXTS, list(range(6)), generation=free)
        for r in rs
        if r.finished
    }
    assert min(short) < 12
    held = GenerationConfig(method=method, max_new_tokens=24, min_new_tokens=12)
    for replies in replies_to(model, CONTEXTS, list(range(6)), generation=held):
        assert all(len(reply.token_ids) >= 12 for reply in replies)


def test_padding_ids_of_the_embedding_are_never_drawn() -> None:
    model = tiny_model()
    with torch.no_grad():
        # Make every padding id likelier than any token after every context.
        model.transformer.ln_f.bias.fill_(1.0)
        model.lm_head.weight[VOCAB_SIZE:] = 2.0
    greedy_over_all = model(torch.tensor([CONTEXTS[0]])).logits[0, -1].argmax()
    assert greedy_over_all >= VOCAB_SIZE
    for options in (GREEDY, SAMPLED, GenerationConfig(top_k=0, max_new_tokens=24)):
        for replies in replies_to(model, CONTEXTS, list(range(6)), generation=options):
            assert all(token < VOCAB_SIZE for reply in replies for token in reply.token_ids)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Ids and positions of every pass through the model."""
    passes: list[tuple[Tensor, Tensor]] = []
    states_of = InferenceGpt2.states

    def noted(
        engine: InferenceGpt2, ids: Tensor, positions: Tensor, *rest: Any, **more: Any
    ) -> Any:
        passes.append((ids, positions))
        return states_of(engine, ids, positions, *rest, **more)

    monkeypatch.setattr(InferenceGpt2, "states", noted)
    return passes


def test_finished_rows_leave_the_batch(
    model: GPT2LMHeadModel, seen: list[tuple[Tensor, Tensor]]
) -> None:
    replies = replies_to(model, CONTEXTS, list(range(6)))
    assert len(seen[0][0]) == 6 * max(map(len, CONTEXTS))  # each context once, not once a sample
    rows = [len(ids) for ids, _ in seen[1:]]
    assert rows[0] == 30
    assert rows[-1] < 30
    assert rows == sorted(rows, reverse=True)
    assert any(reply.finished for group in replies for reply in group)


def test_generation_stops_once_all_replies_are_finished(
    seen: list[tuple[Tensor, Tensor]],
) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.transformer.ln_f.bias.fill_(1.0)
        model.lm_head.weight[EOS] = 5.0  # the end is all but certain once it is allowed
    options = GenerationConfig(num_samples=3, max_new_tokens=30, min_new_tokens=2)
    replies = replies_to(model, CONTEXTS, list(range(6)), generation=options)
    assert all(len(reply.token_ids) == 2 and reply.finished for rs in replies for reply in rs)
    assert len(seen) < 30


def test_positions_count_a_rows_own_tokens(
    model: GPT2LMHeadModel, seen: list[tuple[Tensor, Tensor]]
) -> None:
    replies_to(model, [[3, EOS], [4, EOS, EOS, 5, EOS]], [0, 1], generation=GREEDY)
    ids, positions = seen[0]
    assert ids.view(2, 5).tolist() == [[3, 0, 0, 0, 0], [4, 0, 0, 5, 0]]
    assert positions.view(2, 5)[1].tolist() == [0, 1, 2, 3, 4]
    assert positions.view(2, 5)[0, :2].tolist() == [0, 1]
    assert [p.tolist() for _, p in seen[1:4]] == [[2, 5], [3, 6], [4, 7]]


def test_a_listener_hears_the_one_reply_grow(model: GPT2LMHeadModel) -> None:
    heard: list[list[int]] = []
    options: dict[str, Any] = {"eos_id": EOS, "vocab_size": VOCAB_SIZE, "on_tokens": heard.append}
    contexts = [[5, 6, EOS]]
    ((reply,),) = generate(model, contexts, context_indices=[0], generation=GREEDY, **options)
    assert heard[-1] == reply.token_ids
    assert [len(ids) for ids in heard] == [
        *range(1, len(reply.token_ids) + 1),
        *([len(reply.token_ids)] if reply.finished else []),
    ]
    assert all(reply.token_ids[: len(ids)] == ids for ids in heard)
    ((expected,),) = replies_to(model, contexts, [0], generation=GREEDY)
    assert reply == expected
    heard.clear()
    generate(model, contexts, context_indices=[0], generation=SAMPLED, **options)
    assert not heard  # which of five should it be?


def test_a_reply_does_not_end_before_it_shows_something(model: GPT2LMHeadModel) -> None:
    free = replies_to(model, CONTEXTS, list(range(6)))
    readable = torch.zeros(VOCAB_SIZE, dtype=torch.bool)
    readable[[7, 11, 20]] = True
    held = generate(
        model,
        CONTEXTS,
        context_indices=range(6),
        generation=SAMPLED,
        eos_id=EOS,
        vocab_size=VOCAB_SIZE,
        readable=readable,
    )
    shows = [bool(readable[r.token_ids].any()) for group in free for r in group if r.finished]
    assert not all(shows)
    ended = [r for group in held for r in group if r.finished]
    assert ended
    assert all(bool(readable[r.token_ids].any()) for r in ended)


def test_draws_depend_on_seed_context_and_place_alone() -> None:
    table = uniform_table(1, 2, num_samples=16, max_new_tokens=30)
    assert table.shape == (16, 30)
    assert table.dtype == np.float32
    assert table.min() >= 0
    assert table.max() < 1
    fewer = uniform_table(1, 2, num_samples=8, max_new_tokens=30)
    assert np.array_equal(fewer, table[:8])
    for other in ((1, 3), (2, 2), (-1, 2)):
        assert not np.array_equal(uniform_table(*other, num_samples=16, max_new_tokens=30), table)
    # 480 numbers of mean 1/2: the sixth of a standard error would be luck, six are a mistake.
    assert abs(table.mean() - 0.5) < 6 * (1 / 12 / 480) ** 0.5


def test_another_seed_gives_other_replies(model: GPT2LMHeadModel) -> None:
    other = GenerationConfig(num_samples=5, max_new_tokens=24, seed=8)
    first = replies_to(model, CONTEXTS, list(range(6)))
    second = replies_to(model, CONTEXTS, list(range(6)), generation=other)
    assert [ids_of(r) for r in first] != [ids_of(r) for r in second]


def test_an_empty_context_is_refused(model: GPT2LMHeadModel) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        replies_to(model, [[1, EOS], []], [0, 1])
    assert replies_to(model, [], []) == []


def test_a_context_without_room_for_a_reply_is_refused(model: GPT2LMHeadModel) -> None:
    full = [*[3] * 40, EOS]  # with 23 tokens that are read, all 64 positions
    replies_to(model, [full], [0], generation=GREEDY)
    with pytest.raises(ValueError, match=r"at most 64 tokens of context and reply.*found 65"):
        replies_to(model, [[3, *full]], [0], generation=GREEDY)


@pytest.mark.parametrize("method", ["greedy", "sample", "beam"])
def test_numbers_that_overflow_are_no_reply(method: Any) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    options = GenerationConfig(method=method, max_new_tokens=4)
    with pytest.raises(UserError, match=r"numbers overflow.*--precision fp32"):
        replies_to(model, CONTEXTS, list(range(6)), generation=options)


def test_a_reply_of_one_token_shows_something(model: GPT2LMHeadModel) -> None:
    readable = torch.zeros(VOCAB_SIZE, dtype=torch.bool)
    readable[[7, 11, 20]] = True
    groups = generate(
        model,
        CONTEXTS,
        context_indices=range(6),
        generation=GenerationConfig(max_new_tokens=1),
        eos_id=EOS,
        vocab_size=VOCAB_SIZE,
        readable=readable,
    )
    said = {token for group in groups for reply in group for token in reply.token_ids}
    assert said
    assert said <= {7, 11, 20}


def test_weights_that_change_are_seen() -> None:
    """Also where the output matrix has been copied, as for frozen models of 16 bits."""
    model = tiny_model().bfloat16().requires_grad_(False)
    before = replies_to(model, CONTEXTS, list(range(6)))
    model.load_state_dict(tiny_model(seed=5).state_dict())
    after = replies_to(model, CONTEXTS, list(range(6)))
    fresh = tiny_model(seed=5).bfloat16().requires_grad_(False)
    assert after == replies_to(fresh, CONTEXTS, list(range(6)))
    assert after != before


def test_the_coldest_temperature_is_greedy(model: GPT2LMHeadModel) -> None:
    cold = GenerationConfig(num_samples=2, max_new_tokens=24, temperature=1e-38)
    expected = replies_to(model, CONTEXTS, list(range(6)), generation=GREEDY)
    for group, (greedy,) in zip(
        replies_to(model, CONTEXTS, list(range(6)), generation=cold), expected, strict=True
    ):
        assert ids_of(group) == [greedy.token_ids] * 2
