"""From logits to the next token: pure functions, one row a hypothesis.

Shapes: R rows, V vocabulary. All take and give float32 logits (R, V); -inf marks a token that must
not be drawn, and each function leaves such marks standing.
"""

import torch
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig

_FORBIDDEN = float("-inf")
_PIECE = 128  # of a row, in ids


def largest(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest logits of a row and their ids, ids rising; of equal logits the lowest ids.

    The row is cut into pieces. Whatever is among the k largest lies in one of the k pieces with the
    largest maxima, so that one look at everything is enough and the rest is small.

    Args:
        logits: (R, V).
        k: from 1 to V.

    Returns:
        (R, k) logits and (R, k) int64 ids.
    """
    num_ids = logits.shape[1]
    if num_ids <= 2 * k * _PIECE:
        ids = torch.arange(num_ids, device=logits.device).expand(len(logits), -1)
        return _largest_of(logits, ids, k)
    whole = num_ids // _PIECE * _PIECE
    maxima = logits[:, :whole].view(len(logits), -1, _PIECE).amax(dim=-1)
    if whole < num_ids:
        rest = logits[:, whole:].amax(dim=-1, keepdim=True)
        maxima = torch.cat([maxima, rest], dim=-1)
    pieces = maxima.sort(dim=-1, descending=True, stable=True).indices[:, :k].sort(dim=-1).values
    within = torch.arange(_PIECE, device=logits.device)
    ids = (pieces[:, :, None] * _PIECE + within).flatten(1)
    candidates = logits.gather(1, ids.clamp(max=num_ids - 1))
    candidates = candidates.masked_fill(ids >= num_ids, _FORBIDDEN)
    return _largest_of(candidates, ids, k)


def _largest_of(logits: Tensor, ids: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """As `largest`, among candidates (R, n) whose ids rise."""
    places = logits.sort(dim=-1, descending=True, stable=True).indices[:, :k].sort(dim=-1).values
    return logits.gather(1, places), ids.gather(1, places)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Only the likeliest tokens of a row, as few as reach probability p together.

    Holtzman et al. 2020, arXiv:1904.09751 (nucleus sampling). p = 1 keeps all; the likeliest token
    always stays.
    """
    if p >= 1.0:
        return logits
    descending, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = descending.softmax(dim=-1)
    reached_before = probabilities.cumsum(dim=-1) - probabilities
    surplus = reached_before >= p
    surplus[:, 0] = False
    return logits.masked_fill(surplus.scatter(-1, order, surplus), _FORBIDDEN)


def draw_tokens(logits: Tensor, uniforms: Tensor) -> Tensor:
    """(R,) int64 tokens drawn from softmax(logits): the first whose cumulative sum exceeds u.

    A row's token depends on its own logits and number alone, unlike with a generator that hands out
    its stream over the whole batch.

    Args:
        logits: (R, V) float32, at least one of each row finite.
        uniforms: (R,) float32 in [0, 1).
    """
    # float64: with 50,257 addends the rounding of a float32 sum is as large as a rare token.
    probabilities = logits.double().softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    thresholds = uniforms.double()[:, None] * cumulative[:, -1:]
    # A device may add in any order, and so make a step where the probability is 0: hence the &.
    candidates = (cumulative > thresholds) & (probabilities > 0)
    return candidates.to(torch.uint8).argmax(dim=-1)


def choose_tokens(logits: Tensor, uniforms: Tensor, *, generation: GenerationConfig) -> Tensor:
    """(R,) int64 next tokens, by the method of the config.

    Args:
        logits: (R, V) float32, at least one of each row finite.
        generation: method, temperature, top_k and top_p, applied in this order.
        uniforms: (R,) float32 in [0, 1); greedy choice does not look at them.
    """
    if generation.method == "greedy":
        return logits.argmax(dim=-1)  # the lowest of equal ids, as torch documents
    if not 0 < generation.top_k < logits.shape[-1]:
        return draw_tokens(keep_top_p(_cooled(logits, generation), generation.top_p), uniforms)
    # Tokens of probability 0 change no draw: ids rise among the k largest as in the whole row.
    values, ids = largest(logits, generation.top_k)
    values = keep_top_p(_cooled(values, generation), generation.top_p)
    return ids.gather(1, draw_tokens(values, uniforms)[:, None])[:, 0]


def _cooled(logits: Tensor, generation: GenerationConfig) -> Tensor:
    """Logits over the temperature, the largest of a row at 0: however cold, it stays finite."""
    return (logits - logits.amax(dim=-1, keepdim=True)) / generation.temperature
