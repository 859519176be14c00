"""Hypotheses from the forward model, batched over contexts and samples.

Shapes: C contexts, S samples a context, N = C * S hypotheses, R <= N rows still computed, T tokens.
Hypothesis s of context c is number c * S + s.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.beam import beam_search
from dialogpt.decode.prefill import Gpt2Prefill
from dialogpt.decode.replies import GeneratedReply, finite
from dialogpt.decode.restrictions import Restrictions
from dialogpt.decode.sampling import sample
from dialogpt.decode.steps import Steps
from dialogpt.models.inference import CausalLm, inference_of


def uniform_table(
    seed: int,
    context_index: int,
    *,
    num_samples: int,
    max_new_tokens: int,
    latent: int | None = None,
) -> NDArray[np.float32]:
    """(num_samples, max_new_tokens) numbers in [0, 1): one for each token that may be drawn.

    A pure function of its arguments (Philox, Salmon et al. 2011), so a context's hypotheses are the
    same whatever else is in the batch, and the first 8 of 16 samples are those of 8. So for each
    latent of a model that has one.
    """
    place = (context_index,) if latent is None else (context_index, latent)
    source = np.random.SeedSequence(entropy=seed % 2**64, spawn_key=place)
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
        Gpt2Prefill(engine=engine, contexts=contexts),
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
        found = beam_search(steps, restrictions, num_contexts=len(contexts))
        return finite(found, model.dtype)
    size = {"num_samples": num_samples, "max_new_tokens": generation.max_new_tokens}
    tables = [uniform_table(generation.seed, index, **size) for index in context_indices]
    uniforms = torch.from_numpy(np.concatenate(tables)).to(model.device)
    drawn = sample(steps, restrictions, uniforms, on_tokens)
    return finite(drawn.by_context(num_samples), model.dtype)
