"""DataConfig -> micro-batches, a step at a time."""

import atexit
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from dialogpt.command_line import UserError
from dialogpt.config.shared import Direction
from dialogpt.config.training import BatchConfig, DataConfig, token_budget
from dialogpt.data.batch import AnyBatch, Collator
from dialogpt.data.dataset import ShardDataset
from dialogpt.data.manifest import Manifest
from dialogpt.data.sampler import BatchLimits, BatchPlanner, RankSampler

BatchType = TypeVar("BatchType")


class BatchLoader(Generic[BatchType]):
    """Micro-batches of one rank, grouped by optimizer step, from any position on.

    Args:
        dataset: gives what a micro-batch is made from, by numbers.
        planner: which numbers; the same on every rank.
        collate: makes the micro-batch.
        num_dialogues: what there is to learn from.
        rank: this process.
        num_workers: processes that read and collate, no more than there are cores; 0 for none.

    Attributes:
        planner: knows how many steps an epoch has.
        num_dialogues: as given.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        planner: BatchPlanner,
        collate: Callable[[Any], BatchType],
        *,
        num_dialogues: int,
        rank: int,
        num_workers: int,
    ) -> None:
        self.planner = planner
        self.num_dialogues = num_dialogues
        self._sampler = RankSampler(planner, rank)
        num_workers = min(num_workers, _usable_cores())
        self._loader: DataLoader[BatchType | UserError] = DataLoader(
            _Reading(dataset),
            batch_sampler=self._sampler,
            collate_fn=_Collating(collate),
            num_workers=num_workers,
            worker_init_fn=_ignore_signals,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # A generator of its own: each iteration draws a seed, and from the global generator
            # that would change dropout when a run goes on in the middle of an epoch.
            generator=torch.Generator(),
        )

    def end_workers(self) -> None:
        """End the processes that read ahead, if there are any; the next epoch starts others."""
        _WITH_WORKERS.discard(self)
        iterator = self._loader._iterator
        if iterator is not None:
            iterator._shutdown_workers()  # type: ignore[attr-defined]
            self._loader._iterator = None

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[list[BatchType]]:
        """This rank's micro-batches of each step of an epoch, from `first_step` (from 0) on.

        Raises:
            UserError: what the shards hold cannot be made a batch of.
        """
        if self._loader.num_workers:
            _WITH_WORKERS.add(self)
        self._sampler.go_to(epoch, first_step)
        micro_batches = map(_sound, self._loader)
        num_wanted = self.planner.limits.accumulation_steps
        while step := list(islice(micro_batches, num_wanted)):
            assert len(step) == num_wanted
            yield step


_WITH_WORKERS: set[BatchLoader[Any]] = set()
"""Loaders whose processes have not been ended."""


def end_all_workers() -> None:
    """End the processes of all loaders; an epoch that begins later starts others."""
    for loader in list(_WITH_WORKERS):
        loader.end_workers()


# Not left to garbage collection: the last objects of a traceback go as a cycle, in which the queues
# close before the workers are told to end. Python would then end them by SIGTERM, which they
# ignore, and wait for them for ever.
atexit.register(end_all_workers)


# What is wrong with the data comes back from a worker process as a value: torch would put the
# worker's traceback in front of the sentence that says so.


class _Reading(Dataset[Any]):
    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __getitems__(self, numbers: list[int]) -> Any:
        try:
            return self._dataset.__getitems__(numbers)  # type: ignore[attr-defined]
        except UserError as error:
            return error


@dataclass(frozen=True)
class _Collating:
    collate: Callable[[Any], Any]

    def __call__(self, found: Any) -> Any:
        try:
            return found if isinstance(found, UserError) else self.collate(found)
        except UserError as error:
            return error


def _sound(batch: BatchType | UserError) -> BatchType:
    if isinstance(batch, UserError):
        raise batch
    return batch


class StepLoader(BatchLoader[AnyBatch]):
    """Whole dialogues, as GPT-2 learns them.

    Args:
        folder: the split's folder.
        manifest: what `read_manifest` returned for it.
        data, batch: the run's settings; the layout may not be "auto" any more.
        direction: which side is learned.
        rank, num_ranks: this process, and how many there are.
        seed: of the order.
        max_dialogues: take the first so many; 0 takes all.

    Raises:
        UserError: the split has no dialogues, so that an epoch would have no steps.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        data: DataConfig,
        batch: BatchConfig,
        direction: Direction,
        rank: int,
        num_ranks: int,
        seed: int,
        max_dialogues: int = 0,
    ) -> None:
        dataset = open_dialogues(folder, manifest, data=data, max_dialogues=max_dialogues)
        limits = batch_limits(data, batch, packed=batch.layout != "padded", num_ranks=num_ranks)
        shares_turns = batch.layout == "tree"
        planner = BatchPlanner(
            dataset.row_lengths(data.max_seq_len),
            dataset.chunk_starts,
            limits=limits,
            seed=seed,
            shared=dataset.shared_lengths(data.max_seq_len) if shares_turns else None,
        )
        collate = Collator(
            direction=direction,
            max_seq_len=data.max_seq_len,
            eos_id=manifest.eos_id,
            packed_tokens=token_budget(batch) if limits.packed else 0,
            shares_turns=shares_turns,
        )
        super().__init__(
            dataset,
            planner,
            collate,
            num_dialogues=len(dataset),
            rank=rank,
            num_workers=data.num_workers,
        )


def open_dialogues(
    folder: Path, manifest: Manifest, *, data: DataConfig, max_dialogues: int = 0
) -> ShardDataset:
    """The dialogues of a split, with a cache that a run's windows fit in.

    Raises:
        UserError: there are none, so that an epoch would have no steps.
    """
    dataset = ShardDataset(
        folder,
        manifest,
        max_dialogues=max_dialogues,
        # Twice: dialogues are carried from one window into the next.
        cached_chunks=2 * data.window_chunks,
    )
    if len(dataset) == 0:
        raise UserError(
            f"{folder}: expected dialogues to train on, found 0 dialogues, so 0 steps an epoch; "
            "extract more, or change the filters and the split"
        )
    return dataset


def batch_limits(
    data: DataConfig, batch: BatchConfig, *, packed: bool, num_ranks: int
) -> BatchLimits:
    """How large the run's micro-batches and steps are."""
    return BatchLimits(
        micro_batch_tokens=token_budget(batch),
        packed=packed,
        max_micro_batch_size=batch.max_micro_batch_size,
        num_ranks=num_ranks,
        accumulation_steps=batch.accumulation_steps,
        window_chunks=data.window_chunks,
    )


def _usable_cores() -> int:
    """Cores that this process may run on: a job scheduler may give fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ignore_signals(worker: int) -> None:
    # Ctrl-C and a job scheduler's SIGTERM reach all processes of a group. The training process
    # decides when to end: it still needs its workers for the step that it finishes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
