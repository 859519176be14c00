import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support_decode import NUM_PADDING_IDS, tiny_model

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.generate import generate
from dialogpt.decode.restrictions import Restrictions, forbid_ngrams, last_turns

EOS = 0
VOCAB_SIZE = 40 - NUM_PADDING_IDS
CONTEXTS = [[5, 6, EOS], [*range(1, 30), EOS, *range(10, 30), EOS], [11, EOS, *range(1, 20), EOS]]
ids = st.lists(st.integers(0, 5), min_size=0, max_size=12)


def forbidden(logits: torch.Tensor) -> set[int]:
    return set((logits[0] == -math.inf).nonzero()[:, 0].tolist())


def following(said: list[int], text: list[int], n: int) -> set[int]:
    """Tokens that would complete an n-gram of a text, found by looking at each place."""
    last = said[len(said) - (n - 1) :] if n > 1 else []
    if len(said) < n - 1:
        return set()
    return {
        text[place + n - 1]
        for place in range(len(text) - n + 1)
        if text[place : place + n - 1] == last and text[place + n - 1] not in (EOS, -1)
    }


@given(said=ids, text=ids, n=st.integers(1, 4), padding=st.integers(0, 3))
def test_an_ngram_of_a_text_is_not_completed(
    said: list[int], text: list[int], n: int, padding: int
) -> None:
    logits = torch.zeros(1, 6)
    forbid_ngrams(
        logits,
        torch.tensor([said], dtype=torch.long),
        torch.tensor([[*text, *[-1] * padding]], dtype=torch.long),
        n,
        eos_id=EOS,
    )
    assert forbidden(logits) == following(said, text, n)


@pytest.mark.parametrize("method", ["greedy", "sample", "beam"])
def test_no_ngram_stands_twice_in_a_reply(method: Any) -> None:
    model = tiny_model(tied=True, num_positions=128)  # repeats itself, left to itself
    for n, repeats in ((0, True), (2, False), (3, False)):
        options = GenerationConfig(
            method=method, max_new_tokens=20, num_samples=4, top_k=3, beam_size=3, no_repeat_ngram=n
        )
        size = n or 3
        found = False
        for group in replies(model, options):
            for reply in group:
                ngrams = list(zip(*(reply[place:] for place in range(size)), strict=False))
                found |= len(set(ngrams)) < len(ngrams)
        assert found == repeats


@pytest.mark.parametrize("method", ["greedy", "sample", "beam"])
@pytest.mark.parametrize("num_turns", [1, 2])
def test_a_reply_does_not_copy_the_last_turns(method: Any, num_turns: int) -> None:
    model = tiny_model(tied=True, num_positions=128)
    for n, copies in ((0, True), (1, False)):
        options = GenerationConfig(
            method=method,
            max_new_tokens=20,
            num_samples=4,
            beam_size=3,
            no_copy_ngram=n,
            no_copy_turns=num_turns,
        )
        found = False
        for context, group in zip(CONTEXTS, replies(model, options), strict=True):
            seen = set(last_turns(context, num_turns, eos_id=EOS)) - {EOS}
            found |= any(seen & set(reply) for reply in group)
        assert found == copies


def replies(model: Any, options: GenerationConfig) -> list[list[list[int]]]:
    groups = generate(
        model,
        CONTEXTS,
        context_indices=range(3),
        generation=options,
        eos_id=EOS,
        vocab_size=VOCAB_SIZE,
    )
    return [[reply.token_ids for reply in group] for group in groups]


def test_the_last_turns_are_cut_at_ends_of_turns() -> None:
    context = [1, 2, EOS, 3, EOS, 4, 5, EOS]
    assert last_turns(context, 1, eos_id=EOS) == [4, 5, EOS]
    assert last_turns(context, 2, eos_id=EOS) == [3, EOS, 4, 5, EOS]
    for num_turns in (3, 4):
        assert last_turns(context, num_turns, eos_id=EOS) == context


def test_ids_beyond_the_vocabulary_and_an_early_end_are_forbidden() -> None:
    restrictions = Restrictions(
        generation=GenerationConfig(min_new_tokens=2),
        eos_id=1,
        vocab_size=3,
        readable=torch.tensor([True, False, False]),
        histories=None,
    )
    for said, expected in (
        ([], {1, 3, 4}),
        ([0], {1, 3, 4}),
        ([2, 2], {1, 3, 4}),  # shows nothing
        ([2, 0], {3, 4}),
    ):
        logits = torch.zeros(1, 5)
        token_ids = torch.tensor([[*said, *[0] * (4 - len(said))]])
        restrictions.apply(logits, token_ids, torch.tensor([0]), step=len(said))
        assert forbidden(logits) == expected
