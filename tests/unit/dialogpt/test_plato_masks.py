"""Who depends on whom, by gradients of the network itself: invariants 1 to 7 and 9 of PLATO."""

import numpy as np
import pytest
import torch

from dialogpt.config.plato import PlatoConfig
from dialogpt.plato.attention import Attention, visible
from dialogpt.plato.spans import make_spans
from tests.support_plato import batch, example, model

KIND = torch.float64


def dependence(plato, spans, columns, *, place, latent):
    """(N,) bool: whether the last state at a place depends on the embedding of each place."""
    network = plato.network
    stream = network.embed(columns, spans.latent_places, latent, KIND).detach().requires_grad_()
    attention = Attention(spans, "padded")
    states = stream
    for block in network.blocks:
        states = block(states, attention)
    (gradient,) = torch.autograd.grad(states[place].pow(3).sum(), stream)
    return (gradient != 0).any(dim=1)


def one_row(plato):
    made = batch(plato, example(4))
    start, prefix = 0, int(made.generation.prefix_starts[1])
    end = made.num_generated
    return made, start, prefix, end


@pytest.mark.parametrize("blocks", ["bert", "gpt2"])
def test_generation_sees_the_context_whole_and_the_response_backwards(blocks):
    plato = model(blocks=blocks)
    made, _, prefix, end = one_row(plato)
    columns = made.columns[:, :end]
    latent = plato.network.latents.weight[:1]
    for place in range(end):
        seen = dependence(plato, made.generation, columns, place=place, latent=latent)
        expected = torch.zeros(end, dtype=torch.bool)
        expected[: max(prefix, place + 1)] = True
        assert seen.tolist() == expected.tolist(), place


def test_recognition_sees_everything():
    plato = model()
    made, _, _, end = one_row(plato)
    spans = make_spans(np.array([0, end]), np.array([3]), recognition=True)
    mask = plato.network.mask[None]
    for place in range(end):
        seen = dependence(plato, spans, made.columns[:, :end], place=place, latent=mask)
        assert seen.all()


def test_a_blind_context_depends_on_no_latent_and_the_response_does():
    plato = model(PlatoConfig(num_latents=3, latent_visible_to_context=False))
    made, _, prefix, end = one_row(plato)
    latent = plato.network.latents.weight[:1]
    for place in range(end):
        seen = dependence(plato, made.generation, made.columns[:, :end], place=place, latent=latent)
        assert seen[0] == (place == 0 or place >= prefix)
        assert seen[1:prefix].all()


def test_a_causal_context_without_a_latent_sees_what_is_before_it():
    plato = model(PlatoConfig(num_latents=0, bidirectional_context=False), blocks="gpt2")
    made, _, _, end = one_row(plato)
    columns = made.columns[:, :end]
    for place in range(end):
        seen = dependence(plato, made.generation, columns, place=place, latent=None)
        assert seen.tolist() == [other <= place for other in range(end)]


def test_rows_of_a_batch_do_not_see_one_another():
    plato = model()
    made = batch(plato, example(1), example(2), example(3))
    latent = plato.network.latents.weight
    starts = made.generation.starts.tolist()
    for row, place in enumerate(starts[:-1]):
        seen = dependence(
            plato,
            made.generation,
            made.columns[:, : made.num_generated],
            place=place,
            latent=latent,
        )
        assert not seen[: starts[row]].any()
        assert not seen[starts[row + 1] :].any()


def test_padding_sees_itself_and_nobody_sees_it():
    spans = make_spans(np.array([0, 6, 13]), np.array([2, 2]))
    (group,) = spans.groups
    mask = visible(spans, group)[:, 0]
    assert mask.shape == (2, 7, 7)
    assert mask[0, :6, 6:].sum() == 0
    assert mask[0, 6:].sum(dim=1).min() >= 1
    assert torch.equal(mask.diagonal(dim1=1, dim2=2), torch.ones(2, 7, dtype=torch.bool))


def test_rows_of_unlike_length_are_not_padded_together():
    lengths = np.array([100, 6, 7, 8, 9, 75])
    spans = make_spans(np.concatenate([[0], np.cumsum(lengths)]), np.full(6, 2))
    assert [group.lengths.tolist() for group in spans.groups] == [[6, 7, 8], [9], [75, 100]]
    places = torch.cat([group.places for group in spans.groups])
    assert sorted(places.tolist()) == list(range(lengths.sum()))


def test_only_the_latent_carries_the_response_to_what_comes_before_it():
    plato = model().eval()
    made = batch(plato, example(4))
    columns = made.columns[:, : made.num_generated]
    latent = plato.network.latents.weight[1:2]
    before = plato.states(columns, made.generation, latent, KIND)
    changed = columns.clone()
    changed[0, -2] = (changed[0, -2] - 5 + 1) % 30 + 5  # the last word of the response
    after = plato.states(changed, made.generation, latent, KIND)
    assert torch.equal(before[:-2], after[:-2])
    assert not torch.equal(before[-2], after[-2])


@pytest.mark.parametrize("hides", [False, True])
def test_keys_of_the_context_follow_the_latent_from_the_second_block_on(hides):
    plato = model(PlatoConfig(num_latents=3, latent_visible_to_context=not hides))
    made, _, prefix, end = one_row(plato)
    attention = Attention(made.generation, "padded")
    keys = []
    for latent in plato.network.latents.weight[:2]:
        stream = plato.network.embed(
            made.columns[:, :end], made.generation.latent_places, latent[None], KIND
        )
        found = []
        for block in plato.network.blocks:
            found.append(block.queries_keys_values(stream)[1:prefix, 1])
            stream = block(stream, attention)
        keys.append(found)
    assert torch.equal(keys[0][0], keys[1][0])
    assert torch.equal(keys[0][1], keys[1][1]) == hides
