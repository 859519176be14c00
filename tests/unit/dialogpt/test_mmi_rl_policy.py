"""The policy gradient against the exact gradient, on a model whose replies can all be listed.

With three words besides the end of turn and replies of at most two tokens there are twelve replies,
so every expectation is a sum.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.copying import copied_share
from dialogpt.decode.replies import GeneratedReply
from dialogpt.mmi_rl.contexts import SourceContext
from dialogpt.mmi_rl.policy import PolicyModel, lay_replies, token_log_probs
from dialogpt.mmi_rl.rewards import advantages
from dialogpt.mmi_rl.rollout import RolloutParts, draw_rollout, rollout_metrics

EOS = 0
TURNS = ([1, 2, EOS], [3, EOS])
CONTEXT = [token for turn in TURNS for token in turn]
CONFIG = MmiRlConfig(
    backward_model="none", kl_weight=0.7, copy_weight=0.9, num_samples=2, max_new_tokens=2
)


def model(seed: int, *, dtype: torch.dtype = torch.float32) -> PolicyModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=4,
        n_positions=16,
        n_embd=8,
        n_layer=1,
        n_head=2,
        initializer_range=0.6,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=EOS,
        eos_token_id=EOS,
    )
    return PolicyModel(GPT2LMHeadModel(config).to(dtype))


def all_replies() -> list[GeneratedReply]:
    one = [GeneratedReply(token_ids=[a], finished=True, forward_log_prob=0.0) for a in (1, 2, 3)]
    two = [
        GeneratedReply(token_ids=[a, b], finished=False, forward_log_prob=0.0)
        for a in (1, 2, 3)
        for b in (1, 2, 3)
    ]
    return one + two


def exact_log_probs(policy: PolicyModel) -> Tensor:
    """(12,) log-probability of each reply, a reply at a time by transformers' own logits."""
    totals = []
    for reply in all_replies():
        row = torch.tensor([CONTEXT + reply.token_ids])
        logits = policy.language_model(row).logits[0, len(CONTEXT) - 1 :]
        first = logits[0, 1:].log_softmax(dim=0)[reply.token_ids[0] - 1]
        second = EOS if reply.finished else reply.token_ids[1]
        totals.append(first + logits[1].log_softmax(dim=0)[second])
    return torch.stack(totals)


def reward_of(reply: GeneratedReply) -> float:
    """Any function of the reply will do."""
    return math.sin(7.0 * sum(reply.token_ids) + 3.0 * len(reply.token_ids)) * 2.0 - 5.0


def copied(reply: GeneratedReply) -> float:
    return copied_share(reply.token_ids, [turn[:-1] for turn in TURNS], 2)


def gradient(policy: PolicyModel) -> Tensor:
    grads = [p.grad for p in policy.parameters()]
    policy.zero_grad()
    return torch.cat([grad.flatten() for grad in grads if grad is not None])


def exact_gradient(policy: PolicyModel, start: PolicyModel) -> Tensor:
    """Of E[reward] - copy_weight E[copy rate] - kl_weight KL(q || q0), summed over all replies."""
    log_q = exact_log_probs(policy)
    log_ratio = log_q - exact_log_probs(start).detach()
    fixed = torch.tensor(
        [reward_of(r) - CONFIG.copy_weight * copied(r) for r in all_replies()], dtype=log_q.dtype
    )
    (log_q.exp() * (fixed - CONFIG.kl_weight * log_ratio)).sum().backward()
    return gradient(policy)


def test_log_probs_are_those_of_transformers_without_an_empty_reply():
    policy = model(0, dtype=torch.float64)
    replies = all_replies()
    contexts = [CONTEXT] * len(replies)
    batches = lay_replies(contexts, replies, range(12), eos_id=EOS, max_tokens=30)
    assert [batch.num_replies for batch in batches] == [4, 4, 4]  # three of 6 tokens, then of 7
    found = []
    for batch in batches:
        sums = torch.zeros(batch.num_replies)
        found.append(sums.index_add(0, batch.rows, token_log_probs(policy, batch)))
    log_q = exact_log_probs(policy)
    torch.testing.assert_close(torch.cat(found).double(), log_q, atol=1e-5, rtol=0)
    assert float(log_q.detach().exp().sum()) == pytest.approx(1.0)


def test_the_gradient_averages_to_that_of_the_expected_objective():
    """Over all pairs of replies, each as probable as it is: no sampling, no tolerance for it."""
    policy, start = model(0), model(1)
    expected = exact_gradient(policy, start)
    replies = all_replies()
    log_q = exact_log_probs(policy).detach()
    ratios = (log_q - exact_log_probs(start).detach()).numpy().astype(np.float64)
    worth = np.array([reward_of(r) - CONFIG.copy_weight * copied(r) for r in replies])
    worth -= CONFIG.kl_weight * ratios
    pairs = [(i, j) for i in range(12) for j in range(12)]
    values = advantages(np.array([[worth[i], worth[j]] for i, j in pairs]))
    probability = np.array([float((log_q[i] + log_q[j]).exp()) for i, j in pairs])
    drawn = [replies[number] for pair in pairs for number in pair]
    (batch,) = lay_replies(
        [CONTEXT] * len(drawn), drawn, range(len(drawn)), eos_id=EOS, max_tokens=10**6
    )
    # The mean over a pair's two samples, as the loss divides by replies.
    weighted = torch.from_numpy((values * probability[:, None] / 2).astype(np.float32)).flatten()
    policy(replace(batch, advantages=weighted))["policy"].backward()
    torch.testing.assert_close(-gradient(policy), expected, atol=2e-5, rtol=1e-4)


def parts_of(policy: PolicyModel, start: PolicyModel) -> RolloutParts:
    def reward(contexts, replies):
        return np.array([[reward_of(reply) for reply in group] for group in replies])

    return RolloutParts(
        policy=policy,
        start=start.requires_grad_(False),
        reward=reward,  # type: ignore[arg-type]
        accelerator=Accelerator(cpu=True),
        eos_id=EOS,
        vocab_size=4,
        max_tokens=10**6,
    )


def test_drawn_replies_have_that_gradient_within_sampling_error():
    policy, start = model(0), model(1)
    expected = exact_gradient(policy, start)
    parts = parts_of(policy, start)
    config = replace(CONFIG, num_samples=4)
    context = SourceContext(dialogue_index=0, turn_ids=TURNS, answer=[1])
    estimates, found = [], np.zeros(12)
    index = {(tuple(r.token_ids), r.finished): i for i, r in enumerate(all_replies())}
    for number in range(12):
        draws = range(number * 500, (number + 1) * 500)
        rollout = draw_rollout(parts, [context] * 500, draws, config=config, seed=3)
        for reply in (reply for group in rollout.replies for reply in group):
            found[index[tuple(reply.token_ids), reply.finished]] += 1
        for batch in rollout.batches:
            (policy(batch)["policy"] / 2000).backward()
        estimates.append(-gradient(policy))
    stacked = torch.stack(estimates)
    error = float(((stacked.mean(dim=0) - expected) ** 2).sum())
    # What sampling alone explains: the variance of a mean of 12, over all coordinates.
    explained = float((stacked.var(dim=0) / 12).sum())
    assert error < 3 * explained
    assert explained < 0.01 * float((expected**2).sum())  # or the line above would say little
    probability = exact_log_probs(policy).exp().detach().numpy()
    deviation = np.sqrt(24000 * probability * (1 - probability))
    assert (abs(found - 24000 * probability) < 4 * deviation + 1).all()


def test_the_divergence_that_is_logged_is_the_exact_one_within_sampling_error():
    policy, start = model(0), model(1)
    context = SourceContext(dialogue_index=0, turn_ids=TURNS, answer=[1])
    config = replace(CONFIG, num_samples=8)
    rollout = draw_rollout(
        parts_of(policy, start), [context] * 1000, range(1000), config=config, seed=5
    )
    log_q, log_q0 = exact_log_probs(policy).detach(), exact_log_probs(start).detach()
    exact = float((log_q.exp() * (log_q - log_q0)).sum())
    noise = rollout.log_ratios.std() / math.sqrt(rollout.log_ratios.size)
    values = rollout_metrics([rollout])
    assert exact > 0.1
    assert values["kl"] == pytest.approx(exact, abs=4 * noise)
    assert values["kl_per_token"] == pytest.approx(values["kl"] / 2)
    shares = [copied(reply) for group in rollout.replies for reply in group]
    assert values["copy_rate"] == pytest.approx(np.mean(shares))
    objective = values["reward"] - 0.9 * values["copy_rate"] - 0.7 * values["kl"]
    assert values["objective"] == pytest.approx(objective)


@pytest.mark.parametrize(("kl_weight", "copy_weight"), [(0.0, 0.0), (20.0, 0.0), (0.0, 20.0)])
def test_learning_raises_the_expected_reward_and_regularisers_hold_it_back(kl_weight, copy_weight):
    policy, start = model(0), model(0)
    parts = parts_of(policy, start)
    config = replace(CONFIG, kl_weight=kl_weight, copy_weight=copy_weight, num_samples=8)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.02)
    context = SourceContext(dialogue_index=0, turn_ids=TURNS, answer=[1])
    log_q0 = exact_log_probs(start).detach()

    def expected(values):
        return float((exact_log_probs(policy).exp().detach() * torch.tensor(values)).sum())

    rewards = [reward_of(reply) for reply in all_replies()]
    copies = [copied(reply) for reply in all_replies()]
    reward, copy_rate = expected(rewards), expected(copies)
    for step in range(30):
        draws = range(step * 8, step * 8 + 8)
        rollout = draw_rollout(parts, [context] * 8, draws, config=config, seed=1)
        optimizer.zero_grad()
        for batch in rollout.batches:
            (policy(batch)["policy"] / 64).backward()
        optimizer.step()
    divergence = expected((exact_log_probs(policy).detach() - log_q0).tolist())
    gain = expected(rewards) - reward
    if copy_weight:
        assert expected(copies) < 0.5 * copy_rate
    elif kl_weight:
        assert divergence < 0.1
    else:
        assert gain > 1.0
        assert divergence > 0.5


def test_no_contexts_give_a_batch_that_changes_nothing():
    policy, start = model(0), model(1)
    rollout = draw_rollout(parts_of(policy, start), [], [], config=CONFIG, seed=0)
    (batch,) = rollout.batches
    assert policy.loss_counts(batch) == {"policy": 0}
    policy(batch)["policy"].backward()
    assert float(gradient(policy).abs().max()) == 0.0
