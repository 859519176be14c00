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
from collections.abc import Iterable
from dataclasses import dataclass, field

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
        sums: name -> nats: nll, bow, selection as the model's losses, and marginal, best, bound
            where all latents were computed.
        num_tokens, num_words, num_chars: of the targets.
        num_responses: true ones.
        num_negatives, num_right: negatives, and true and negative responses told apart rightly.
        reduced: name -> what the loss of the name is divided by.
        latents: usage; None without a latent.
    """

    sums: dict[str, float]
    num_tokens: int
    num_words: float
    num_chars: float
    num_responses: int
    num_negatives: int
    num_right: int
    reduced: dict[str, int] = field(default_factory=dict)
    latents: LatentUsage | None = None

    @property
    def loss(self) -> float:
        """The total that training minimises, with the most probable latent."""
        return sum(self.sums[name] / max(1, count) for name, count in self.reduced.items())

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
            values["selection_loss"] = self.sums["selection"] / self.num_responses
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
    totals: dict[str, Tensor] = {}
    counts = [0.0] * 6
    used = UsageSums()
    reduced: dict[str, int] = {}
    with torch.no_grad(), accelerator.autocast():
        for batch in (batch for batches in steps for batch in batches):
            on_device = batch.to(accelerator.device)
            for name, value in measured_sums(model, on_device, used, all_latents).items():
                totals[name] = totals.get(name, value.new_zeros(())) + value
            for name, count in model.loss_counts(batch).items():
                reduced[name] = reduced.get(name, 0) + count
            found = (
                *(batch.num_target_tokens, batch.num_target_words, batch.num_target_chars),
                *(batch.num_rows, batch.num_negatives, 0.0),
            )
            counts = [a + b for a, b in zip(counts, found, strict=True)]
    names = list(totals)
    local = torch.stack([totals[name] for name in names]).cpu().tolist()  # one wait for the device
    usage_sums = used.take() or [0.0] * (model.network.sizes.num_latents + 2)
    summed = sum_over_ranks([*local, *counts, *reduced.values(), *usage_sums])
    values, summed = dict(zip(names, summed, strict=False)), summed[len(names) :]
    tokens, words, chars, responses, negatives, _ = summed[:6]
    divided = dict(zip(reduced, map(int, summed[6:]), strict=False))
    return PlatoResult(
        num_right=int(values.pop("right", 0.0)),
        sums=values,
        num_tokens=int(tokens),
        num_words=words,
        num_chars=chars,
        num_responses=int(responses),
        num_negatives=int(negatives),
        reduced=divided,
        latents=usage(summed[6 + len(reduced) :]) if model.has_latent else None,
    )


def measured_sums(
    model: PlatoModel, batch: PlatoBatch, used: UsageSums, all_latents: bool
) -> dict[str, Tensor]:
    """Sums over a batch, () float64; the same names for every batch, also an empty one.

    Ranks add up what they have by its place: one with an empty batch alone must have it all.
    """
    losses = {name: value.double() for name, value in model(batch).items()}
    if not model.has_latent:
        return losses
    if not batch.num_rows:
        zero = torch.zeros_like(losses["nll"])
        return losses | dict.fromkeys(("right", *(_KINDS if all_latents else ())), zero)
    kind = product_type(model.network.tokens.weight)
    with torch.autocast(batch.columns.device.type, enabled=False):
        found = model.recognise(batch, kind)
        used.add(found.log_posterior)
        true, negative = found.logits[: batch.num_rows], found.logits[batch.num_rows :]
        losses["right"] = ((true > 0).sum() + (negative < 0).sum()).double()
        if all_latents:
            nlls = latent_nlls(model, batch, kind)
            losses |= bounds(nlls, found.log_posterior.double())
    return losses


def latent_nlls(model: PlatoModel, batch: PlatoBatch, kind: torch.dtype) -> Tensor:
    """(B, K) float64: -log p(response | context, z) of each true response under each latent."""
    spans = batch.generation
    columns = [
        response_nlls(model, model.generate(batch, latent.expand(spans.num_rows, -1), kind), batch)
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
