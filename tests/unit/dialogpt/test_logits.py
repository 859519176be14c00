import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode import logits as logits_module
from dialogpt.decode.logits import (
    choose_tokens,
    draw_tokens,
    keep_top_p,
    largest,
)

# Few distinct values, so that ties are common; halves, so that sums are exact.
rows = st.lists(st.integers(-8, 8).map(lambda n: n / 2), min_size=1, max_size=12)


def kept(logits: Tensor) -> set[int]:
    return set(logits[0].isfinite().nonzero()[:, 0].tolist())


@given(
    row=st.lists(st.integers(-8, 8).map(lambda n: n / 2), min_size=1, max_size=40),
    k=st.integers(1, 9),
    piece=st.integers(1, 5),
)
def test_the_largest_are_the_first_of_a_stable_sort(row: list[float], k: int, piece: int) -> None:
    k = min(k, len(row))
    by_hand = sorted(sorted(range(len(row)), key=lambda index: -row[index])[:k])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logits_module, "_PIECE", piece)
        values, ids = largest(torch.tensor([row, row[::-1]]), k)
    assert ids[0].tolist() == by_hand
    assert values[0].tolist() == [row[index] for index in by_hand]


def test_the_largest_of_a_vocabulary_are_those_of_torch() -> None:
    logits = torch.randn(3, 50257, generator=torch.Generator().manual_seed(0))
    logits[1, -10:] += 9.0  # in the last piece, which is a short one
    values, ids = largest(logits, 10)
    expected = logits.topk(10).indices.sort().values
    assert torch.equal(ids, expected)
    assert torch.equal(values, logits.gather(1, expected))


@given(row=rows, p=st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_that_reaches_p(row: list[float], p: float) -> None:
    total = math.fsum(math.exp(value) for value in row)
    by_hand, reached = set(), 0.0
    for index in sorted(range(len(row)), key=lambda index: -row[index]):
        # Where rounding decides whether p is reached, either answer is right.
        if abs(reached - p) < 1e-5:
            return
        if reached >= p:
            break
        by_hand.add(index)
        reached += math.exp(row[index]) / total
    assert kept(keep_top_p(torch.tensor([row]), p)) == by_hand


def test_kept_logits_keep_their_values_and_forbidden_ones_stay_forbidden() -> None:
    logits = torch.tensor([[1.0, -math.inf, 3.0, 2.5]])
    assert keep_top_p(logits, 0.9).tolist() == [[-math.inf, -math.inf, 3.0, 2.5]]


@given(
    row=rows.filter(lambda row: len(row) > 1),
    u=st.floats(0, 1, exclude_max=True, width=32),
    forbidden=st.integers(0, 11),
)
def test_a_draw_is_the_inverse_of_the_cumulative_distribution(
    row: list[float], u: float, forbidden: int
) -> None:
    row[forbidden % len(row)] = -math.inf
    weights = [math.exp(value) for value in row]
    below = math.fsum(weights) * u
    token = int(draw_tokens(torch.tensor([row]), torch.tensor([u]))[0])
    assert weights[token] > 0
    slack = 1e-9 * math.fsum(weights)
    assert math.fsum(weights[:token]) <= below + slack
    assert below < math.fsum(weights[: token + 1]) + slack


def test_evenly_spread_numbers_draw_each_token_in_its_share() -> None:
    probabilities = torch.tensor([0.5, 0.0, 0.125, 0.375])
    uniforms = (torch.arange(8000) + 0.5) / 8000
    tokens = draw_tokens(probabilities.log().expand(8000, 4), uniforms)
    assert torch.bincount(tokens, minlength=4).tolist() == [4000, 0, 1000, 3000]


def test_greedy_takes_the_lowest_of_equal_ids() -> None:
    logits = torch.tensor([[0.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    greedy = GenerationConfig(method="greedy")
    assert choose_tokens(logits, torch.zeros(2), generation=greedy).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"top_k": 0}, {0, 1, 2, 3}),
        ({"top_k": 2}, {1, 3}),
        ({"top_k": 0, "top_p": 0.5}, {3}),
        # Temperature comes before top-p: the flattened distribution needs two tokens for 0.5.
        ({"top_k": 0, "top_p": 0.5, "temperature": 100.0}, {1, 3}),
    ],
)
def test_sampling_draws_from_what_temperature_top_k_and_top_p_leave(
    options: dict[str, float], expected: set[int]
) -> None:
    logits = torch.tensor([[0.5, 1.0, 0.0, 4.0]]).expand(4000, 4)
    uniforms = (torch.arange(4000) + 0.5) / 4000
    tokens = choose_tokens(logits, uniforms, generation=GenerationConfig(**options))
    assert set(tokens.tolist()) == expected


@pytest.mark.parametrize("options", [{"top_k": 3}, {"top_k": 5, "top_p": 0.6}])
def test_a_draw_among_the_top_k_is_a_draw_from_the_whole_row(options: dict[str, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(-4, 5, (500, 20), generator=generator).float()  # many are equal
    logits[:, 7] = -math.inf
    uniforms = torch.rand(500, generator=generator)
    generation = GenerationConfig(**options)
    # What is left of the whole row, the lowest ids first among equals.
    ranks = logits.sort(dim=-1, descending=True, stable=True).indices.argsort(dim=-1)
    top_k = logits.masked_fill(ranks >= generation.top_k, -math.inf)
    tokens = choose_tokens(logits, uniforms, generation=generation)
    assert torch.equal(tokens, draw_tokens(keep_top_p(top_k, generation.top_p), uniforms))
