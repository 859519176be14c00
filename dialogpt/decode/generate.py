"""Hypotheses from the forward model: batched over contexts and samples, with a key-value cache.

Shapes: C contexts, S samples a context, N = C * S hypotheses, R <= N rows still computed, T tokens.
Hypothesis s of context c is number c * S + s.

Contexts are padded on the left, so that the next token of every row is at the same column. Which
columns are padding is known from lengths, never from ids: the end-of-turn token stands after each
turn and must be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.logits import choose_tokens, forbid_ids
from dialogpt.models.scoring import CausalLm, project_to_vocabulary

_CHECK_EVERY = 8
# Steps between looks at which rows are finished: each look makes the host wait for the device.


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedReply:
    """What the forward model said, in ids.

    Attributes:
        token_ids: the reply without its end-of-turn token.
        finished: whether the model ended the turn, or max_new_tokens did.
        forward_log_prob: log p(reply | context) in nats under the model's own distribution (no
            temperature, no truncation), the end-of-turn token included if the model drew it.
    """

    token_ids: list[int]
    finished: bool
    forward_log_prob: float


def uniform_table(
    seed: int, context_index: int, *, num_samples: int, max_new_tokens: int
) -> NDArray[np.float32]:
    """(num_samples, max_new_tokens) numbers in [0, 1): one for each token that may be drawn.

    A pure function of its arguments (Philox, Salmon et al. 2011), so a context's hypotheses are the
    same whatever else is in the batch, and the first 8 of 16 samples are those of 8.
    """
    source = np.random.SeedSequence(entropy=seed % 2**64, spawn_key=(context_index,))
    generator = np.random.Generator(np.random.Philox(source))
    return generator.random((num_samples, max_new_tokens), dtype=np.float32)


@torch.inference_mode()
def generate(
    model: CausalLm,
    contexts: Sequence[Sequence[int]],
    *,
    context_indices: Sequence[int],
    generation: GenerationConfig,
    eos_id: int,
    vocab_size: int,
) -> list[list[GeneratedReply]]:
    """The hypotheses of each context, in the order in which they were drawn.

    Args:
        model: the forward model; in evaluation mode.
        contexts: token ids of each context, the end-of-turn token after every turn.
        context_indices: a number for each context, which with the seed decides its draws.
        generation: method, number and length of the hypotheses; greedy makes one.
        eos_id: the token that ends a turn.
        vocab_size: ids of the tokenizer; higher ones are never drawn.

    Raises:
        ValueError: a context has no tokens, or there is not one index for each.
    """
    if len(context_indices) != len(contexts) or not all(contexts):
        raise ValueError("every context needs at least one token and an index")
    if not contexts:
        return []
    num_samples = 1 if generation.method == "greedy" else generation.num_samples
    size = {"num_samples": num_samples, "max_new_tokens": generation.max_new_tokens}
    tables = [uniform_table(generation.seed, index, **size) for index in context_indices]
    uniforms = torch.from_numpy(np.concatenate(tables)).to(model.device)
    rows = _Rows.after_contexts(model, contexts, num_samples=num_samples)
    drawn = _Drawn.none_yet(len(uniforms), generation.max_new_tokens, device=model.device)
    for step in range(generation.max_new_tokens):
        too_short = step < generation.min_new_tokens
        allowed = forbid_ids(
            rows.logits, vocab_size=vocab_size, eos_id=eos_id if too_short else None
        )
        tokens = choose_tokens(allowed, uniforms[rows.numbers, step], generation=generation)
        drawn.add(tokens, rows, step=step, eos_id=eos_id)
        if step + 1 == generation.max_new_tokens:
            break
        if (step + 1) % _CHECK_EVERY == 0:
            unfinished = (~drawn.finished[rows.numbers]).nonzero()[:, 0]
            if len(unfinished) == 0:
                break
            if len(unfinished) < len(tokens):
                rows.keep(unfinished)
                tokens = tokens[unfinished]
        rows.advance(model, tokens)
    return drawn.by_context(num_samples)


@dataclass(kw_only=True, slots=True)
class _Rows:
    """The rows that are still computed.

    Attributes:
        numbers: (R,) int64, which of the N hypotheses each row is.
        logits: (R, V) float32 for the next token.
        is_token: (R, T) bool, False in the left padding.
        cache: keys and values of T columns, transformers' DynamicCache.
    """

    numbers: Tensor
    logits: Tensor
    is_token: Tensor
    cache: Any

    @classmethod
    def after_contexts(
        cls, model: CausalLm, contexts: Sequence[Sequence[int]], *, num_samples: int
    ) -> "_Rows":
        """Run each context once, then repeat what it left for its samples."""
        lengths = torch.tensor([len(context) for context in contexts])
        width = int(lengths.max())
        is_token = (torch.arange(width) >= width - lengths[:, None]).to(model.device)
        input_ids = torch.tensor([[0] * (width - len(ids)) + list(ids) for ids in contexts])
        is_visible = torch.ones(width, width, dtype=torch.bool, device=model.device).tril()
        # A padding position sees itself: a row of the softmax with nothing to see would be nan.
        itself = torch.eye(width, dtype=torch.bool, device=model.device)
        output = model.transformer(
            input_ids=input_ids.to(model.device),
            attention_mask=_additive_mask(model, is_visible & is_token[:, None, :] | itself),
            position_ids=(is_token.cumsum(dim=1) - 1).clamp(min=0),
            use_cache=True,
        )
        logits = project_to_vocabulary(model, output.last_hidden_state[:, -1])
        output.past_key_values.batch_repeat_interleave(num_samples)
        return cls(
            numbers=torch.arange(len(contexts) * num_samples, device=model.device),
            logits=logits.repeat_interleave(num_samples, dim=0),
            is_token=is_token.repeat_interleave(num_samples, dim=0),
            cache=output.past_key_values,
        )

    def advance(self, model: CausalLm, tokens: Tensor) -> None:
        """Read one more token (R,) a row."""
        position_ids = self.is_token.sum(dim=1, keepdim=True)
        self.is_token = F.pad(self.is_token, (0, 1), value=True)
        output = model.transformer(
            input_ids=tokens[:, None],
            attention_mask=_additive_mask(model, self.is_token[:, None, :]),
            position_ids=position_ids,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits = project_to_vocabulary(model, output.last_hidden_state[:, -1])

    def keep(self, indices: Tensor) -> None:
        """Go on with these rows only; indices (R',) int64."""
        self.numbers = self.numbers[indices]
        self.logits = self.logits[indices]
        self.is_token = self.is_token[indices]
        self.cache.batch_select_indices(indices)


@dataclass(kw_only=True, slots=True)
class _Drawn:
    """What was drawn so far for all N hypotheses, on the model's device.

    Attributes:
        token_ids: (N, max_new_tokens) int64; only the first num_tokens of a row mean anything.
        num_tokens: (N,) int64, the end-of-turn token included.
        log_probs: (N,) float32, nats, summed over those tokens.
        finished: (N,) bool, whether the end-of-turn token was drawn.
    """

    token_ids: Tensor
    num_tokens: Tensor
    log_probs: Tensor
    finished: Tensor

    @classmethod
    def none_yet(
        cls, num_hypotheses: int, max_new_tokens: int, *, device: torch.device
    ) -> "_Drawn":
        return cls(
            token_ids=torch.zeros(num_hypotheses, max_new_tokens, dtype=torch.long, device=device),
            num_tokens=torch.zeros(num_hypotheses, dtype=torch.long, device=device),
            log_probs=torch.zeros(num_hypotheses, device=device),
            finished=torch.zeros(num_hypotheses, dtype=torch.bool, device=device),
        )

    def add(self, tokens: Tensor, rows: _Rows, *, step: int, eos_id: int) -> None:
        """Note the tokens (R,) of a step; finished rows run on until they are taken out."""
        goes_on = ~self.finished[rows.numbers]
        log_probs = rows.logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]
        self.token_ids[rows.numbers, step] = tokens
        self.num_tokens[rows.numbers] += goes_on
        self.log_probs[rows.numbers] += torch.where(goes_on, log_probs, 0.0)
        self.finished[rows.numbers] |= tokens == eos_id

    def by_context(self, num_samples: int) -> list[list[GeneratedReply]]:
        """The replies, num_samples to a context."""
        replies = [
            GeneratedReply(
                token_ids=token_ids[: num_tokens - finished],
                finished=finished,
                forward_log_prob=log_prob,
            )
            for token_ids, num_tokens, log_prob, finished in zip(
                self.token_ids.tolist(),
                self.num_tokens.tolist(),
                self.log_probs.tolist(),
                self.finished.tolist(),
                strict=True,
            )
        ]
        starts = range(0, len(replies), num_samples)
        return [replies[start : start + num_samples] for start in starts]


def _additive_mask(model: CausalLm, is_visible: Tensor) -> Tensor:
    """(R, 1, Q, T) mask of 0 and the dtype's minimum, from (R, Q, T) bool.

    Whole and four-dimensional, transformers takes it as it is; from a two-dimensional one it makes
    its own, and to do so waits for the device at every token.
    """
    mask = torch.zeros(is_visible.shape, dtype=model.dtype, device=is_visible.device)
    return mask.masked_fill(~is_visible, torch.finfo(model.dtype).min)[:, None]
