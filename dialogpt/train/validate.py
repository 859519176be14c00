"""Validation loss: sums over all batches and ranks, divided once."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dialogpt.data.batch import AnyBatch
from dialogpt.distributed import sum_over_ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationResult:
    """Loss on a split.

    Attributes:
        nll: summed negative log-likelihood of all targets, nats.
        num_tokens, num_words, num_chars: of the targets; end-of-turn tokens count as tokens only.
    """

    nll: float
    num_tokens: int
    num_words: float
    num_chars: float

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nll / self.num_tokens

    def metrics(self) -> dict[str, float | int]:
        """Nats and perplexity per token, word and character.

        Only those per word and character compare between tokenizers.
        """
        per_word = self.nll / max(1.0, self.num_words)
        per_char = self.nll / max(1.0, self.num_chars)
        return {
            "loss": self.loss,
            "nll_per_word": per_word,
            "nll_per_char": per_char,
            "perplexity": perplexity(self.loss),
            "word_perplexity": perplexity(per_word),
            "tokens": self.num_tokens,
        }


def perplexity(nats: float) -> float:
    """exp(nats), or the largest float where that overflows."""
    return math.exp(min(nats, 700.0))


def validate(
    model: nn.Module, steps: Iterable[list[AnyBatch]], *, accelerator: Accelerator
) -> ValidationResult:
    """The model's loss on this rank's batches and all others', without dropout.

    Args:
        model: not wrapped for gradients, of which there are none to exchange.
        steps: this rank's micro-batches; as many on every rank.
        accelerator: device and autocast.
    """
    model.eval()
    sums: list[Tensor] = []
    counts = [0.0, 0.0, 0.0]
    # Not inference_mode: weights that FSDP gathers in there could not be trained afterwards.
    with torch.no_grad(), accelerator.autocast():
        for batches in steps:
            for batch in batches:
                losses: dict[str, Tensor] = model(batch.to(accelerator.device))
                sums.append(losses["nll"])
                batch_counts: tuple[Any, ...] = (
                    batch.num_target_tokens,
                    batch.num_target_words,
                    batch.num_target_chars,
                )
                counts = [a + b for a, b in zip(counts, batch_counts, strict=True)]
    nll = float(torch.stack(sums).cpu().double().sum())  # one wait for the device, at the end
    nll, num_tokens, num_words, num_chars = sum_over_ranks([nll, *counts])
    return ValidationResult(
        nll=nll, num_tokens=int(num_tokens), num_words=num_words, num_chars=num_chars
    )
