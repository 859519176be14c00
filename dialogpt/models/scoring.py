"""What a language model makes of given tokens: log p(continuation | prefix).

Reranking reads the backward model through this; the decoder shares the two small helpers at the
top, so that a token has the same log-probability whether it was drawn or scored.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dialogpt.records import IGNORE_INDEX

MAX_BATCH_TOKENS = 16384
"""Tokens, padding included, that go through the transformer at once."""
_MAX_LOGIT_ROWS = 1024
# 1,024 rows of GPT-2's 50,257 logits are 206 MB in float32; the loss needs as much again.


class CausalLm(Protocol):
    """The part of transformers' GPT2LMHeadModel that decoding relies on.

    Attributes:
        transformer: token ids and masks, by keyword, to an output with `last_hidden_state`
            (B, T, H) and, with use_cache, `past_key_values`.
        lm_head: hidden states (..., H) to logits (..., V).
        dtype: of the transformer's weights; lm_head may have a finer one.
        device: where the weights are.
    """

    transformer: nn.Module
    lm_head: nn.Linear
    dtype: torch.dtype
    device: torch.device


def project_to_vocabulary(model: CausalLm, hidden: Tensor) -> Tensor:
    """Float32 logits (..., V) of hidden states (..., H)."""
    logits: Tensor = model.lm_head(hidden.to(model.lm_head.weight.dtype))
    return logits.float()


@torch.inference_mode()
def continuation_log_probs(
    model: CausalLm,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    max_batch_tokens: int = MAX_BATCH_TOKENS,
) -> list[float]:
    """Sum over the continuation's tokens of log p(continuation | prefix), in nats, for each pair.

    The prefix is read and not scored: for MMI, scoring the hypothesis too would reward the bland
    replies that MMI is there to demote.

    Args:
        model: what scores; its device is where it happens.
        pairs: (prefix, continuation) token ids; neither is empty, and together they fit the
            model's position table.
        max_batch_tokens: most tokens, padding included, computed at once; a longer row goes alone.

    Raises:
        ValueError: a prefix or a continuation is empty.
    """
    if any(not prefix or not continuation for prefix, continuation in pairs):
        raise ValueError("every prefix and every continuation needs at least one token")
    scores = [0.0] * len(pairs)
    for batch in _batches_by_length([len(p) + len(c) for p, c in pairs], max_batch_tokens):
        for index, score in zip(
            batch, _score_batch(model, [pairs[index] for index in batch]), strict=True
        ):
            scores[index] = score
    return scores


def _batches_by_length(lengths: Sequence[int], max_batch_tokens: int) -> Iterator[list[int]]:
    """Indices of rows of similar length, longest first, under the token budget."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        longest = longest or lengths[index]
        if batch and (len(batch) + 1) * longest > max_batch_tokens:
            yield batch
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        yield batch


def _score_batch(
    model: CausalLm, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[float]:
    """As continuation_log_probs, for pairs that are computed at once."""
    rows = [[*prefix, *continuation] for prefix, continuation in pairs]
    width = max(len(row) for row in rows)
    # What stands in the padding is of no consequence: the masks are made from the lengths.
    input_ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor(
        [
            [IGNORE_INDEX] * len(prefix)
            + list(continuation)
            + [IGNORE_INDEX] * (width - len(prefix) - len(continuation))
            for prefix, continuation in pairs
        ]
    )
    lengths = torch.tensor([len(row) for row in rows])
    attention_mask = (torch.arange(width) < lengths[:, None]).long()
    hidden = model.transformer(
        input_ids=input_ids.to(model.device),
        attention_mask=attention_mask.to(model.device),
        use_cache=False,
    ).last_hidden_state
    is_target = labels[:, 1:] != IGNORE_INDEX
    # Position t foretells the token at t + 1. Only such positions meet the large output matrix.
    hidden = hidden[:, :-1].flatten(0, 1)[is_target.flatten().nonzero()[:, 0].to(model.device)]
    token_scores = _target_log_probs(model, hidden, labels[:, 1:][is_target].to(model.device))
    # Summed on the host, row by row: the order of addition is then the same on every device.
    values = iter(token_scores.tolist())
    return [math.fsum(islice(values, len(continuation))) for _, continuation in pairs]


def _target_log_probs(model: CausalLm, hidden: Tensor, targets: Tensor) -> Tensor:
    """(N,) float32 log-probability, in nats, of targets (N,) under hidden states (N, H)."""
    return torch.cat(
        [
            -F.cross_entropy(
                project_to_vocabulary(model, hidden[start : start + _MAX_LOGIT_ROWS]),
                targets[start : start + _MAX_LOGIT_ROWS],
                reduction="none",
            )
            for start in range(0, len(targets), _MAX_LOGIT_ROWS)
        ]
    )
