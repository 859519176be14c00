"""What the training loop asks of a model, so that GPT-2 and PLATO fit it alike."""

from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor, nn

BatchType = TypeVar("BatchType", contravariant=True)


class LanguageBatch(Protocol):
    """The part of a batch that a decoder-only model reads. Shapes: B rows, T tokens."""

    @property
    def input_ids(self) -> Tensor:
        """(B, T) int64, padded on the right."""
        ...

    @property
    def labels(self) -> Tensor:
        """(B, T) int64, in step with input_ids, not shifted; IGNORE_INDEX where no loss is."""
        ...

    @property
    def num_target_tokens(self) -> int:
        """Labels that are scored."""
        ...


class DialogueLoss(Protocol[BatchType]):
    """A model as the training loop sees it: a torch module with named losses.

    A loss is a sum; what it is divided by is known from the batch alone, so it is added up over all
    micro-batches and ranks before the first forward pass. PLATO has three: tokens or rows for its
    likelihood and bag of words, rows for response selection.
    """

    def __call__(self, batch: BatchType) -> dict[str, Tensor]:
        """Name -> () float32 sum, in nats; training minimises the sum of sum / count over names."""
        ...

    def loss_counts(self, batch: BatchType) -> dict[str, int]:
        """Name -> what the sum is to be divided by; the names of `__call__`."""
        ...

    def blocks(self) -> list[nn.Module]:
        """The parts that come one after the other; ranks can share each one's weights (FSDP).

        Each reads its weights in `forward`, or in a method `run`, and nowhere else.
        """
        ...

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write config.json and model.safetensors in Hugging Face format.

        Args:
            folder: where.
            weights: by the module's names, in the place of its own: those that ranks share.
        """
        ...
