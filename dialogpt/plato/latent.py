"""The latent variable: samples of its posterior, and what many posteriors say of its use.

Shapes: B examples, K latents.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dialogpt.config.plato import LatentSample


def sample_latent(log_posterior: Tensor, how: LatentSample, *, temperature: float) -> Tensor:
    """(B, K) weights of the latents in each sample; they add up to 1.

    Jang et al. 2017, arXiv:1611.01144: softmax((log q + g) / t) with g of the Gumbel distribution.

    Args:
        log_posterior: (B, K) log q(z | context, response).
        how: see `PlatoConfig.latent_sample`.
        temperature: t.
    """
    noise = -torch.empty_like(log_posterior).exponential_().log()
    soft = ((log_posterior + noise) / temperature).softmax(dim=1)
    if how == "soft":
        return soft
    corner = F.one_hot(soft.argmax(dim=1), soft.shape[1]).to(soft.dtype)
    # The argmax of log q + g follows q exactly, whatever the temperature. For `sample` the gradient
    # is zero and not absent: several ranks wait for that of every parameter.
    return corner + 0.0 * soft if how == "sample" else corner + soft - soft.detach()


def most_probable(log_posterior: Tensor) -> Tensor:
    """(B, K): all weight on the most probable latent."""
    return F.one_hot(log_posterior.argmax(dim=1), log_posterior.shape[1]).to(log_posterior.dtype)


def entropies(log_posterior: Tensor) -> Tensor:
    """(B,) nats."""
    return -(log_posterior.exp() * log_posterior).sum(dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentUsage:
    """What posteriors of many examples say of the latent.

    Attributes:
        mean_posterior: (K,) the share of each latent; adds up to 1.
        mean_entropy: of the posteriors, nats.
    """

    mean_posterior: tuple[float, ...]
    mean_entropy: float

    @property
    def _entropy_of_mean(self) -> float:
        return -sum(share * math.log(share) for share in self.mean_posterior if share > 0)

    @property
    def perplexity(self) -> float:
        """How many latents are used: K where all are alike, 1 where it is always the same."""
        return math.exp(self._entropy_of_mean)

    @property
    def mutual_information(self) -> float:
        """I(z; response | context) averaged over contexts at most, nats: H(mean q) - mean H(q)."""
        return self._entropy_of_mean - self.mean_entropy

    def metrics(self) -> dict[str, float]:
        """For logs."""
        return {
            "latent_perplexity": self.perplexity,
            "latent_entropy": self.mean_entropy,
            "latent_information": self.mutual_information,
        }


class UsageSums:
    """Adds up posteriors on their device, without a wait."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None

    def add(self, log_posterior: Tensor) -> None:
        """Take in the posteriors of a batch, (B, K)."""
        with torch.no_grad():
            value = log_posterior.double()
            row = torch.cat(
                [
                    value.exp().sum(dim=0),
                    entropies(value).sum().view(1),
                    value.new_tensor([len(value)]),
                ]
            )
        self._sums = row if self._sums is None else self._sums + row

    def take(self) -> list[float]:
        """The sums since the last call, as K + 2 numbers: shares, entropy, examples; or none."""
        sums, self._sums = self._sums, None
        return [] if sums is None else [float(value) for value in sums.tolist()]


def usage(sums: list[float]) -> LatentUsage | None:
    """What `UsageSums.take` added up, of all ranks together; None without an example."""
    if not sums or not sums[-1]:
        return None
    *shares, entropy, count = sums
    return LatentUsage(
        mean_posterior=tuple(share / count for share in shares), mean_entropy=entropy / count
    )
