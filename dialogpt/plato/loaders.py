"""Shards -> batches of examples, for training and for measuring."""

from pathlib import Path

from dialogpt.config.plato import PlatoConfig
from dialogpt.config.training import BatchConfig, DataConfig, TrainConfig
from dialogpt.data.loader import BatchLoader, batch_limits, open_dialogues
from dialogpt.data.manifest import Manifest
from dialogpt.data.sampler import BatchPlanner
from dialogpt.distributed import num_ranks
from dialogpt.plato.batch import PlatoBatch
from dialogpt.plato.examples import ExampleCollator, ExampleDataset
from dialogpt.plato.lengths import Cuts
from dialogpt.plato.model import PlatoModel


class ExampleLoader(BatchLoader[PlatoBatch]):
    """Batches of examples; arguments as `BatchLoader`.

    Attributes:
        cuts: what limits leave out of them; None where there are too many to look at them all.
    """

    cuts: Cuts | None = None


def example_loader(
    config: TrainConfig,
    plato: PlatoConfig,
    manifest: Manifest,
    *,
    split: str,
    model: PlatoModel,
    bou_id: int,
    rank: int,
) -> ExampleLoader:
    """The examples of a run's split; those of validation without accumulation, in one order."""
    is_training = split == "train"
    batch = config.batch
    if not is_training:
        batch = BatchConfig(
            micro_batch_tokens=batch.micro_batch_tokens,
            max_micro_batch_size=batch.max_micro_batch_size,
        )
    return split_loader(
        Path(config.data.shards) / split,
        manifest,
        plato,
        data=config.data,
        batch=batch,
        model=model,
        bou_id=bou_id,
        rank=rank,
        seed=config.seed if is_training else 0,
        max_dialogues=0 if is_training else config.validation.max_dialogues,
    )


def split_loader(
    folder: Path,
    manifest: Manifest,
    plato: PlatoConfig,
    *,
    data: DataConfig,
    batch: BatchConfig,
    model: PlatoModel,
    bou_id: int,
    rank: int,
    seed: int,
    max_dialogues: int = 0,
) -> ExampleLoader:
    """The examples of a split's folder.

    Args:
        folder: the split's.
        manifest: what `read_manifest` returned for it.
        plato: which examples, with which limits.
        data: how chunks are mixed and read.
        batch: sizes.
        model: says what rows are like.
        bou_id: begins a response.
        rank: this process.
        seed: of the order and of negatives.
        max_dialogues: the first so many; 0 takes all.

    Raises:
        UserError: there is nothing to learn from.
    """
    dialogues = open_dialogues(folder, manifest, data=data, max_dialogues=max_dialogues)
    dataset = ExampleDataset(dialogues, plato, seed=seed)
    planner = BatchPlanner(
        dataset.lengths,
        dataset.chunk_starts,
        limits=batch_limits(data, batch, packed=True, num_ranks=num_ranks()),
        seed=seed,
    )
    collate = ExampleCollator(
        config=plato, layout=model.layout(), bou_id=bou_id, eou_id=manifest.eos_id
    )
    loader = ExampleLoader(
        dataset,
        planner,
        collate,
        num_dialogues=len(dataset),
        rank=rank,
        num_workers=data.num_workers,
    )
    loader.cuts = dataset.cuts
    return loader
