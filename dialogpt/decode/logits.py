"""From logits to the next token: pure functions, one row a hypothesis.

Shapes: R rows, V vocabulary. All take and give float32 logits (R, V); -inf marks a token that must
not be drawn, and each function leaves such marks standing.
"""

import torch
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig

_FORBIDDEN = float("-inf")


def forbid_ids(logits: Tensor, *, vocab_size: int, eos_id: int | None = None) -> Tensor:
    """Logits without the ids that no text has, and without the end of the turn if it is given.

    Args:
        logits: (R, V) float32.
        vocab_size: ids of the tokenizer; a model's embedding may be padded to more rows.
        eos_id: the end-of-turn token while the reply is too short to end, else None.
    """
    allowed = logits.clone()
    allowed[:, vocab_size:] = _FORBIDDEN
    if eos_id is not None:
        allowed[:, eos_id] = _FORBIDDEN
    return allowed


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Only the k largest logits of a row; among equals at the border the lowest ids stay.

    Fan et al. 2018, arXiv:1805.04833. k = 0, or one of at least V, keeps all.
    """
    if k == 0 or k >= logits.shape[-1]:
        return logits
    border = logits.topk(k, dim=-1).values[:, -1:]
    above = logits > border
    at_border = logits == border
    # topk does not say which of several equal logits it takes; counting them by id does.
    places_left = k - above.sum(dim=-1, keepdim=True)
    kept = above | (at_border & (at_border.cumsum(dim=-1) <= places_left))
    return logits.masked_fill(~kept, _FORBIDDEN)


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
    logits = logits / generation.temperature
    logits = keep_top_p(keep_top_k(logits, generation.top_k), generation.top_p)
    if not 0 < generation.top_k < logits.shape[-1]:
        return draw_tokens(logits, uniforms)
    # The same draw without the tokens of probability 0: in float64 the whole vocabulary takes a
    # CPU half as long as GPT-2 itself. Sorted, because the draw goes through the ids in order.
    ids = logits.topk(generation.top_k, dim=-1).indices.sort(dim=-1).values
    return ids.gather(1, draw_tokens(logits.gather(1, ids), uniforms)[:, None])[:, 0]
