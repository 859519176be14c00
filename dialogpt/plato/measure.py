"""How probable a PLATO finds responses, and what its latent has to do with it.

Shapes: B examples, K latents, M targets, W width, V vocabulary. Table 5 of arXiv:1910.07931 takes
the latent that a posterior over the answer itself holds most probable, which may tell up to ln K
nats about it. So three more numbers stand beside it, in nats of one response r to a context c:

    posterior   -log p(r | c, argmax_z q(z | c, r))     the paper's
    marginal    -log mean_z p(r | c, z)                 to be compared with a model without latent
    best        -min_z log p(r | c, z)
    bound       -E_q[log p(r | c, z)] + KL(q, uniform)  of which the marginal is never above
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from dialogpt.distributed import sum_over_ranks
from dialogpt.plato.batch import PlatoBatch
from dialogpt.plato.latent import LatentUsage, UsageSums, entropies, usage
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import product_type
from dialogpt.train.validate import perplexity

_ROWS_AT_ONCE = 2048
_KINDS = ("marginal", "best", "bound")


@dataclass(kw_only=True, slots=True)
class PlatoResult:
    """Sums over the responses of a split.

    Attributes:
        sums: name -> nats: nll, bow, selection, entropy as the model's losses, and marginal, best,
            bound where all latents were computed.
        num_tokens, num_words, num_chars: of the targets.
        num_responses: true ones.
        num_negatives, num_right: negatives, and true and negative responses told apart rightly.
        divisors, weights: of the losses, by name: what each is divided by, and counts in the total.
        latents: usage; None without a latent.
    """

    sums: dict[str, float]
    num_tokens: int
    num_words: float
    num_chars: float
    num_responses: int
    num_negatives: int
    num_right: int
    divisors: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    latents: LatentUsage | None = None

    @property
    def loss(self) -> float:
        """The total that training minimises, with the most probable latent."""
        return sum(
            self.weights[name] * self.sums[name] / max(1, count)
            for name, count in self.divisors.items()
        )

    @property
    def nll(self) -> float:
        """Nats a token, as the paper has it."""
        return self.sums["nll"] / max(1, self.num_tokens)

    def metrics(self) -> dict[str, float | int]:
        """For logs; perplexities a token compare only between models of one tokenizer."""
        values: dict[str, float | int] = {"loss": self.loss, "nll_per_token": self.nll}
        names = {"nll": "", **{kind: f"{kind}_" for kind in _KINDS}}
        for name, prefix in names.items():
            if name in self.sums:
                nats = self.sums[name]
                values[f"{prefix}perplexity"] = perplexity(nats / max(1, self.num_tokens))
                values[f"{prefix}word_perplexity"] = perplexity(nats / max(1.0, self.num_words))
                values[f"{prefix}nll_per_char"] = nats / max(1.0, self.num_chars)
        if "bow" in self.sums:
            values["bow_per_token"] = self.sums["bow"] / max(1, self.num_tokens)
        if self.num_negatives:
            values["selection_loss"] = self.sums["selection"] / self.num_negatives
            values["selection_accuracy"] = self.num_right / (2 * self.num_negatives)
        if self.latents is not None:
            values |= self.latents.metrics()
        return {**values, "tokens": self.num_tokens, "responses": self.num_responses}


def measure(
    model: PlatoModel,
    steps: Iterable[list[PlatoBatch]],
    *,
    accelerator: Accelerator,
    all_latents: bool = False,
) -> PlatoResult:
    """The model's losses on this rank's batches and all others', without dropout.

    Args:
        model: not wrapped for gradients.
        steps: this rank's micro-batches; as many on every rank.
        accelerator: device and autocast.
        all_latents: also compute each response under every latent, K passes more.
    """
    model.eval()
    sums: dict[str, Tensor] = {}
    counts: dict[str, float] = {}
    divisors: dict[str, int] = {}
    used = UsageSums()
    with torch.no_grad(), accelerator.autocast():
        for batch in (batch for batches in steps for batch in batches):
            found = measured_sums(
                model, batch.to(accelerator.device), used, all_latents=all_latents
            )
            _add(sums, found)
            _add(counts, _counts(batch))
            _add(divisors, model.loss_counts(batch))
    local = torch.stack([*sums.values()]).cpu().tolist()  # one wait for the device
    latents = used.take() or [0.0] * (model.network.sizes.num_latents + 2)
    # Ranks have the same names in the same order, whatever their batches hold.
    summed = iter(sum_over_ranks([*local, *counts.values(), *divisors.values(), *latents]))
    nats = {name: next(summed) for name in sums}
    counts = {name: next(summed) for name in counts}
    return PlatoResult(
        num_right=int(nats.pop("right", 0.0)),
        sums=nats,
        num_tokens=int(counts["tokens"]),
        num_words=counts["words"],
        num_chars=counts["chars"],
        num_responses=int(counts["responses"]),
        num_negatives=int(counts["negatives"]),
        divisors={name: int(next(summed)) for name in divisors},
        weights=model.loss_weights(),
        latents=usage(list(summed)) if model.has_latent else None,
    )


def _add(totals: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        totals[name] = totals[name] + value if name in totals else value


def _counts(batch: PlatoBatch) -> dict[str, float]:
    return {
        "tokens": batch.num_target_tokens,
        "words": batch.num_target_words,
        "chars": batch.num_target_chars,
        "responses": batch.num_rows,
        "negatives": batch.num_negatives,
    }


def measured_sums(
    model: PlatoModel, batch: PlatoBatch, used: UsageSums, *, all_latents: bool
) -> dict[str, Tensor]:
    """Sums over a batch, () float64; the same names for every batch, also an empty one.

    Ranks add up what they have by its place: one with an empty batch alone must have it all.
    """
    losses, found = model.losses(batch)
    sums = {name: value.double() for name, value in losses.items()}
    if found is None:
        return sums
    if not batch.num_rows:
        zero = torch.zeros_like(sums["nll"])
        return sums | dict.fromkeys(("right", *(_KINDS if all_latents else ())), zero)
    used.add(found.log_posterior)
    true, negative = found.logits[: batch.num_rows], found.logits[batch.num_rows :]
    sums["right"] = ((true > 0).sum() + (negative < 0).sum()).double()
    if all_latents:
        dtype = product_type(model.network.tokens.weight)
        with torch.autocast(batch.columns.device.type, enabled=False):
            nlls = latent_nlls(model, batch, dtype)
        sums |= bounds(nlls, found.log_posterior.double())
    return sums


def latent_nlls(model: PlatoModel, batch: PlatoBatch, dtype: torch.dtype) -> Tensor:
    """(B, K) float64: -log p(response | context, z) of each true response under each latent."""
    spans = batch.generation
    columns = [
        response_nlls(model, model.generate(batch, latent.expand(spans.num_rows, -1), dtype), batch)
        for latent in model.network.latents.weight
    ]
    return torch.stack(columns, dim=1)


def response_nlls(model: PlatoModel, states: Tensor, batch: PlatoBatch) -> Tensor:
    """(B,) float64: the sum over each response's targets, of the (N, W) states of generation."""
    table = model.network.tokens.weight.to(states.dtype)
    sums = torch.zeros(batch.num_rows, dtype=torch.float64, device=states.device)
    for start in range(0, len(batch.targets), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        logits = F.linear(states[batch.target_places[some]], table).float()
        losses = F.cross_entropy(logits, batch.targets[some], reduction="none")
        sums.index_add_(0, batch.target_rows[some], losses.double())
    return sums


def bounds(nlls: Tensor, log_posterior: Tensor) -> dict[str, Tensor]:
    """Sums over examples of marginal, best and bound, see the module's docstring.

    Args:
        nlls: (B, K) float64.
        log_posterior: (B, K) float64.
    """
    log_k = math.log(nlls.shape[1])
    expected = (log_posterior.exp() * nlls).sum(dim=1)
    return {
        "marginal": (log_k - torch.logsumexp(-nlls, dim=1)).sum(),
        "best": nlls.amin(dim=1).sum(),
        "bound": (expected + log_k - entropies(log_posterior)).sum(),
    }
