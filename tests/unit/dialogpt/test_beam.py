import itertools
from typing import Any

import pytest
import torch
from support_decode import tiny_model

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.generate import generate
from dialogpt.decode.replies import GeneratedReply

EOS = 0
CONTEXTS = [[5, 2, EOS], [1, EOS], [3, EOS, EOS, 4, 2, EOS], [4, 4, 4, EOS]]


def replies_to(
    model: Any, contexts: list[list[int]], vocab_size: int, **options: Any
) -> list[list[GeneratedReply]]:
    return generate(
        model,
        contexts,
        context_indices=range(len(contexts)),
        generation=GenerationConfig(method="beam", **options),
        eos_id=EOS,
        vocab_size=vocab_size,
    )


def log_prob(model: Any, context: list[int], said: list[int]) -> float:
    with torch.no_grad():
        rows = model(torch.tensor([context + said])).logits[0].log_softmax(-1)
    return sum(float(rows[len(context) - 1 + i, token]) for i, token in enumerate(said))


@pytest.mark.parametrize("length_penalty", [0.0, 1.5])
def test_with_enough_beams_the_best_of_all_replies_are_found(length_penalty: float) -> None:
    """Against a look at every reply of at most three tokens and their end."""
    vocab_size, longest = 6, 4
    model = tiny_model(vocab_size=vocab_size, seed=4)
    every = [
        [*said, EOS]
        for length in range(1, longest)
        for said in itertools.product(range(1, vocab_size), repeat=length)
    ]
    # So many that no beginning is lost, not even at the last step.
    options = {"beam_size": 400, "max_new_tokens": longest, "length_penalty": length_penalty}
    found = replies_to(model, CONTEXTS, vocab_size, **options)
    for context, replies in zip(CONTEXTS, found, strict=True):
        scores = {
            tuple(said[:-1]): log_prob(model, context, said) / len(said) ** length_penalty
            for said in every
        }
        finished = [reply for reply in replies if reply.finished]
        got = [scores[tuple(reply.token_ids)] for reply in finished]
        assert got == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-4)
        assert len({tuple(reply.token_ids) for reply in replies}) == 400
        assert replies[: len(finished)] == finished
        for reply in finished:
            length = len(reply.token_ids) + 1
            by_hand = scores[tuple(reply.token_ids)] * length**length_penalty
            assert reply.forward_log_prob == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("beams", [1, 3, 10])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_each_step_keeps_the_best_beginnings(beams: int, length_penalty: float) -> None:
    """Against a search that runs the whole model for every beginning and stops at nothing."""
    vocab_size, longest = 12, 20
    model = tiny_model(vocab_size=vocab_size, seed=5)
    options = {"beam_size": beams, "max_new_tokens": longest, "length_penalty": length_penalty}
    found = replies_to(model, CONTEXTS, vocab_size, **options)
    for context, replies in zip(CONTEXTS, found, strict=True):
        expected = naive_beam_search(model, context, beams, longest, length_penalty)
        assert [(r.token_ids, r.finished) for r in replies] == expected
    if beams > 1:
        assert len({len(r.token_ids) for replies in found for r in replies}) > 1


def naive_beam_search(
    model: Any, context: list[int], beams: int, longest: int, length_penalty: float
) -> list[tuple[list[int], bool]]:
    alive: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[tuple[float, list[int]]] = []
    for step in range(longest):
        rows = torch.tensor([context + said for _, said in alive])
        with torch.no_grad():
            logits = model(rows).logits[:, -1].log_softmax(-1)
        if step == 0:
            logits[:, EOS] = float("-inf")
        candidates = [
            (total + float(row[token]), [*said, token])
            for (total, said), row in zip(alive, logits, strict=True)
            for token in range(len(row))
        ]
        candidates = sorted(candidates, key=lambda pair: -pair[0])[: 2 * beams]
        finished += [
            (total / (step + 1) ** length_penalty, said[:-1])
            for total, said in candidates
            if said[-1] == EOS
        ]
        alive = [pair for pair in candidates if pair[1][-1] != EOS][:beams]
    finished.sort(key=lambda pair: -pair[0])
    cut = [(said, False) for _, said in alive]
    return [*((said, True) for _, said in finished), *cut][:beams]


def test_a_context_gets_the_same_replies_whatever_shares_the_batch() -> None:
    model = tiny_model(seed=6)
    options = {"beam_size": 4, "max_new_tokens": 30}
    together = replies_to(model, CONTEXTS, 35, **options)
    for context, replies in zip(CONTEXTS, together, strict=True):
        (alone,) = replies_to(model, [context], 35, **options)
        assert [r.token_ids for r in alone] == [r.token_ids for r in replies]


def test_one_beam_is_greedy_until_the_end() -> None:
    model = tiny_model(seed=2, vocab_size=12)
    options = {"max_new_tokens": 24}
    greedy = generate(
        model,
        CONTEXTS,
        context_indices=range(4),
        generation=GenerationConfig(method="greedy", **options),
        eos_id=EOS,
        vocab_size=12,
    )
    beam = replies_to(model, CONTEXTS, 12, beam_size=1, length_penalty=0.0, **options)
    ended = 0
    for (one,), (other,) in zip(greedy, beam, strict=True):
        # The search may take an end that greedy choice passes by; it is never less likely.
        if one.finished:
            ended += 1
            assert other.forward_log_prob >= one.forward_log_prob - 1e-4
    assert ended
