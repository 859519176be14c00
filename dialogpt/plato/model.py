"""PLATO's losses over its transformer.

Shapes: B examples, R rows, K latents, M targets, N places, V vocabulary, W width.

arXiv:1910.07931, section 2.3: L = L_NLL + L_BOW + L_RS, by a recognition pass over true and
negative responses and a generation pass over the true ones.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from dialogpt.checkpoint import PLATO
from dialogpt.config.plato import PlatoConfig
from dialogpt.models.losses import token_nll
from dialogpt.models.target_nll import target_nll
from dialogpt.plato.attention import Attention, Backend, backend_for
from dialogpt.plato.batch import PlatoBatch, RowLayout
from dialogpt.plato.latent import UsageSums, entropies, most_probable, sample_latent
from dialogpt.plato.network import PlatoNetwork, product_type
from dialogpt.plato.spans import Spans
from dialogpt.records import write_json

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
MASKS = ("bidirectional_context", "latent_visible_to_context")
"""What config.json says of who sees whom, under the names of the section of the config."""
SELECTS = "selects_responses"
"""What config.json says of the head of response selection: whether it was trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognition:
    """What the recognition pass says.

    Attributes:
        log_posterior: (B, K) log q(z | context, response) of the true responses, float32.
        logits: (B,) or (2 B,) of "this response belongs to this context": true ones, negative ones.
    """

    log_posterior: Tensor
    logits: Tensor


class PlatoModel(nn.Module):
    """A unified transformer with its heads; `dialogpt.models.base.DialogueLoss` for batches of it.

    Args:
        network: embeddings and blocks.
        config: objective and masks.
        compiled: whether torch compiles the blocks.
    """

    def __init__(
        self, network: PlatoNetwork, config: PlatoConfig, *, compiled: bool = False
    ) -> None:
        super().__init__()
        sizes = network.sizes
        self.network = network
        self.config = config
        self.usage = UsageSums()
        if sizes.num_latents:
            biases = sizes.head_biases
            self.posterior = nn.Linear(sizes.hidden_size, sizes.num_latents, bias=biases)
            self.bag_of_words = nn.Linear(sizes.hidden_size, sizes.vocab_size, bias=biases)
            self.selection = nn.Linear(sizes.hidden_size, 1)
            for head in (self.posterior, self.bag_of_words, self.selection):
                nn.init.normal_(head.weight, std=0.02)
                if head.bias is not None:
                    nn.init.zeros_(head.bias)
        if compiled:
            torch._dynamo.config.optimize_ddp = False
            network.step = torch.compile(network.step, dynamic=True)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.tokens.weight.device

    @property
    def has_latent(self) -> bool:
        """Whether there is a latent variable, and so a place for it in each row."""
        return self.network.sizes.num_latents > 0

    @property
    def selects_responses(self) -> bool:
        """Whether response selection is trained, so that it can rank replies."""
        return self.has_latent and self.config.selection_weight > 0

    def forward(self, batch: PlatoBatch) -> dict[str, Tensor]:
        """Sums in nats, () float32 each, which add up to what is minimised: `losses`, weighted."""
        losses, _ = self.losses(batch)
        weights = self.loss_weights()
        return {name: weights[name] * value for name, value in losses.items()}

    def losses(self, batch: PlatoBatch) -> tuple[dict[str, Tensor], Recognition | None]:
        """Sums in nats, () float32 each, and the recognition that they come from.

        They are nll, bow and selection, and the posterior's entropy if it has a weight; of a model
        without a latent nll alone. In training the latent is sampled from its posterior, else it is
        the most probable one.
        """
        dtype = product_type(self.network.tokens.weight)
        with torch.autocast(batch.columns.device.type, enabled=False):
            if not self.has_latent:
                return {"nll": self._nll(self.generate(batch, None, dtype), batch)}, None
            found = self.recognize(batch, dtype)
            weights = self._latent_weights(found.log_posterior, batch.num_rows > 0)
            states = self.generate(batch, weights @ self.network.latents.weight, dtype)
            losses = {
                "nll": self._nll(states, batch),
                "bow": self._bow(states[batch.generation.latent_places], batch),
                "selection": self._selection(found.logits, batch),
            }
            if self.config.entropy_weight:
                # A batch without examples has a row, which is no example.
                losses["entropy"] = entropies(found.log_posterior[: batch.num_rows]).sum()
            return losses, found

    def loss_weights(self) -> dict[str, float]:
        """Name -> what its sum counts in the total."""
        config = self.config
        return {
            "nll": 1.0,
            "bow": config.bow_weight,
            "selection": config.selection_weight,
            "entropy": -config.entropy_weight,
        }

    def recognize(self, batch: PlatoBatch, dtype: torch.dtype) -> Recognition:
        """The recognition pass over all rows, in one call."""
        spans = batch.recognition
        masks = self.network.mask.expand(spans.num_rows, -1)
        states = self.states(batch.columns, spans, masks, dtype)[spans.latent_places]
        return Recognition(
            log_posterior=self.log_posterior(states[: batch.generation.num_rows]),
            logits=self.coherence(states),
        )

    def log_posterior(self, states: Tensor) -> Tensor:
        """(R, K) log q(z | context, response), of (R, W) states at [M]."""
        head = self.posterior
        return F.linear(_precise(states), head.weight, head.bias).log_softmax(dim=1)

    def coherence(self, states: Tensor) -> Tensor:
        """(R,) float32 logits of p(the response belongs to the context), of states at [M]."""
        return F.linear(_precise(states), self.selection.weight, self.selection.bias)[:, 0]

    def generate(self, batch: PlatoBatch, latent: Tensor | None, dtype: torch.dtype) -> Tensor:
        """(N, W): the generation pass over the rows of true responses, given (B, W) latents."""
        columns = batch.columns[:, : batch.num_generated]
        return self.states(columns, batch.generation, latent, dtype)

    def states(
        self, columns: Tensor, spans: Spans, latent: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        """(N, W): the last states of a pass, with (R, W) latents in the rows' first places."""
        attention = Attention(spans, self.backend(columns.device, dtype))
        states: Tensor = self.network(columns, attention, spans.latent_places, latent, dtype)
        return states

    def backend(self, device: torch.device, dtype: torch.dtype) -> Backend:
        """How attention is computed."""
        return backend_for(device, dtype)

    def _latent_weights(self, log_posterior: Tensor, is_real: bool) -> Tensor:
        """(B, K) as training samples them, and as everything else takes them."""
        if not self.training:
            return most_probable(log_posterior)
        if is_real:
            self.usage.add(log_posterior.detach())
        config = self.config
        return sample_latent(log_posterior, config.latent_sample, temperature=config.temperature)

    def _nll(self, states: Tensor, batch: PlatoBatch) -> Tensor:
        """() of the targets; the output layer is the table of tokens, without a bias."""
        states = states.index_select(0, batch.target_places)
        table = self.network.tokens.weight
        if states.dtype == torch.float16:
            # Its gradients are scaled on the way back, so they cannot be made on the way forward.
            return token_nll(F.linear(states, table.to(states.dtype)), batch.targets)
        ones = torch.ones_like(batch.targets, dtype=torch.float32)
        return target_nll(states, table, batch.targets, ones)

    def _bow(self, states: Tensor, batch: PlatoBatch) -> Tensor:
        """() of the targets, by the (B, W) states at z: one softmax a row, looked up for each."""
        logits = _precise(F.linear(states, self.bag_of_words.weight.to(states.dtype)))
        if self.bag_of_words.bias is not None:
            logits = logits + self.bag_of_words.bias
        norms = logits.logsumexp(dim=1)
        chosen = logits[batch.target_rows, batch.targets]
        return (norms[batch.target_rows] - chosen).sum()

    def _selection(self, logits: Tensor, batch: PlatoBatch) -> Tensor:
        """() -log p(1 | true) - log p(0 | negative), over all examples."""
        if not batch.num_negatives:
            return logits.sum() * 0.0
        true, negative = logits[: batch.num_rows], logits[batch.num_rows :]
        return F.softplus(-true).sum() + F.softplus(negative).sum()

    def loss_counts(self, batch: PlatoBatch) -> dict[str, int]:
        """Name -> what its sum is divided by; see `PlatoConfig.reduction`."""
        by_token = self.config.reduction == "token_mean"
        words = batch.num_target_tokens if by_token else batch.num_rows
        if not self.has_latent:
            return {"nll": words}
        counts = {"nll": words, "bow": words, "selection": batch.num_negatives}
        return counts | ({"entropy": batch.num_rows} if self.config.entropy_weight else {})

    def layout(self) -> RowLayout:
        """What its rows are like."""
        return RowLayout(
            has_latent=self.has_latent,
            is_causal=not self.config.bidirectional_context,
            hides_latent=self.has_latent and not self.config.latent_visible_to_context,
        )

    def blocks(self) -> list[nn.Module]:
        """As `dialogpt.models.base.DialogueLoss` has it."""
        return list(self.network.blocks)

    def save(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write config.json and model.safetensors, which `load_plato` reads.

        Args:
            folder: where.
            weights: by this module's names, in the place of its own.
        """
        named = self.state_dict() if weights is None else weights
        kept = {name.removeprefix("network."): value.contiguous() for name, value in named.items()}
        save_file(kept, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        masks = {name: getattr(self.config, name) for name in MASKS}
        described = {
            "model_type": PLATO,
            **asdict(self.network.sizes),
            **masks,
            SELECTS: self.selects_responses,
        }
        write_json(folder / CONFIG_FILE, {**described, "sequence": asdict(self.config.sequence)})


def _precise(values: Tensor) -> Tensor:
    """In float32 at least: heads and softmaxes are small, and half precision is not for them."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
