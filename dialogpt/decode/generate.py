"""Hypotheses from the forward model, batched over contexts and samples.

Shapes: C contexts, S samples a context, N = C * S hypotheses, R <= N rows still computed, T tokens.
Hypothesis s of context c is number c * S + s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialogpt.command_line import UserError
from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.beam import beam_search
from dialogpt.decode.logits import choose_tokens
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.restrictions import Restrictions
from dialogpt.decode.steps import CHECK_EVERY, Steps
from dialogpt.models.inference import CausalLm, inference_of
from dialogpt.models.logsumexp import row_logsumexp


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
    readable: Tensor | None = None,
    on_tokens: Callable[[list[int]], None] | None = None,
) -> list[list[GeneratedReply]]:
    """The hypotheses of each context.

    Sampled ones stand in the order in which they were drawn, those of beam search best first.

    Args:
        model: the forward model; in evaluation mode.
        contexts: token ids of each context, the end-of-turn token after every turn.
        context_indices: a number for each context, which with the seed decides its draws.
        generation: method, number and length of the hypotheses; greedy makes one.
        eos_id: the token that ends a turn.
        vocab_size: ids of the tokenizer; higher ones are never drawn.
        readable: (vocab_size,) bool, whether a token shows something; then no reply ends before
            one that does.
        on_tokens: told the ids of the reply so far after each token, if there is one hypothesis in
            all and it is not found by beam search.

    Raises:
        ValueError: a context has no tokens or more than fit the model's positions with a reply, or
            there is not one index for each.
        UserError: the model's numbers are not finite in its precision.
    """
    if len(context_indices) != len(contexts) or not all(contexts):
        raise ValueError("every context needs at least one token and an index")
    if not contexts:
        return []
    num_samples = generation.num_hypotheses
    engine = inference_of(model)
    most_tokens = max(map(len, contexts)) + generation.max_new_tokens - 1  # the last is not read
    if most_tokens > engine.num_positions:
        raise ValueError(
            f"expected at most {engine.num_positions} tokens of context and reply, the model's "
            f"positions, found {most_tokens}"
        )
    steps = Steps(
        engine,
        contexts,
        rows_per_context=num_samples,
        max_new_tokens=generation.max_new_tokens,
    )
    restrictions = Restrictions.of(
        generation,
        contexts,
        eos_id=eos_id,
        vocab_size=vocab_size,
        rows_per_context=num_samples,
        readable=readable,
        device=model.device,
    )
    if generation.method == "beam":
        return _finite(beam_search(steps, restrictions, num_contexts=len(contexts)), model)
    size = {"num_samples": num_samples, "max_new_tokens": generation.max_new_tokens}
    tables = [uniform_table(generation.seed, index, **size) for index in context_indices]
    uniforms = torch.from_numpy(np.concatenate(tables)).to(model.device)
    drawn = _sample(steps, restrictions, uniforms, on_tokens)
    return _finite(drawn.by_context(num_samples), model)


def _finite(replies: list[list[GeneratedReply]], model: CausalLm) -> list[list[GeneratedReply]]:
    """The replies, if the model could compute their probabilities."""
    if all(replies) and not any(isnan(r.forward_log_prob) for group in replies for r in group):
        return replies
    raise UserError(
        "expected log-probabilities that are numbers, found others: the model's numbers overflow "
        f"in {model.dtype}, or its weights are damaged; try --precision fp32"
    )


def _sample(
    steps: Steps,
    restrictions: Restrictions,
    uniforms: Tensor,
    on_tokens: Callable[[list[int]], None] | None,
) -> "_Drawn":
    """Draw until all rows are finished or as long as allowed."""
    generation = restrictions.generation
    drawn = _Drawn.none_yet(len(uniforms), generation.max_new_tokens, device=uniforms.device)
    listener = on_tokens if len(uniforms) == 1 else None
    for step in range(generation.max_new_tokens):
        numbers, logits = steps.numbers, steps.logits
        # Before anything is forbidden: the model's own distribution.
        totals = row_logsumexp(logits)
        restrictions.apply(logits, drawn.token_ids[numbers], numbers, step=step)
        tokens = choose_tokens(logits, uniforms[numbers, step], generation=generation)
        log_probs = logits.gather(1, tokens[:, None])[:, 0] - totals
        drawn.add(tokens, log_probs, numbers, step=step, eos_id=restrictions.eos_id)
        if listener is not None:
            (reply,) = drawn.by_context(1)[0]
            listener(reply.token_ids)
            if reply.finished:
                break
        if step + 1 == generation.max_new_tokens:
            break
        if (step + 1) % CHECK_EVERY == 0:
            unfinished = (~drawn.finished[numbers]).nonzero()[:, 0]
            if len(unfinished) == 0:
                break
            if len(unfinished) < len(tokens):
                steps.keep(unfinished)
                tokens = tokens[unfinished]
        steps.advance(tokens)
    return drawn


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

    def add(
        self, tokens: Tensor, log_probs: Tensor, numbers: Tensor, *, step: int, eos_id: int
    ) -> None:
        """Note the tokens (R,) of a step; finished rows run on until they are taken out.

        Args:
            tokens: (R,) int64.
            log_probs: (R,) float32, of the tokens.
            numbers: (R,) int64, the hypotheses.
            step: tokens before these.
            eos_id: the token that ends a reply.
        """
        goes_on = ~self.finished[numbers]
        self.token_ids[numbers, step] = tokens
        self.num_tokens[numbers] += goes_on
        self.log_probs[numbers] += torch.where(goes_on, log_probs, 0.0)
        self.finished[numbers] |= tokens == eos_id

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
