"""Candidates for replies: for each latent its own, for many contexts at once.

Shapes: C contexts, K latents (1 where there is none), n beams or samples of a latent, R = C K n
rows at the start, V vocabulary, T tokens of the longest reply.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.beam import beam_search
from dialogpt.decode.generate import uniform_table
from dialogpt.decode.replies import GeneratedReply, finite
from dialogpt.decode.restrictions import Restrictions
from dialogpt.decode.sampling import sample
from dialogpt.decode.steps import Steps
from dialogpt.plato.batch import RowLayout
from dialogpt.plato.engine import PlatoEngine
from dialogpt.plato.prefill import PlatoPrefill
from dialogpt.plato.sequence import Columns
from dialogpt.tokenization import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyTokens:
    """What a reply is made of.

    Attributes:
        bou_id: begins it.
        eos_id: ends it.
        vocab_size: ids of the tokenizer; a model's table may have more rows.
        readable: (vocab_size,) bool, whether a token shows something; every reply has one that
            does. None: not looked at.
        forbidden: int64 ids that it never holds.
    """

    bou_id: int
    eos_id: int
    vocab_size: int
    readable: Tensor | None
    forbidden: Tensor

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, readable: Tensor | None) -> "ReplyTokens":
        """Everything but control tokens, and what stands for unknown words."""
        texts = tokenizer.decode_batch([[token_id] for token_id in range(tokenizer.vocab_size)])
        # Control tokens are left out of text; a blank is not.
        forbidden = {token_id for token_id, text in enumerate(texts) if not text}
        unknown = getattr(tokenizer, "unk_id", None)  # GPT-2's has pieces for all there is
        forbidden |= set() if unknown is None else {unknown}
        return cls(
            bou_id=tokenizer.bou_id,
            eos_id=tokenizer.eos_id,
            vocab_size=tokenizer.vocab_size,
            readable=readable,
            forbidden=torch.tensor(sorted(forbidden - {tokenizer.eos_id}), dtype=torch.long),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A reply, and the latent that spoke; None where there is none."""

    latent: int | None
    reply: GeneratedReply


@torch.inference_mode()
def generate(
    engine: PlatoEngine,
    contexts: Sequence[Columns],
    *,
    layout: RowLayout,
    context_indices: Sequence[int],
    generation: GenerationConfig,
    tokens: ReplyTokens,
    on_tokens: Callable[[list[int]], None] | None = None,
) -> list[list[Candidate]]:
    """The candidates of each context, in the order of their latents.

    Beam search keeps the best reply of each latent, and one that max_new_tokens cut only where no
    beam has ended. Without a latent, it keeps all, as for GPT-2.

    Args:
        engine: the model.
        contexts: (4, P) int64 columns of each, at least one.
        layout: of the model's rows.
        context_indices: a number for each context, which with the seed and the latent decides its
            draws.
        generation: method, numbers and lengths.
        tokens: of replies.
        on_tokens: told the ids of the reply so far after each token, if there is one in all and it
            is not found by beam search.

    Raises:
        UserError: the model's numbers are not finite in its precision.
    """
    if not contexts:
        return []
    num_latents = max(1, engine.num_latents)
    num_rows = rows_per_latent(generation, has_latent=layout.has_latent)
    prefill = PlatoPrefill(
        engine=engine,
        layout=layout,
        contexts=contexts,
        bou_id=tokens.bou_id,
        rows_per_latent=num_rows,
    )
    size = {"max_new_tokens": generation.max_new_tokens}
    steps = Steps(engine, prefill, rows_per_context=prefill.rows_per_context, **size)
    restrictions = Restrictions.of(
        generation,
        [columns[0].tolist() for columns in contexts],
        eos_id=tokens.eos_id,
        vocab_size=tokens.vocab_size,
        rows_per_context=num_latents * num_rows,
        readable=tokens.readable,
        device=engine.device,
        forbidden=tokens.forbidden,
    )
    if generation.method == "beam":
        wanted = 1 if layout.has_latent else num_rows
        groups = len(contexts) * num_latents
        found = beam_search(steps, restrictions, num_contexts=groups, num_wanted=wanted)
        replies = [group[:wanted] for group in found]
    else:
        latents = range(num_latents) if layout.has_latent else [None]
        uniforms = _uniforms(generation, context_indices, latents, num_rows).to(engine.device)
        replies = sample(steps, restrictions, uniforms, on_tokens).by_context(num_rows)
    return _by_context(finite(replies, engine.dtype), num_latents, has_latent=layout.has_latent)


def _uniforms(
    generation: GenerationConfig,
    context_indices: Sequence[int],
    latents: Iterable[int | None],
    num_samples: int,
) -> Tensor:
    """(R, T) numbers in [0, 1), one for each token that may be drawn."""
    size = {"num_samples": num_samples, "max_new_tokens": generation.max_new_tokens}
    tables = [
        uniform_table(generation.seed, index, latent=latent, **size)
        for index in context_indices
        for latent in latents
    ]
    return torch.from_numpy(np.concatenate(tables))


def rows_per_latent(generation: GenerationConfig, *, has_latent: bool) -> int:
    """Beams or samples: of each latent its own number, without one as for GPT-2."""
    if not has_latent or generation.method != "sample":
        return generation.num_hypotheses
    return generation.samples_per_latent


def _by_context(
    groups: list[list[GeneratedReply]], num_latents: int, *, has_latent: bool
) -> list[list[Candidate]]:
    candidates = [
        [Candidate(latent=number % num_latents if has_latent else None, reply=r) for r in group]
        for number, group in enumerate(groups)
    ]
    return [
        [candidate for group in candidates[start : start + num_latents] for candidate in group]
        for start in range(0, len(candidates), num_latents)
    ]
