"""DataConfig -> micro-batches, a step at a time."""

import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from dialogpt.command_line import UserError
from dialogpt.config.shared import Direction
from dialogpt.config.training import BatchConfig, DataConfig, token_budget
from dialogpt.data.batch import AnyBatch, Collator
from dialogpt.data.dataset import ShardDataset
from dialogpt.data.manifest import Manifest
from dialogpt.data.sampler import BatchLimits, BatchPlanner, RankSampler


class StepLoader:
    """Micro-batches of one rank, grouped by optimizer step, from any position on.

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
        dataset = ShardDataset(
            folder,
            manifest,
            max_dialogues=max_dialogues,
            # Twice: dialogues are carried from one window into the next.
            cached_chunks=2 * data.window_chunks,
        )
        if len(dataset) == 0:
            raise UserError(
                f"{folder}: expected dialogues to train on, found 0 dialogues, so 0 steps an "
                "epoch; extract more, or change the filters and the split"
            )
        limits = BatchLimits(
            micro_batch_tokens=token_budget(batch),
            packed=batch.layout != "padded",
            max_micro_batch_size=batch.max_micro_batch_size,
            num_ranks=num_ranks,
            accumulation_steps=batch.accumulation_steps,
            window_chunks=data.window_chunks,
        )
        shares_turns = batch.layout == "tree"
        self.planner = BatchPlanner(
            dataset.row_lengths(data.max_seq_len),
            dataset.chunk_starts,
            limits=limits,
            seed=seed,
            shared=dataset.shared_lengths(data.max_seq_len) if shares_turns else None,
        )
        self.num_dialogues = len(dataset)
        self._accumulation_steps = batch.accumulation_steps
        self._sampler = RankSampler(self.planner, rank)
        num_workers = min(data.num_workers, _usable_cores())
        self._loader: DataLoader[AnyBatch] = DataLoader(
            dataset,  # type: ignore[arg-type]  # collate turns dialogues into Batch
            batch_sampler=self._sampler,
            collate_fn=Collator(
                direction=direction,
                max_seq_len=data.max_seq_len,
                eos_id=manifest.eos_id,
                packed_tokens=token_budget(batch) if limits.packed else 0,
                shares_turns=shares_turns,
            ),
            num_workers=num_workers,
            worker_init_fn=_ignore_signals,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # A generator of its own: each iteration draws a seed, and from the global generator
            # that would change dropout when a run goes on in the middle of an epoch.
            generator=torch.Generator(),
        )

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[list[AnyBatch]]:
        """This rank's micro-batches of each step of an epoch, from `first_step` (from 0) on."""
        self._sampler.go_to(epoch, first_step)
        micro_batches = iter(self._loader)
        while step := list(islice(micro_batches, self._accumulation_steps)):
            assert len(step) == self._accumulation_steps
            yield step


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
