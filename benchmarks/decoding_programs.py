"""What the benchmark of decoding measures beside this project: transformers, as a user has it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dialogpt.config.decoding import GenerationConfig

_ROWS = 16  # of the backward model at once


@dataclass(frozen=True, kw_only=True)
class Work:
    """What each program is to do.

    Attributes:
        folder: of the models `forward` and `backward`.
        contexts: ids of each context.
        sources: ids that the backward model is to score, of each context.
        generation: number and length of the hypotheses.
        eos_id: the token that ends a turn.
        device: where.
    """

    folder: Path
    contexts: list[list[int]]
    sources: list[list[int]]
    generation: GenerationConfig
    eos_id: int
    device: torch.device

    def pairs(self, replies: Sequence[Sequence[Any]]) -> list[tuple[list[int], list[int]]]:
        """(hypothesis and its end, source) of every hypothesis."""
        return [
            ([*reply.token_ids, self.eos_id], source)
            for source, group in zip(self.sources, replies, strict=True)
            for reply in group
        ]

    def load(self, direction: str) -> Any:
        """A transformers model."""
        from transformers import AutoModelForCausalLM

        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        model = AutoModelForCausalLM.from_pretrained(self.folder / direction, dtype=dtype)
        return model.to(self.device).eval()


def _generate(work: Work, **options: Any) -> Callable[[], Any]:
    model = work.load("forward")
    width = max(map(len, work.contexts))
    padded = [[work.eos_id] * (width - len(ids)) + ids for ids in work.contexts]
    seen = [[0] * (width - len(ids)) + [1] * len(ids) for ids in work.contexts]
    inputs = {
        "input_ids": torch.tensor(padded, device=work.device),
        "attention_mask": torch.tensor(seen, device=work.device),
    }
    generation = work.generation

    def run() -> Any:
        return model.generate(
            **inputs,
            do_sample=True,
            top_k=generation.top_k,
            num_return_sequences=generation.num_samples,
            max_new_tokens=generation.max_new_tokens,
            min_new_tokens=generation.min_new_tokens,
            pad_token_id=work.eos_id,
            **options,
        )

    return run


@torch.inference_mode()
def _score(work: Work) -> Callable[[], Any]:
    model = work.load("backward")
    size = work.generation.max_new_tokens
    hypothesis = [*range(100, 100 + size), work.eos_id]
    rows = [source for source in work.sources for _ in range(work.generation.num_samples)]

    @torch.inference_mode()
    def run() -> list[float]:
        scores: list[float] = []
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            width = max(map(len, some))
            padding = [width - len(source) for source in some]
            ids = [
                [*hypothesis, *s, *[work.eos_id] * n] for s, n in zip(some, padding, strict=True)
            ]
            labels = [
                [-100] * len(hypothesis) + [*s, *[-100] * n]
                for s, n in zip(some, padding, strict=True)
            ]
            logits = model(torch.tensor(ids, device=work.device)).logits.float()
            targets = torch.tensor(labels, device=work.device)[:, 1:]
            losses = torch.nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="none"
            )
            scores += (-losses.view(targets.shape).sum(dim=1)).tolist()
        return scores

    return run


BASELINES: dict[str, Callable[[Work], Callable[[], Any]]] = {
    "transformers, generate": _generate,
    "transformers, generate, static": lambda work: _generate(work, cache_implementation="static"),
    "transformers, scoring": _score,
}
