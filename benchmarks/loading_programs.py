"""What the benchmark of loading measures: each program reads its store, batch by batch.

    python benchmarks/loading_programs.py PROGRAM STORES WORKERS RESULT [--release CHECKOUT]

Writes to RESULT what whole passes of some seconds together took, importing apart.
"""

import argparse
import gc
import importlib
import itertools
import json
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from benchmarks.loading_data import CHUNK_DIALOGUES, STORES_FILE, release_module
from benchmarks.training_data import EOS_ID, MAX_SEQ_LEN
from dialogpt.config.training import BatchConfig, DataConfig, Layout
from dialogpt.data.loader import StepLoader, end_all_workers
from dialogpt.data.manifest import read_manifest
from dialogpt.data.sampler import BatchLimits, BatchPlanner, RankSampler
from dialogpt.records import IGNORE_INDEX

PACKED_TOKENS, PADDED_TOKENS = 65_536, 16_384
ROWS = PADDED_TOKENS // MAX_SEQ_LEN
"""Rows of a batch where a program takes so many dialogues, whatever their lengths."""

_WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
_LIBRARIES = {"datasets": "datasets", "mosaicml-streaming": "streaming"}
"""What programs import, which is not measured."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch that a program made.

    Attributes:
        tensors: what a model gets.
        num_tokens: of the dialogues, without padding.
    """

    tensors: dict[str, Tensor]
    num_tokens: float


Epochs = Callable[[int], Iterator[Loaded]]
"""Number of the epoch, from 0 and in order -> its batches."""


def ours(stores: Path, num_workers: int, *, layout: Layout) -> Epochs:
    """The project's loader."""
    folder = stores / "ours"
    tokens = PADDED_TOKENS if layout == "padded" else PACKED_TOKENS
    loader = StepLoader(
        folder,
        read_manifest(folder),
        data=DataConfig(shards=str(stores), max_seq_len=MAX_SEQ_LEN, num_workers=num_workers),
        batch=BatchConfig(layout=layout, micro_batch_tokens=tokens),
        direction="forward",
        rank=0,
        num_ranks=1,
        seed=0,
    )

    def epoch(number: int) -> Iterator[Loaded]:
        for step in loader.epoch(number):
            for batch in step:
                yield Loaded(batch.tensors(), batch.num_tokens)

    return epoch


def arrow(stores: Path, num_workers: int) -> Epochs:
    """`datasets` over a memory-mapped Arrow file, with the batches of our planner."""
    import datasets

    lengths = np.load(stores / "lengths.npy", allow_pickle=False)
    starts = np.array([*range(0, len(lengths), CHUNK_DIALOGUES), len(lengths)])
    limits = BatchLimits(micro_batch_tokens=PADDED_TOKENS)
    sampler = RankSampler(BatchPlanner(lengths, starts, limits=limits, seed=0), 0)
    loader: Any = DataLoader(
        datasets.load_from_disk(str(stores / "datasets")).with_format("numpy"),
        batch_sampler=sampler,
        collate_fn=padded,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )

    def epoch(number: int) -> Iterator[Loaded]:
        sampler.go_to(number, 0)
        yield from loader

    return epoch


def mosaic(stores: Path, num_workers: int) -> Epochs:
    """`mosaicml-streaming` over its own shards, in its own random order."""
    streaming: Any = importlib.import_module("streaming")
    streaming.base.util.clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(
        local=str(stores / "streaming"), shuffle=True, batch_size=ROWS
    )
    loader: Any = DataLoader(dataset, batch_size=ROWS, collate_fn=padded, num_workers=num_workers)
    return lambda _: iter(loader)


def padded(rows: Sequence[dict[str, Any]]) -> Loaded:
    """What a user writes to make a batch of rows."""
    ids = [torch.from_numpy(row["input_ids"].astype(np.int64)) for row in rows]
    labels = [row.clone() for row in ids]
    for row, label in zip(rows, labels, strict=True):
        label[: row["num_given"]] = IGNORE_INDEX
    lengths = torch.tensor([len(row) for row in ids])
    tensors = {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=EOS_ID),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORE_INDEX),
        "lengths": lengths,
    }
    return Loaded(tensors, int(lengths.sum()))


def release(stores: Path, checkout: Path) -> Epochs:
    """The release's own loader, as it trains: 64 rows, in the process that asks."""
    loader_class = release_module(checkout, "data_loader").BucketingDataLoader
    counts = json.loads((stores / STORES_FILE).read_text(encoding="utf-8"))
    mean = counts["num_tokens"] / counts["num_dialogues"]
    names = ("input_ids", "position_ids", "token_type_ids", "labels")
    loader = loader_class(str(stores / "release"), ROWS, MAX_SEQ_LEN)
    # Its batches do not say where padding begins.
    return lambda _: (
        Loaded(dict(zip(names, tensors, strict=True)), mean * len(tensors[0])) for tensors in loader
    )


def programs(release_checkout: Path | None) -> dict[str, Callable[[Path, int], Epochs]]:
    """Name -> (stores, number of worker processes) -> epochs."""
    found: dict[str, Callable[[Path, int], Epochs]] = {
        "ours, packed": lambda stores, workers: ours(stores, workers, layout="packed"),
        "ours, padded": lambda stores, workers: ours(stores, workers, layout="padded"),
        "datasets": arrow,
        "mosaicml-streaming": mosaic,
    }
    if release_checkout is not None:
        found["the release"] = lambda stores, _: release(stores, release_checkout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("program")
    parser.add_argument("stores", type=Path)
    parser.add_argument("workers", type=int)
    parser.add_argument("result", type=Path)
    parser.add_argument("--release", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0, help="take passes for so long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if library := _LIBRARIES.get(options.program):
        importlib.import_module(library)
    elif options.program == "the release":
        release_module(options.release, "data_loader")
    make = programs(options.release)[options.program]
    result = passes(lambda: make(options.stores, options.workers), options.seconds)
    options.result.write_text(json.dumps(result), encoding="utf-8")


def passes(make: Callable[[], Epochs], least_seconds: float) -> dict[str, float]:
    """What passes over the dialogues take, with the time of workers, which have ended by then."""
    own_before, others_before = map(_cpu_seconds, _WHOSE)
    started = perf_counter()
    first = 0.0
    num_tokens, num_computed = 0.0, 0
    epochs = make()
    for number in itertools.count():
        for batch in epochs(number):
            first = first or perf_counter() - started
            num_tokens += batch.num_tokens
            num_computed += batch.tensors["input_ids"].numel()
        seconds = perf_counter() - started
        if seconds >= least_seconds:
            break
    own = _cpu_seconds(resource.RUSAGE_SELF) - own_before
    # Ends worker processes, whose time is known only then; the time of collecting is not theirs.
    end_all_workers()
    del epochs
    gc.collect()
    others = _cpu_seconds(resource.RUSAGE_CHILDREN) - others_before
    return {
        "num_tokens": num_tokens,
        "num_computed": num_computed,
        "seconds": seconds,
        "first_batch_seconds": first,
        "cpu_seconds": own + others,
    }


def _cpu_seconds(whose: int) -> float:
    """User and system time of this process, or of its children that have ended."""
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
