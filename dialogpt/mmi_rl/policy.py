"""The model as a policy: log-probabilities of replies under the distribution they are drawn from.

The policy is the model's own distribution, not cut to the likeliest tokens: with a cut one, tokens
outside are never drawn and never learned, and where the start model would have cut another token
the divergence from it is infinite. One thing differs from the model: a reply does not begin with
the end of turn, so at a reply's first token the others have all of the probability.

Shapes: B replies, T tokens of the longest row, N reply tokens, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dialogpt.data.batch import AnyBatch
from dialogpt.decode.replies import GeneratedReply
from dialogpt.models.gpt2 import DialogueModel

_TENSORS = ("input_ids", "places", "targets", "is_first", "rows", "advantages")


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledBatch:
    """Replies behind their contexts; a micro-batch as `dialogpt.train.step.Updater` takes it.

    Attributes:
        input_ids: (B, T) int64, padded on the right.
        places: (N,) int64, place in the flattened input_ids from which a reply token is foretold.
        targets: (N,) int64, that token; the end of turn where it was drawn is one.
        is_first: (N,) bool, whether it begins its reply.
        rows: (N,) int64, the reply it belongs to.
        advantages: (B,) float32, what each reply's log-probability is worth.
        eos_id: the token that ends a turn.
        num_replies: B, or 0 in a batch that only keeps ranks in step.
        dialogue_indices: number in the split of each reply's dialogue.
        num_used_tokens: places that are not padding.
    """

    input_ids: Tensor
    places: Tensor
    targets: Tensor
    is_first: Tensor
    rows: Tensor
    advantages: Tensor
    eos_id: int
    num_replies: int
    dialogue_indices: tuple[int, ...]
    num_used_tokens: int

    @property
    def num_tokens(self) -> int:
        """Reply tokens."""
        return len(self.targets)

    @property
    def num_target_tokens(self) -> int:
        """Scored: all of them."""
        return self.num_tokens

    @property
    def num_padded_tokens(self) -> int:
        """Tokens computed, padding included: B x T."""
        return self.input_ids.numel()

    @property
    def num_skipped(self) -> int:
        """Dialogues left out: none."""
        return 0

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {name: getattr(self, name) for name in _TENSORS}

    def to(self, device: torch.device) -> "SampledBatch":
        """The same batch on a device."""
        moved: dict[str, Any] = {
            name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors().items()
        }
        return replace(self, **moved)


def lay_replies(
    contexts: Sequence[Sequence[int]],
    replies: Sequence[GeneratedReply],
    dialogue_indices: Sequence[int],
    *,
    eos_id: int,
    max_tokens: int,
) -> list[SampledBatch]:
    """Replies in order as micro-batches, with advantages of 0; one without targets for no replies.

    Args:
        contexts: token ids before each reply.
        replies: as many.
        dialogue_indices: as many.
        eos_id: the token that ends a turn.
        max_tokens: most tokens of a micro-batch, padding included; a longer row goes alone.
    """
    if not replies:
        nothing = GeneratedReply(token_ids=[], finished=False, forward_log_prob=0.0)
        empty = _lay([[eos_id]], [nothing], (), eos_id=eos_id)
        return [replace(empty, num_replies=0)]
    lengths = [len(c) + len(r.token_ids) for c, r in zip(contexts, replies, strict=True)]
    return [
        _lay(
            contexts[some],
            replies[some],
            tuple(dialogue_indices[some]),
            eos_id=eos_id,
        )
        for some in _cut(lengths, max_tokens)
    ]


def _cut(lengths: Sequence[int], max_tokens: int) -> Iterator[slice]:
    start = longest = 0
    for end, length in enumerate(lengths):
        if end > start and max(longest, length) * (end + 1 - start) > max_tokens:
            yield slice(start, end)
            start, longest = end, 0
        longest = max(longest, length)
    yield slice(start, len(lengths))


def _lay(
    contexts: Sequence[Sequence[int]],
    replies: Sequence[GeneratedReply],
    dialogue_indices: tuple[int, ...],
    *,
    eos_id: int,
) -> SampledBatch:
    rows = [[*context, *r.token_ids] for context, r in zip(contexts, replies, strict=True)]
    width = max(map(len, rows))
    input_ids = np.full((len(rows), width), eos_id, np.int64)
    drawn = [[*r.token_ids, *([eos_id] if r.finished else [])] for r in replies]
    counts = np.array([len(tokens) for tokens in drawn])
    firsts = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum())) - np.repeat(firsts, counts)
    begins = np.arange(len(rows)) * width + [len(context) - 1 for context in contexts]
    for row, ids in zip(input_ids, rows, strict=True):
        row[: len(ids)] = ids
    targets = np.array([token for tokens in drawn for token in tokens], np.int64)
    return SampledBatch(
        input_ids=torch.from_numpy(input_ids),
        places=torch.from_numpy(np.repeat(begins, counts) + within),
        targets=torch.from_numpy(targets),
        is_first=torch.from_numpy(within == 0),
        rows=torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
        advantages=torch.zeros(len(rows)),
        eos_id=eos_id,
        num_replies=len(rows),
        dialogue_indices=dialogue_indices,
        num_used_tokens=sum(map(len, rows)),
    )


def token_log_probs(model: DialogueModel, batch: SampledBatch) -> Tensor:
    """(N,) float32 log-probability of each reply token, in nats, as it was drawn.

    Logits are computed in float32 whatever the products before them: their differences are what is
    learned from.
    """
    language_model = model.language_model
    hidden = language_model.transformer(batch.input_ids, use_cache=False)[0]
    states = hidden.flatten(0, 1).index_select(0, batch.places)
    with torch.autocast(states.device.type, enabled=False):
        logits = F.linear(states.float(), language_model.lm_head.weight.float())
    is_end = torch.arange(logits.shape[1], device=logits.device) == batch.eos_id
    logits = logits.masked_fill(batch.is_first[:, None] & is_end, float("-inf"))
    chosen = logits.gather(1, batch.targets[:, None])[:, 0]
    return chosen - logits.logsumexp(dim=1)


class PolicyModel(DialogueModel):
    """A GPT-2 that learns from drawn replies; other batches have their usual loss."""

    def forward(self, batch: AnyBatch | SampledBatch) -> dict[str, Tensor]:  # type: ignore[override]
        """{"policy": () float32}: minus the sum over replies of advantage x log-probability.

        Its gradient is minus REINFORCE's (Williams 1992): that of the objective, in expectation
        over what is drawn.
        """
        if not isinstance(batch, SampledBatch):
            return super().forward(batch)
        worth = batch.advantages[batch.rows]
        return {"policy": -(worth * token_log_probs(self, batch)).sum()}

    def loss_counts(self, batch: AnyBatch | SampledBatch) -> dict[str, int]:  # type: ignore[override]
        """{"policy": replies}."""
        if not isinstance(batch, SampledBatch):
            return super().loss_counts(batch)
        return {"policy": batch.num_replies}
