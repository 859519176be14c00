"""When beam search may stop: rows whose probabilities are written by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.beam import beam_search
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.restrictions import Restrictions

EOS, A, B = 0, 1, 2
LONGEST = 20
Rule = Callable[[tuple[int, ...]], tuple[float, float, float]]


class Written:
    """Rows of a model that gives (EOS, A, B) the probabilities of a rule."""

    def __init__(self, rule: Rule, num_rows: int) -> None:
        self._rule = rule
        self._said: list[tuple[int, ...]] = [()] * num_rows
        self.numbers = torch.arange(num_rows)
        self.num_read = 0

    @property
    def logits(self) -> Tensor:
        rows = [[math.log(p) for p in self._rule(said)] for said in self._said]
        return torch.tensor(rows)

    def advance(self, tokens: Tensor) -> None:
        self.num_read += 1
        self._said = [(*s, t) for s, t in zip(self._said, tokens.tolist(), strict=True)]

    def reorder(self, parents: Tensor) -> None:
        self._said = [self._said[parent] for parent in parents.tolist()]

    def keep(self, indices: Tensor) -> None:
        self.reorder(indices)
        self.numbers = self.numbers[indices]


def search(rule: Rule, num_wanted: int | None) -> tuple[list[GeneratedReply], int]:
    generation = GenerationConfig(
        method="beam", beam_size=2, length_penalty=0.0, max_new_tokens=LONGEST
    )
    steps: Any = Written(rule, 2)
    restrictions = Restrictions(
        generation=generation, eos_id=EOS, vocab_size=3, readable=None, histories=None
    )
    (replies,) = beam_search(steps, restrictions, num_contexts=1, num_wanted=num_wanted)
    return replies, steps.num_read


def late_winner(said: tuple[int, ...]) -> tuple[float, float, float]:
    """All A is nearly sure, and ends after twelve; a B is rare, and ends the reply soon."""
    if B in said:
        return 0.99, 0.005, 0.005
    return (0.98, 0.01, 0.01) if len(said) == 12 else (0.0001, 0.9899, 0.01)


def early_winner(said: tuple[int, ...]) -> tuple[float, float, float]:
    """The first A nearly ends it; nothing that goes on can be as likely, and nothing ends."""
    return (0.9, 0.05, 0.05) if said == (A,) else (1e-6, 0.6, 0.4 - 1e-6)


@pytest.mark.parametrize("num_wanted", [1, 2, None])
def test_a_beginning_that_can_still_win_is_waited_for(num_wanted: int | None) -> None:
    replies, _ = search(late_winner, num_wanted)
    assert replies[0].token_ids == [A] * 12
    assert replies[0].finished
    expected = 12 * math.log(0.9899) + math.log(0.98)
    assert replies[0].forward_log_prob == pytest.approx(expected, abs=1e-4)


def test_one_that_is_wanted_alone_ends_the_search_when_nothing_can_beat_it() -> None:
    replies, num_read = search(early_winner, 1)
    everything, num_read_for_all = search(early_winner, None)
    assert replies[0] == everything[0]
    assert replies[0].token_ids == [A]
    assert num_read < num_read_for_all == LONGEST - 1
