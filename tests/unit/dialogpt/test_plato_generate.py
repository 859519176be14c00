"""Candidates of PLATO's latents, against passes over whole rows of one candidate alone."""

from typing import Any

import pytest
import torch
from support_plato_decode import (
    BOU,
    CONTEXTS,
    EOU,
    NUM_LATENTS,
    TOKENS,
    UNKNOWN,
    full_logits,
    tiny_plato,
)

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.steps import Steps
from dialogpt.plato import prefill as prefill_module
from dialogpt.plato.engine import PlatoEngine
from dialogpt.plato.generate import Candidate, generate
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.prefill import PlatoPrefill
from dialogpt.plato.sequence import Columns

KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "gpt2 blocks": {"blocks": "gpt2"},
    "blind": {"visible": False},
    "no latent": {"num_latents": 0},
    "no latent, causal": {"num_latents": 0, "causal": True, "blocks": "gpt2"},
}
BEAM = {"method": "beam", "beam_size": 4, "length_penalty": 0.0}
METHODS: dict[str, dict[str, Any]] = {
    "beam": BEAM,
    "greedy": {"method": "greedy"},
    "sample": {"method": "sample", "samples_per_latent": 2, "num_samples": 2, "temperature": 0.9},
}


def candidates(
    model: PlatoModel, contexts: list[Columns], *, first: int = 0, **options: Any
) -> list[list[Candidate]]:
    return generate(
        PlatoEngine(model),
        contexts,
        layout=model.layout(),
        context_indices=range(first, first + len(contexts)),
        generation=GenerationConfig(**{"max_new_tokens": 12, **options}),
        tokens=TOKENS,
    )


def steps_of(
    model: PlatoModel, contexts: list[Columns], *, rows_per_latent: int, max_new_tokens: int = 6
) -> tuple[Steps, PlatoPrefill]:
    prefill = PlatoPrefill(
        engine=PlatoEngine(model),
        layout=model.layout(),
        contexts=contexts,
        bou_id=BOU,
        rows_per_latent=rows_per_latent,
    )
    steps = Steps(
        prefill.engine,
        prefill,
        rows_per_context=prefill.rows_per_context,
        max_new_tokens=max_new_tokens,
    )
    return steps, prefill


def same(found: list[list[Candidate]], expected: list[list[Candidate]]) -> None:
    assert [
        [(c.latent, c.reply.token_ids, c.reply.finished) for c in group] for group in found
    ] == [[(c.latent, c.reply.token_ids, c.reply.finished) for c in group] for group in expected]
    for group, others in zip(found, expected, strict=True):
        log_probs = [c.reply.forward_log_prob for c in group]
        assert log_probs == pytest.approx([c.reply.forward_log_prob for c in others], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_cached_steps_give_the_logits_of_a_whole_pass_for_every_latent_also_after_reordering(
    kind: str,
) -> None:
    model = tiny_plato(**KINDS[kind])
    beams = 3
    steps, _ = steps_of(model, CONTEXTS, rows_per_latent=beams)
    latents = list(range(NUM_LATENTS)) if model.has_latent else [None]
    rows = [(n, latent) for n in range(len(CONTEXTS)) for latent in latents for _ in range(beams)]
    said: list[list[int]] = [[] for _ in rows]
    generator = torch.Generator().manual_seed(3)

    def compare() -> None:
        for (number, latent), reply, logits in zip(rows, said, steps.logits, strict=True):
            expected = full_logits(model, CONTEXTS[number], latent, reply)[-1]
            torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)

    compare()
    for step in range(4):
        if step == 2:  # some rows leave, those of the first context all
            kept = [n for n in range(len(rows)) if n % 4 and n >= len(rows) // len(CONTEXTS)]
            steps.keep(torch.tensor(kept))
            rows, said = [rows[n] for n in kept], [said[n] for n in kept]
            parents = torch.arange(len(rows))
        else:
            within = torch.randint(beams, (len(rows),), generator=generator)
            parents = torch.arange(len(rows)) // beams * beams + within
        if step == 3:
            parents = torch.tensor([rows.index(row) for row in rows])  # the first of each latent
        tokens = torch.randint(4, 37, (len(rows),), generator=generator)
        said = [[*said[p], t] for p, t in zip(parents.tolist(), tokens.tolist(), strict=True)]
        steps.reorder(parents)
        steps.advance(tokens)
        compare()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["bert", "blind", "no latent"])
def test_a_batch_gives_what_each_context_alone_gives(kind: str, method: str) -> None:
    model = tiny_plato(**KINDS[kind])
    found = candidates(model, CONTEXTS, first=5, **METHODS[method])
    alone = [
        candidates(model, [context], first=5 + number, **METHODS[method])[0]
        for number, context in enumerate(CONTEXTS)
    ]
    same(found, alone)
    assert len({tuple(c.reply.token_ids) for group in found for c in group}) >= len(CONTEXTS)


@pytest.mark.parametrize("kind", ["bert", "blind", "no latent, causal"])
def test_contexts_read_in_parts_give_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_plato(**KINDS[kind])
    whole = candidates(model, CONTEXTS, **BEAM)
    monkeypatch.setattr(prefill_module, "_PLACES_AT_ONCE", 60)
    same(candidates(model, CONTEXTS, **BEAM), whole)


@pytest.mark.parametrize("kind", ["bert", "blind", "no latent"])
def test_beam_search_finds_what_a_search_without_a_cache_finds(kind: str) -> None:
    model = tiny_plato(**KINDS[kind], seed=0)
    model.network.tokens.weight[EOU] *= 2  # else few replies end
    contexts = CONTEXTS[1:3]
    found = candidates(model, contexts, **{**BEAM, "beam_size": 3, "max_new_tokens": 11})
    lengths = set()
    for context, group in zip(contexts, found, strict=True):
        for candidate in group if model.has_latent else group[:1]:
            expected = naive_beam_search(model, context, candidate.latent, beams=3, longest=11)
            assert (candidate.reply.token_ids, candidate.reply.finished) == expected
            lengths.add(len(candidate.reply.token_ids))
    assert len(lengths) > 1


def naive_beam_search(
    model: PlatoModel, context: Columns, latent: int | None, *, beams: int, longest: int
) -> tuple[list[int], bool]:
    """The best reply that has ended, else the best beginning; summed log-probabilities."""
    alive: list[tuple[float, list[int]]] = [(0.0, [])]
    ended: list[tuple[float, list[int]]] = []
    for step in range(longest):
        grown = []
        for log_prob, said in alive:
            row = full_logits(model, context, latent, said)[-1].log_softmax(-1)
            row[TOKENS.forbidden] = float("-inf")
            row[TOKENS.vocab_size :] = float("-inf")
            if step == 0:
                row[EOU] = float("-inf")
            values, ids = row.topk(2 * beams)
            for value, token in zip(values.tolist(), ids.tolist(), strict=True):
                grown.append((log_prob + value, [*said, token]))
        grown.sort(key=lambda pair: -pair[0])
        grown = grown[: 2 * beams]
        ended += [(value, said) for value, said in grown if said[-1] == EOU]
        alive = [(value, said) for value, said in grown if said[-1] != EOU][:beams]
    if ended:
        return max(ended)[1][:-1], True
    return alive[0][1], False


@pytest.mark.parametrize("kind", ["bert", "blind"])
def test_a_prefix_that_beams_share_gives_what_a_copy_for_each_gives(kind: str) -> None:
    """Copies are contexts of their own here, each with one row for every latent."""
    model = tiny_plato(**KINDS[kind])
    beams = 3
    shared, prefill = steps_of(model, CONTEXTS[:2], rows_per_latent=beams)
    copied, _ = steps_of(
        model, [context for context in CONTEXTS[:2] for _ in range(beams)], rows_per_latent=1
    )
    # Shared rows are (context, latent, beam), copied ones (context, beam, latent).
    order = torch.arange(2 * beams * NUM_LATENTS).view(2, NUM_LATENTS, beams).transpose(1, 2)
    for token in (5, 9, 6):
        torch.testing.assert_close(shared.logits[order.flatten()], copied.logits)
        tokens = torch.full((len(shared.logits),), token) + torch.arange(len(shared.logits)) % 3
        shared.advance(tokens)
        copied.advance(tokens[order.flatten()])
    assert len(prefill.lengths) == 2 * (1 if kind == "blind" else NUM_LATENTS)


def test_keys_and_values_of_a_context_that_does_not_see_the_latent_are_read_once_for_all() -> None:
    """And are those that it has in a whole row, whatever the latent."""
    model = tiny_plato(visible=False)
    steps, _ = steps_of(model, CONTEXTS[:2], rows_per_latent=2)
    cache = steps._space.cache
    assert cache.contexts.shape[1] == 2
    length = CONTEXTS[0].shape[1]
    for latent in range(NUM_LATENTS):
        found = keys_and_values(model, CONTEXTS[0], latent)[:, 1 : 1 + length]
        torch.testing.assert_close(cache.contexts[:, 0, :length], found, atol=1e-5, rtol=1e-5)
    sees = tiny_plato(visible=True)
    first, second = (keys_and_values(sees, CONTEXTS[0], latent)[:, 1:] for latent in (0, 1))
    torch.testing.assert_close(first[0], second[0])
    assert float((first[1] - second[1]).abs().max()) > 0.1


def keys_and_values(model: PlatoModel, context: Columns, latent: int) -> torch.Tensor:
    """(blocks, places, 2, heads, width) of a row [z, context, [BOU]]."""
    kept = []
    hooks = [block.qkv.register_forward_hook(lambda *_: None) for block in model.network.blocks]
    for hook in hooks:
        hook.remove()
    original = model.network.step

    def step(block: Any, stream: torch.Tensor, attention: Any) -> torch.Tensor:
        kept.append(block.queries_keys_values(stream)[:, 1:])
        return original(block, stream, attention)

    model.network.step = step
    full_logits(model, context, latent, [])
    model.network.step = original
    return torch.stack(kept)


def test_draws_depend_on_seed_context_and_latent_and_on_nothing_else() -> None:
    model = tiny_plato()
    # All latents alike: what differs between them is what was drawn.
    model.network.latents.weight[:] = model.network.latents.weight[:1]
    options = {"method": "sample", "max_new_tokens": 10}
    (one,) = candidates(model, CONTEXTS[:1], first=7, samples_per_latent=1, **options)
    (three,) = candidates(model, CONTEXTS[:1], first=7, samples_per_latent=3, **options)
    assert [c.latent for c in three] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    same([one], [three[::3]])
    assert len({tuple(c.reply.token_ids) for c in one}) == NUM_LATENTS
    (other,) = candidates(model, CONTEXTS[:1], first=8, samples_per_latent=1, **options)
    assert [c.reply.token_ids for c in other] != [c.reply.token_ids for c in one]


def test_no_reply_is_empty_or_holds_a_forbidden_token() -> None:
    for seed in range(3):
        model = tiny_plato(seed=seed)
        # What is forbidden would be all that is said: the table makes its logits large.
        for token in (0, BOU, UNKNOWN, 38):
            model.network.tokens.weight[token] *= 8
        for options in METHODS.values():
            for group in candidates(model, CONTEXTS, **options):
                for candidate in group:
                    ids = candidate.reply.token_ids
                    assert ids
                    assert not {0, BOU, UNKNOWN, EOU} & set(ids)
                    assert max(ids) < TOKENS.vocab_size


def test_a_beam_that_has_not_ended_counts_only_where_none_has() -> None:
    model = tiny_plato(seed=2)
    kinds = set()
    for longest in (1, 2, 3, 5):
        for group in candidates(model, CONTEXTS, **{**BEAM, "max_new_tokens": longest}):
            for candidate in group:
                kinds.add(candidate.reply.finished)
                if not candidate.reply.finished:
                    assert len(candidate.reply.token_ids) == longest
    assert kinds == {True, False}
