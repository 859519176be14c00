"""PLATO's objective against plain formulas, and what must not change it: invariants 7 to 19."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dialogpt.config.plato import PlatoConfig
from dialogpt.plato.batch import make_batch
from dialogpt.plato.latent import UsageSums, sample_latent, usage
from dialogpt.plato.measure import bounds, latent_nlls, measured_sums, response_nlls
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import PlatoNetwork
from tests.support_plato import VOCAB_SIZE, batch, example, model, sizes

KIND = torch.float64


def losses(plato, made):
    return {name: value.item() for name, value in plato(made).items()}


@pytest.mark.parametrize("blocks", ["bert", "gpt2"])
def test_losses_are_the_formulas_of_the_paper(blocks):
    plato = model(blocks=blocks).eval()
    made = batch(plato, example(1))
    found = losses(plato, made)
    rows = {}
    for name, response in (("true", example(1).response), ("false", example(1).negative)):
        alone = make_batch([replace(example(1), response=response, negative=None)], plato.layout())
        states = plato.states(alone.columns, alone.recognition, plato.network.mask[None], KIND)
        rows[name] = alone, states[0]
    alone, state = rows["true"]
    posterior = F.linear(state, plato.posterior.weight, plato.posterior.bias).softmax(dim=0)
    latent = plato.network.latents.weight[int(posterior.argmax())]
    states = plato.states(alone.columns, alone.generation, latent[None], KIND)
    prefix = int(alone.generation.prefix_starts[1])
    targets = alone.columns[0, prefix + 1 :]
    scores = (states[prefix:-1] @ plato.network.tokens.weight.T).log_softmax(dim=1)
    bag = F.linear(states[0], plato.bag_of_words.weight, plato.bag_of_words.bias).log_softmax(0)
    head = [float(F.linear(rows[n][1], plato.selection.weight, plato.selection.bias)) for n in rows]
    sigmoid = [1 / (1 + math.exp(-value)) for value in head]
    assert found["nll"] == pytest.approx(-float(scores.gather(1, targets[:, None]).sum()))
    assert found["bow"] == pytest.approx(-float(bag[targets].sum()))
    assert found["selection"] == pytest.approx(-math.log(sigmoid[0]) - math.log(1 - sigmoid[1]))


@pytest.mark.parametrize("num_latents", [0, 3])
def test_a_batch_is_the_sum_of_its_examples(num_latents):
    plato = model(PlatoConfig(num_latents=num_latents)).eval()
    parts = [example(seed, negative=num_latents > 0) for seed in (3, 5, 8, 13)]
    together = losses(plato, batch(plato, *parts))
    alone = [losses(plato, batch(plato, part)) for part in parts]
    for name, value in together.items():
        assert value == pytest.approx(sum(one[name] for one in alone), rel=1e-12), name


def test_gradients_of_a_batch_are_those_of_its_examples():
    plato = model(dropout=0.0).eval()
    parts = [example(seed) for seed in (3, 5, 8)]
    wanted = {name: torch.zeros_like(p) for name, p in plato.named_parameters()}
    for part in parts:
        plato.zero_grad()
        sum(plato(batch(plato, part)).values()).backward()
        for name, parameter in plato.named_parameters():
            if parameter.grad is not None:
                wanted[name] += parameter.grad
    plato.zero_grad()
    sum(plato(batch(plato, *parts)).values()).backward()
    for name, parameter in plato.named_parameters():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, wanted[name], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("how", ["soft", "straight_through", "sample"])
def test_a_batch_without_examples_adds_nothing_and_reaches_every_parameter(how):
    plato = model(PlatoConfig(num_latents=3, entropy_weight=0.5, latent_sample=how)).train()
    made = make_batch([], plato.layout())
    found = plato(made)
    assert [float(value) for value in found.values()] == [0.0] * 4
    sum(found.values()).backward()
    for name, parameter in plato.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name
    assert plato.usage.take() == []


def test_zeroed_heads_know_nothing():
    plato = model().eval()
    made = batch(plato, example(1), example(2))
    with torch.no_grad():
        for head in (plato.bag_of_words, plato.selection):
            head.weight.zero_()
            head.bias.zero_()
    found = losses(plato, made)
    assert found["bow"] == pytest.approx(made.num_target_tokens * math.log(VOCAB_SIZE))
    assert found["selection"] == pytest.approx(2 * 2 * math.log(2))


@pytest.mark.parametrize(
    ("how", "reaches"), [("soft", True), ("straight_through", True), ("sample", False)]
)
def test_what_is_generated_teaches_the_posterior_through_soft_samples_alone(how, reaches):
    config = PlatoConfig(num_latents=3, latent_sample=how, selection_weight=0.0)
    plato = model(config).train()
    found = plato(batch(plato, example(1, negative=False)))
    (found["nll"] + found["bow"]).backward()
    # Where none reaches it is zero and not absent: several ranks wait for all of them.
    assert bool(plato.posterior.weight.grad.any()) == reaches


def test_dropout_is_for_training_alone():
    plato = model(PlatoConfig(num_latents=0), dropout=0.5)
    made = batch(plato, example(1, negative=False))
    torch.manual_seed(0)
    training = [losses(plato.train(), made)["nll"] for _ in range(2)]
    assert training[0] != training[1]
    evaluated = [losses(plato.eval(), made)["nll"] for _ in range(2)]
    assert evaluated[0] == evaluated[1]
    assert evaluated == [losses(model(PlatoConfig(num_latents=0)).train(), made)["nll"]] * 2


def test_evaluation_takes_the_most_probable_latent_and_teaches_no_posterior():
    plato = model(PlatoConfig(num_latents=3, selection_weight=0.0)).eval()
    found = plato(batch(plato, example(1, negative=False)))
    (found["nll"] + found["bow"]).backward()
    assert plato.posterior.weight.grad is None or not plato.posterior.weight.grad.any()


def test_one_latent_leaves_nothing_to_chance():
    plato = model(PlatoConfig(num_latents=1)).train()
    made = batch(plato, example(1), example(2))
    assert losses(plato, made) == losses(plato, made)


def test_samples_follow_the_posterior():
    torch.manual_seed(0)
    log_posterior = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(40_000, -1)
    for how in ("sample", "straight_through"):
        shares = sample_latent(log_posterior, how, temperature=0.67).mean(dim=0)
        assert torch.allclose(shares, log_posterior[0].exp(), atol=0.01)
    soft = sample_latent(log_posterior, "soft", temperature=0.67)
    assert torch.allclose(soft.sum(dim=1), torch.ones(40_000), atol=1e-5)
    assert soft.max(dim=1).values.mean() < 0.95
    cold = sample_latent(log_posterior, "soft", temperature=1e-3)
    assert (cold.max(dim=1).values > 0.99).float().mean() > 0.98


def test_numbering_of_latents_means_nothing():
    plato, other = model().eval(), model(seed=7).eval()
    other.load_state_dict(plato.state_dict())
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        other.network.latents.weight.copy_(plato.network.latents.weight[order])
        other.posterior.weight.copy_(plato.posterior.weight[order])
        other.posterior.bias.copy_(plato.posterior.bias[order])
    made = batch(plato, example(1), example(2))
    assert losses(plato, made) == pytest.approx(losses(other, made))


def test_swapped_responses_swap_the_answers_of_selection():
    plato = model().eval()
    first = example(6)
    swapped = replace(first, response=first.negative, negative=first.response)
    logits = [plato.recognize(batch(plato, e), KIND).logits.tolist() for e in (first, swapped)]
    assert logits[0] == pytest.approx(logits[1][::-1])


def test_numbers_of_all_latents_are_in_order():
    plato = model().eval()
    made = batch(plato, *(example(seed) for seed in range(6)))
    with torch.no_grad():
        nlls = latent_nlls(plato, made, KIND)
        log_posterior = plato.recognize(made, KIND).log_posterior
    found = {name: float(value) for name, value in bounds(nlls, log_posterior).items()}
    log_k = 6 * math.log(3)
    assert found["best"] < found["marginal"] < found["bound"]
    assert found["marginal"] < found["best"] + log_k
    chosen = nlls.gather(1, log_posterior.argmax(dim=1, keepdim=True)).sum()
    assert losses(plato, made)["nll"] == pytest.approx(float(chosen))
    with torch.no_grad():
        plato.network.latents.weight.copy_(plato.network.latents.weight[:1].expand(3, -1).clone())
        same = latent_nlls(plato, made, KIND)
    uniform = torch.full_like(same, -math.log(3))
    alike = {name: float(value) for name, value in bounds(same, uniform).items()}
    assert alike["best"] == pytest.approx(alike["marginal"])
    assert alike["bound"] == pytest.approx(alike["marginal"])


def test_responses_are_measured_as_the_loss_measures_them():
    plato = model(PlatoConfig(num_latents=0)).eval()
    made = batch(plato, *(example(seed, negative=False) for seed in range(4)))
    with torch.no_grad():
        states = plato.generate(made, None, KIND)
        found = response_nlls(plato, states, made)
    assert float(found.sum()) == pytest.approx(losses(plato, made)["nll"], rel=1e-6)
    alone = [losses(plato, batch(plato, example(seed, negative=False)))["nll"] for seed in range(4)]
    assert found.tolist() == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("all_latents", [False, True])
@pytest.mark.parametrize("num_latents", [0, 3])
def test_an_empty_batch_is_measured_under_the_same_names(num_latents, all_latents):
    plato = model(PlatoConfig(num_latents=num_latents, entropy_weight=0.1)).eval()
    all_latents = all_latents and num_latents > 0
    found = []
    for made in (batch(plato, example(1, negative=num_latents > 0)), batch(plato)):
        with torch.no_grad():
            found.append(measured_sums(plato, made, UsageSums(), all_latents=all_latents))
    assert list(found[0]) == list(found[1])
    assert {float(value) for value in found[1].values()} == {0.0}


def test_right_are_true_responses_above_even_odds_and_negatives_below():
    plato = model(seed=3).eval()
    made = batch(plato, *(example(seed) for seed in range(9)))
    with torch.no_grad():
        logits = plato.recognize(made, KIND).logits.tolist()
        right = float(measured_sums(plato, made, UsageSums(), all_latents=False)["right"])
    wanted = [value > 0 for value in logits[:9]] + [value < 0 for value in logits[9:]]
    assert right == sum(wanted)
    # Were negatives taken for true ones, another number would come out.
    assert right != sum(value > 0 for value in logits)


def test_reductions_count_responses_or_tokens():
    for reduction, by_token in (("sum", False), ("token_mean", True)):
        plato = model(PlatoConfig(num_latents=3, reduction=reduction))
        made = batch(plato, example(1), example(2))
        expected = made.num_target_tokens if by_token else 2
        assert plato.loss_counts(made) == {"nll": expected, "bow": expected, "selection": 2}
        alone = batch(plato, example(1, negative=False), example(2, negative=False))
        assert plato.loss_counts(alone)["selection"] == 0


def test_weights_scale_the_losses_and_entropy_is_rewarded():
    plain = model().eval()
    config = PlatoConfig(num_latents=3, bow_weight=0.5, selection_weight=2.0, entropy_weight=0.01)
    weighted = model(config).eval()
    made = batch(plain, example(1))
    before, after = losses(plain, made), losses(weighted, made)
    assert after["nll"] == before["nll"]
    assert after["bow"] == pytest.approx(0.5 * before["bow"])
    assert after["selection"] == pytest.approx(2.0 * before["selection"])
    assert -0.01 * math.log(3) <= after["entropy"] < 0


def test_usage_tells_collapse_from_information():
    told = usage([1.0, 1.0, 1.0, 0.0, 3.0])
    assert told.perplexity == pytest.approx(3.0)
    assert told.mutual_information == pytest.approx(math.log(3))
    collapsed = usage([3.0, 0.0, 0.0, 0.0, 3.0])
    assert (collapsed.perplexity, collapsed.mutual_information) == (1.0, 0.0)
    unsure = usage([1.0, 1.0, 1.0, 3 * math.log(3), 3.0])
    assert unsure.mutual_information == pytest.approx(0.0)
    assert usage([]) is None
    plato = model().train()
    plato(batch(plato, example(1), example(2)))
    assert plato.usage.take()[-1] == 2.0
    assert plato.usage.take() == []


@pytest.mark.parametrize(("num_latents", "millions"), [(0, 108.9), (20, 132.4)])
def test_the_full_size_has_the_parameters_of_the_release(num_latents, millions):
    full = sizes(
        num_layers=12,
        hidden_size=768,
        num_heads=12,
        inner_size=3072,
        num_positions=512,
        vocab_size=30_522,
        num_latents=num_latents,
    )
    with torch.device("meta"):
        plato = PlatoModel(PlatoNetwork(full, dropout=0.1), PlatoConfig(num_latents=num_latents))
    count = sum(parameter.numel() for parameter in plato.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.1)
