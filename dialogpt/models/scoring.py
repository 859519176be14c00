"""What a language model makes of given tokens: log p(continuation | prefix).

Reranking reads the backward model through this.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from dialogpt.models.inference import CausalLm, InferenceGpt2, inference_of, lay_rows
from dialogpt.models.logsumexp import row_logsumexp

MAX_BATCH_TOKENS = 16384
"""Tokens, padding included, that go through the transformer at once."""
_MAX_PACKED_TOKENS = 65536  # without padding, on a GPU
_MAX_LOGIT_ROWS = 1024
# 1,024 rows of GPT-2's 50,257 logits are 206 MB in float32; the loss needs as much again.
_MAX_LOGIT_ROWS_OF_GPU = 8192


@torch.inference_mode()
def continuation_log_probs(
    model: CausalLm,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    max_batch_tokens: int | None = None,
) -> list[float]:
    """Sum over the continuation's tokens of log p(continuation | prefix), in nats, for each pair.

    The prefix is read and not scored: for MMI, scoring the hypothesis too would reward the bland
    replies that MMI is there to demote.

    Args:
        model: what scores; its device is where it happens.
        pairs: (prefix, continuation) token ids; neither is empty, and all tokens but the last fit
            the model's position table.
        max_batch_tokens: most tokens, padding included, computed at once; a longer row goes alone.
            None: 16,384 padded ones, 65,536 where rows lie end to end.

    Raises:
        ValueError: a prefix or a continuation is empty, or both are longer than the model's
            positions.
    """
    if any(not prefix or not continuation for prefix, continuation in pairs):
        raise ValueError("every prefix and every continuation needs at least one token")
    engine = inference_of(model)
    lengths = [len(prefix) + len(continuation) for prefix, continuation in pairs]
    if max(lengths, default=0) > engine.num_positions + 1:
        raise ValueError(
            f"expected at most {engine.num_positions} tokens before the last, the model's "
            f"positions, found {max(lengths) - 1}"
        )
    usual = _MAX_PACKED_TOKENS if engine.has_kernels else MAX_BATCH_TOKENS
    batches = list(_batches_by_length(lengths, max_batch_tokens or usual))
    # All batches are on their way before the first answer is waited for.
    token_scores = [_score_batch(engine, [pairs[index] for index in batch]) for batch in batches]
    scores = [0.0] * len(pairs)
    for batch, values in zip(batches, token_scores, strict=True):
        # Summed on the host, row by row: the order of addition is then the same on every device.
        numbers = iter(values.tolist())
        for index in batch:
            scores[index] = math.fsum(islice(numbers, len(pairs[index][1])))
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
    engine: InferenceGpt2, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> Tensor:
    """(continuation tokens of all pairs,) float32 log-probabilities in nats."""
    # The last token foretells nothing that is asked for.
    laid = lay_rows(engine, [[*prefix, *continuation[:-1]] for prefix, continuation in pairs])
    before = np.array([len(prefix) for prefix, _ in pairs])
    counts = np.array([len(continuation) for _, continuation in pairs])
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(laid.starts + before - 1, counts) + within
    targets = np.fromiter(chain.from_iterable(c for _, c in pairs), np.int64, len(places))
    # Only positions that foretell a target meet the large output matrix.
    states = engine.states(
        laid.ids,
        laid.positions,
        lambda _, qkv: laid.attention(qkv),
        places=torch.from_numpy(places).to(engine.device),
    )
    return _target_log_probs(engine, states, torch.from_numpy(targets).to(engine.device))


def _target_log_probs(engine: InferenceGpt2, states: Tensor, targets: Tensor) -> Tensor:
    """(N,) float32 log-probability, in nats, of targets (N,) under states (N, W)."""
    size = _MAX_LOGIT_ROWS_OF_GPU if states.is_cuda else _MAX_LOGIT_ROWS
    pieces = []
    for start in range(0, len(targets), size):
        ids = targets[start : start + size]
        logits = engine.logits(states[start : start + size])
        pieces.append(logits.gather(1, ids[:, None])[:, 0] - row_logsumexp(logits))
    return torch.cat(pieces)
