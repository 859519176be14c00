"""Contexts -> drawn replies with all that they are worth. Shapes: C contexts, S samples of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator

from dialogpt.config.decoding import GenerationConfig
from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.copying import copied_share
from dialogpt.decode.generate import generate
from dialogpt.decode.replies import GeneratedReply
from dialogpt.distributed import sum_over_ranks
from dialogpt.mmi_rl.contexts import SourceContext
from dialogpt.mmi_rl.policy import PolicyModel, SampledBatch, lay_replies, token_log_probs
from dialogpt.mmi_rl.rewards import BackwardReward, Floats, advantages, distinct_ngrams
from dialogpt.models.gpt2 import DialogueModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """Replies to some contexts and their scores.

    Attributes:
        replies: S to each context.
        rewards: (C, S) of the backward model, nats of a source or of a token of it.
        copy_rates: (C, S) share of each reply's n-grams that stand in its context.
        copied_tokens: (C, S) the same of single tokens.
        log_ratios: (C, S) log q(reply) - log q0(reply), nats: the policy's and the start model's.
        objectives: (C, S) what is maximised.
        batches: the same replies as the policy learns from them, their advantages in them.
    """

    replies: list[list[GeneratedReply]]
    rewards: Floats
    copy_rates: Floats
    copied_tokens: Floats
    log_ratios: Floats
    objectives: Floats
    batches: list[SampledBatch]


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutParts:
    """What draws and scores.

    Attributes:
        policy: the model that learns.
        start: the model it began as, frozen.
        reward: of the backward model.
        accelerator: device, autocast.
        eos_id, vocab_size: of the tokenizer.
        max_tokens: most tokens, padding included, that go through the policy at once.
    """

    policy: PolicyModel
    start: DialogueModel
    reward: BackwardReward
    accelerator: Accelerator
    eos_id: int
    vocab_size: int
    max_tokens: int


def draw_rollout(
    parts: RolloutParts,
    contexts: Sequence[SourceContext],
    draw_indices: Sequence[int],
    *,
    config: MmiRlConfig,
    seed: int,
) -> Rollout:
    """Draw replies from the policy as it is now, and score them.

    Args:
        parts: models.
        contexts: may be none.
        draw_indices: a number for each context; with the seed it decides what is drawn.
        config: weights, number and length of replies.
        seed: of the draws.
    """
    shape = (len(contexts), config.num_samples)
    ids = [[token for turn in context.turn_ids for token in turn] for context in contexts]
    replies = generate(
        parts.policy.language_model,
        ids,
        context_indices=draw_indices,
        generation=GenerationConfig(
            num_samples=config.num_samples,
            top_k=0,
            max_new_tokens=config.max_new_tokens,
            seed=seed,
        ),
        eos_id=parts.eos_id,
        vocab_size=parts.vocab_size,
    )
    turns = [context.turn_ids for context in contexts]
    rewards = parts.reward(turns, replies).reshape(shape)
    copy_rates = _copied(contexts, replies, config.copy_ngram).reshape(shape)
    batches = lay_replies(
        [row for row in ids for _ in range(config.num_samples)],
        [reply for group in replies for reply in group],
        [context.dialogue_index for context in contexts for _ in range(config.num_samples)],
        eos_id=parts.eos_id,
        max_tokens=parts.max_tokens,
    )
    log_ratios = _log_ratios(parts, batches).reshape(shape)
    # The divergence as part of the reward: in expectation, the gradient of KL(q || q0) is that of
    # a reward of -log q / q0, as the gradient of log q itself averages to nothing.
    objectives = rewards - config.copy_weight * copy_rates - config.kl_weight * log_ratios
    return Rollout(
        replies=replies,
        rewards=rewards,
        copy_rates=copy_rates,
        copied_tokens=_copied(contexts, replies, 1).reshape(shape),
        log_ratios=log_ratios,
        objectives=objectives,
        batches=_with_advantages(batches, advantages(objectives)),
    )


def _copied(
    contexts: Sequence[SourceContext], replies: Sequence[Sequence[GeneratedReply]], n: int
) -> Floats:
    shares = [
        copied_share(reply.token_ids, context.texts, n)
        for context, group in zip(contexts, replies, strict=True)
        for reply in group
    ]
    return np.array(shares, np.float64)


def _log_ratios(parts: RolloutParts, batches: Sequence[SampledBatch]) -> Floats:
    """(replies,) log q - log q0 of each reply, nats, summed over its tokens."""
    device = parts.accelerator.device
    pieces = []
    with torch.no_grad(), parts.accelerator.autocast():
        for batch in (batch.to(device) for batch in batches if batch.num_replies):
            ratios = token_log_probs(parts.policy, batch) - token_log_probs(parts.start, batch)
            sums = torch.zeros(batch.num_replies, device=device, dtype=ratios.dtype)
            pieces.append(sums.index_add(0, batch.rows, ratios).cpu())
    return torch.cat([torch.zeros(0), *pieces]).numpy().astype(np.float64)


def _with_advantages(batches: Sequence[SampledBatch], values: Floats) -> list[SampledBatch]:
    flat = torch.from_numpy(values.astype(np.float32)).flatten()
    result, start = [], 0
    for batch in batches:
        if not batch.num_replies:
            result.append(batch)
            continue
        end = start + batch.num_replies
        result.append(replace(batch, advantages=flat[start:end]))
        start = end
    return result


def rollout_metrics(rollouts: Sequence[Rollout]) -> dict[str, float | int]:
    """Averages over the replies of all ranks; every rank takes part.

    Returns:
        `objective`, `reward`, `copy_rate`, `copied_tokens` (shares), `kl` (nats a reply) and
        `kl_per_token`, `reply_tokens` (a reply, its end counted), `unfinished_share`, `dist_2`
        (each rank's own, averaged by bigrams), `reward_spread` and `advantage_spread` (standard
        deviation within a context, of what it is compared with).
    """
    replies = [reply for r in rollouts for group in r.replies for reply in group]
    different, bigrams = distinct_ngrams([reply.token_ids for reply in replies], 2)
    num_tokens = sum(len(reply.token_ids) + reply.finished for reply in replies)
    sums = sum_over_ranks(
        [
            len(replies),
            num_tokens,
            sum(not reply.finished for reply in replies),
            different,
            bigrams,
            *(
                float(sum(getattr(r, name).sum() for r in rollouts))
                for name in ("objectives", "rewards", "copy_rates", "copied_tokens", "log_ratios")
            ),
            float(sum(_within_variance(r.rewards) for r in rollouts)),
            float(sum((advantages(r.objectives) ** 2).sum() for r in rollouts)),
        ]
    )
    count, tokens, unfinished, different_all, bigrams_all, *rest = sums
    objective, reward, copied, copied_tokens, ratio, variance, squares = (
        value / max(1.0, count) for value in rest
    )
    return {
        "objective": objective,
        "reward": reward,
        "copy_rate": copied,
        "copied_tokens": copied_tokens,
        "kl": ratio,
        "kl_per_token": ratio * count / max(1.0, tokens),
        "dist_2": different_all / max(1.0, bigrams_all),
        "reply_tokens": tokens / max(1.0, count),
        "unfinished_share": unfinished / max(1.0, count),
        "reward_spread": float(np.sqrt(variance)),
        "advantage_spread": float(np.sqrt(squares)),
        "replies": int(count),
    }


def _within_variance(values: Floats) -> float:
    """Sum over samples of the squared distance from their context's mean."""
    return float(((values - values.mean(axis=1, keepdims=True)) ** 2).sum())
