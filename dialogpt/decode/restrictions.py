"""Which tokens may not come next: functions that set logits to -inf in place.

Shapes: R rows, V vocabulary, T tokens of the longest reply, S tokens of the longest history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dialogpt.config.decoding import GenerationConfig

_FORBIDDEN = float("-inf")
_NOBODY = -1  # fills up histories; no token has this id


@dataclass(frozen=True, kw_only=True, slots=True)
class Restrictions:
    """What a batch's replies may not hold.

    Attributes:
        generation: fewest tokens, and the lengths of n-grams.
        eos_id: the token that ends a turn.
        vocab_size: ids of the tokenizer; a model's embedding may have more rows.
        readable: (vocab_size,) bool, whether a token shows something; every reply has one that
            does. None: not looked at.
        histories: (hypotheses, S) int64, what each may not copy from, filled up with -1. None:
            nothing.
        forbidden: int64 ids that no reply holds. None: none.
    """

    generation: GenerationConfig
    eos_id: int
    vocab_size: int
    readable: Tensor | None
    histories: Tensor | None
    forbidden: Tensor | None = None

    @classmethod
    def of(
        cls,
        generation: GenerationConfig,
        contexts: Sequence[Sequence[int]],
        *,
        eos_id: int,
        vocab_size: int,
        rows_per_context: int,
        readable: Tensor | None,
        device: torch.device,
        forbidden: Tensor | None = None,
    ) -> "Restrictions":
        """For replies to contexts, whose turns each end with eos_id."""
        histories = None
        if generation.no_copy_ngram:
            turns = [last_turns(ids, generation.no_copy_turns, eos_id=eos_id) for ids in contexts]
            width = max(1, *map(len, turns))
            padded = [[*ids, *[_NOBODY] * (width - len(ids))] for ids in turns]
            histories = torch.tensor(padded, device=device)
            histories = histories.repeat_interleave(rows_per_context, dim=0)
        return cls(
            generation=generation,
            eos_id=eos_id,
            vocab_size=vocab_size,
            readable=None if readable is None else readable.to(device),
            histories=histories,
            forbidden=None if forbidden is None else forbidden.to(device),
        )

    def apply(self, logits: Tensor, token_ids: Tensor, numbers: Tensor, *, step: int) -> None:
        """Forbid what may not be the next token.

        Args:
            logits: (R, V) float32, changed.
            token_ids: (R, T) int64, of which the first `step` were said.
            numbers: (R,) int64, which hypothesis each row is.
            step: tokens of each reply so far.
        """
        logits[:, self.vocab_size :] = _FORBIDDEN
        if self.forbidden is not None:
            logits.index_fill_(1, self.forbidden, _FORBIDDEN)
        generation = self.generation
        if step < generation.min_new_tokens:
            logits[:, self.eos_id] = _FORBIDDEN
        if self.readable is not None:
            shows = self.readable[token_ids[:, :step]].any(dim=1)
            logits[:, self.eos_id].masked_fill_(~shows, _FORBIDDEN)
            if step == generation.max_new_tokens - 1:  # now or never
                blank = ~shows[:, None] & ~self.readable
                logits[:, : self.vocab_size].masked_fill_(blank, _FORBIDDEN)
        said = token_ids[:, :step]
        if generation.no_repeat_ngram:
            forbid_ngrams(logits, said, said, generation.no_repeat_ngram, eos_id=self.eos_id)
        if self.histories is not None:
            n = generation.no_copy_ngram
            forbid_ngrams(logits, said, self.histories[numbers], n, eos_id=self.eos_id)


def last_turns(context: Sequence[int], num_turns: int, *, eos_id: int) -> Sequence[int]:
    """The tokens of a context's last turns, each turn's end with it."""
    ends = np.flatnonzero(np.asarray(context) == eos_id)
    begins_late = len(ends) > num_turns
    return context[ends[-num_turns - 1] + 1 :] if begins_late else context


def forbid_ngrams(logits: Tensor, said: Tensor, text: Tensor, n: int, *, eos_id: int) -> None:
    """Forbid each token that would make the last n tokens of a reply an n-gram of a text.

    The end of a turn is never forbidden: a reply may end where one before it ended.

    Args:
        logits: (R, V), changed.
        said: (R, t) int64 replies so far.
        text: (R, S) int64; -1 is no token.
        n: length of the n-grams, at least 1.
        eos_id: the token that ends a turn.
    """
    last = said.shape[1] - (n - 1)
    if last < 0 or text.shape[1] < n:
        return
    ngrams = text.unfold(1, n, 1)  # (R, S - n + 1, n)
    matches = (ngrams[:, :, :-1] == said[:, None, last:]).all(dim=-1)
    following = ngrams[:, :, -1]
    matches &= (following != eos_id) & (following != _NOBODY)
    # The least of all that is said about a token: it may follow more than one n-gram.
    values = torch.where(matches, _FORBIDDEN, float("inf")).to(logits.dtype)
    logits.scatter_reduce_(1, following.clamp(min=0), values, "amin")
