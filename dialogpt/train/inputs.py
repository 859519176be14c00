"""What a run reads: manifests of the shards, and loaders of their splits."""

import hashlib
import logging
from pathlib import Path

from dialogpt.command_line import require_folder
from dialogpt.config.training import BatchConfig, TrainConfig
from dialogpt.data.loader import StepLoader
from dialogpt.data.manifest import Manifest, read_manifest
from dialogpt.distributed import num_ranks
from dialogpt.tokenization import load_tokenizer

logger = logging.getLogger(__name__)


def read_manifests(shards: Path) -> dict[str, Manifest]:
    """The manifest of train and, where there are dialogues, valid."""
    require_folder(shards, "a folder of shards", "run `python -m data_prep shards` first")
    tokenizer = load_tokenizer(str(shards / "tokenizer"))
    manifests = {"train": read_manifest(shards / "train", tokenizer=tokenizer)}
    if (shards / "valid").is_dir():
        manifests["valid"] = read_manifest(shards / "valid", tokenizer=tokenizer)
    if "valid" not in manifests or manifests["valid"].num_dialogues == 0:
        manifests.pop("valid", None)
        logger.warning(
            "%s: no validation dialogues, so nothing tells when to stop: best/ will be the last "
            "model. Extract with a larger split.valid_fraction to have some",
            shards / "valid",
        )
    return manifests


def fingerprint(manifest: Manifest) -> str:
    """16 hexadecimal digits that stand for every byte of a split."""
    sums = sorted(value for shard in manifest.shards for value in shard.sha256.values())
    return hashlib.sha256("".join(sums).encode()).hexdigest()[:16]


def build_loaders(
    config: TrainConfig, manifests: dict[str, Manifest], *, rank: int
) -> dict[str, StepLoader]:
    """Split -> loader; validation takes no accumulation and always the same order."""
    plain = BatchConfig(
        layout=config.batch.layout,
        micro_batch_tokens=config.batch.micro_batch_tokens,
        max_micro_batch_size=config.batch.max_micro_batch_size,
    )
    settings: dict[str, tuple[BatchConfig, int, int]] = {
        "train": (config.batch, config.seed, 0),
        "valid": (plain, 0, config.validation.max_dialogues),
    }
    loaders = {}
    for split, manifest in manifests.items():
        batch, seed, max_dialogues = settings[split]
        loaders[split] = StepLoader(
            Path(config.data.shards) / split,
            manifest,
            data=config.data,
            batch=batch,
            direction=config.direction,
            rank=rank,
            num_ranks=num_ranks(),
            seed=seed,
            max_dialogues=max_dialogues,
        )
    return loaders
