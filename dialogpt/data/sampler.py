"""Which dialogues go into which micro-batch: a pure function of (lengths, seed, epoch, ranks).

An epoch goes through the chunks of all shards in a random order, a window of chunks at a time. The
dialogues of a window are cut into micro-batches under a token budget: to be padded, they are sorted
by length first; to be packed, they stay mixed; to share turns, neighbours that do stay together.
The micro-batches of one optimizer step (ranks x accumulation steps) are neighbours in length or
full, so no rank waits for another; the steps of a window are shuffled. What does not fill a step
goes to the next window, and the last step of an epoch is filled by splitting. So every dialogue
comes exactly once an epoch and every rank has the same number of micro-batches.

No data are read: lengths come from the shards' index. Going on from a saved position is planning
again and skipping.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Indices = NDArray[np.int64]
PLAN_VERSION = 2
"""Changes when the same settings come to another order, with which no run may go on. Version 1
counted the last token of each dialogue in packed batches."""

Step = list[Indices]
"""The micro-batches of one optimizer step; rank r of R computes those at r, r + R, r + 2R, ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchLimits:
    """How large micro-batches and steps are.

    Attributes:
        micro_batch_tokens: most tokens; a longer dialogue is alone.
        packed: rows lie end to end, each without its last token, and their lengths add up;
            otherwise they are padded, and what counts is rows x longest row.
        max_micro_batch_size: most rows; 0 sets no limit.
        num_ranks: processes.
        accumulation_steps: micro-batches of one rank in one step.
        window_chunks: chunks that are mixed together.
    """

    micro_batch_tokens: int
    packed: bool = False
    max_micro_batch_size: int = 0
    num_ranks: int = 1
    accumulation_steps: int = 1
    window_chunks: int = 64

    @property
    def micro_batches_per_step(self) -> int:
        """Micro-batches of all ranks in one optimizer step."""
        return self.num_ranks * self.accumulation_steps


class BatchPlanner:
    """Plans epochs; holds no state but the counts of steps it has found.

    Args:
        lengths: (dialogues,) tokens of each row at most.
        shared: (dialogues,) how many of them the row before begins with too, where such turns are
            computed once; None where they are not. Goes with `limits.packed`.
        chunk_starts: (chunks + 1,) first dialogue of each chunk, then the number of dialogues.
        limits: sizes of micro-batches and steps.
        seed: the run's seed.
    """

    def __init__(
        self,
        lengths: NDArray[Any],
        chunk_starts: Indices,
        *,
        limits: BatchLimits,
        seed: int,
        shared: NDArray[Any] | None = None,
    ) -> None:
        assert len(lengths) == chunk_starts[-1]
        assert shared is None or limits.packed
        self.lengths = lengths
        self._shared = shared
        self.limits = limits
        self._chunk_starts = chunk_starts
        self._seed = seed
        self._num_steps: dict[int, int] = {}

    def steps(self, epoch: int) -> Iterator[Step]:
        """The steps of an epoch, in order; the same at every call."""
        limits = self.limits
        group = limits.micro_batches_per_step
        generator = np.random.default_rng([self._seed, epoch])
        chunk_order = generator.permutation(len(self._chunk_starts) - 1)
        carried: Step = []
        for start in range(0, len(chunk_order), limits.window_chunks):
            pool = self._dialogues(chunk_order[start : start + limits.window_chunks], carried)
            micro_batches = self._cut(pool, generator)
            num_steps, num_carried = divmod(len(micro_batches), group)
            # Carried from anywhere: always from one end, and long dialogues would all come late.
            hole = int(generator.integers(num_steps + 1)) * group
            carried = micro_batches[hole : hole + num_carried]
            rest = micro_batches[:hole] + micro_batches[hole + num_carried :]
            for number in generator.permutation(num_steps):
                yield rest[number * group : (number + 1) * group]
        if carried:
            yield fill_step(carried, group, self.lengths)

    def num_steps(self, epoch: int) -> int:
        """Optimizer steps of an epoch, found by planning it."""
        if epoch not in self._num_steps:
            self._num_steps[epoch] = sum(1 for _ in self.steps(epoch))
        return self._num_steps[epoch]

    def _dialogues(self, chunks: Indices, carried: Step) -> Indices:
        starts = self._chunk_starts
        ranges = [np.arange(starts[chunk], starts[chunk + 1]) for chunk in chunks]
        return np.concatenate([*carried, *ranges])

    def _cut(self, pool: Indices, generator: np.random.Generator) -> Step:
        if self._shared is not None:
            return self._cut_trees(pool, self._shared[pool].astype(np.int64), generator)
        if self.limits.packed:
            return self._cut_packed(generator.permutation(pool))
        # One key for both: length, then a random number, so that equal lengths are mixed anew.
        random_bits = generator.integers(2**32, size=len(pool), dtype=np.uint64)
        keys = self.lengths[pool].astype(np.uint64) << np.uint64(32) | random_bits
        pool = pool[np.argsort(keys)[::-1]]
        lengths = self.lengths[pool]
        micro_batches: Step = []
        start = 0
        while start < len(pool):
            rows = self._most_rows(self.limits.micro_batch_tokens // max(1, int(lengths[start])))
            micro_batches.append(pool[start : start + rows])
            start += rows
        return micro_batches

    def _cut_packed(self, pool: Indices) -> Step:
        """As they come: without padding there is no reason to bring like lengths together."""
        ends = np.cumsum(self.lengths[pool].astype(np.int64) - 1)
        micro_batches: Step = []
        start = 0
        while start < len(pool):
            before = int(ends[start - 1]) if start else 0
            fit = int(np.searchsorted(ends, before + self.limits.micro_batch_tokens, "right"))
            rows = self._most_rows(fit - start)
            micro_batches.append(pool[start : start + rows])
            start += rows
        return micro_batches

    def _cut_trees(
        self, pool: Indices, shared: NDArray[np.int64], generator: np.random.Generator
    ) -> Step:
        """As they come, but runs of neighbours that share turns come together."""
        budget = self.limits.micro_batch_tokens
        lengths = self.lengths[pool].astype(np.int64)
        goes_on = np.zeros(len(pool), bool)
        goes_on[1:] = (np.diff(pool) == 1) & (shared[1:] > 0)
        # The last token of a dialogue has no place in the row, unless the next one begins with all
        # of it.
        is_leaf = np.ones(len(pool), bool)
        is_leaf[:-1] = ~goes_on[1:] | (shared[1:] < lengths[:-1])
        own = np.maximum(lengths - shared - is_leaf, 0)
        limit = self.limits.max_micro_batch_size or len(pool)
        starts = run_starts(own, shared, goes_on, budget=budget, limit=limit)
        sizes = np.diff([*starts, len(pool)])
        costs = np.add.reduceat(own, starts) + shared[starts]

        order = generator.permutation(len(starts))
        sizes = sizes[order]
        ends, cost_ends = np.cumsum(sizes), np.cumsum(costs[order])
        pool = pool[np.repeat(starts[order] - (ends - sizes), sizes) + np.arange(len(pool))]
        micro_batches: Step = []
        run = first = cost = 0
        while run < len(order):
            by_cost = int(np.searchsorted(cost_ends, cost + budget, "right"))
            by_size = int(np.searchsorted(ends, first + limit, "right"))
            run = max(run + 1, min(by_cost, by_size))
            micro_batches.append(pool[first : ends[run - 1]])
            first, cost = int(ends[run - 1]), int(cost_ends[run - 1])
        return micro_batches

    def _most_rows(self, fit: int) -> int:
        limit = self.limits.max_micro_batch_size
        return max(1, min(fit, limit) if limit else fit)


def run_starts(
    own: NDArray[np.int64],
    shared: NDArray[np.int64],
    goes_on: NDArray[np.bool_],
    *,
    budget: int,
    limit: int,
) -> Indices:
    """Where runs of dialogues begin that share turns, each within the limits if it can be.

    Args:
        own: places of each dialogue in the row that the one before it does not have.
        shared: tokens that it has too.
        goes_on: whether the dialogue belongs to the run of the one before it.
        budget: most places of a run, shared ones once.
        limit: most dialogues of a run.
    """
    starts = np.flatnonzero(~goes_on)
    ends = np.append(starts[1:], len(own))
    costs = np.add.reduceat(own, starts) + shared[starts] if len(own) else own
    cut = []
    for number in np.flatnonzero((costs > budget) | (ends - starts > limit)).tolist():
        first = int(starts[number])
        cost = int(shared[first] + own[first])
        for index in range(first + 1, int(ends[number])):
            cost += int(own[index])
            if cost > budget or index - first == limit:
                # The run begins anew, and so does what it shares.
                cut.append(index)
                first, cost = index, int(shared[index] + own[index])
    return np.sort(np.concatenate([starts, np.array(cut, np.int64)]))


def fill_step(micro_batches: Step, num_wanted: int, lengths: NDArray[Any]) -> Step:
    """Split the largest micro-batches until there are num_wanted; empty ones fill what is missing.

    A rank with an empty micro-batch takes part in the step all the same, or the others would wait
    for its gradients for ever.
    """
    filled = list(micro_batches)
    while len(filled) < num_wanted:
        costs = [len(rows) * int(lengths[rows].max()) if len(rows) > 1 else 0 for rows in filled]
        largest = int(np.argmax(costs))
        if costs[largest] == 0:
            return filled + [np.zeros(0, np.int64)] * (num_wanted - len(filled))
        rows = filled.pop(largest)
        half = (len(rows) + 1) // 2
        filled += [rows[:half], rows[half:]]
    return filled


class RankSampler(Sampler[list[int]]):
    """One rank's micro-batches from a position on, for torch's `batch_sampler`.

    Args:
        planner: the same on every rank.
        rank: this process.
    """

    def __init__(self, planner: BatchPlanner, rank: int) -> None:
        assert 0 <= rank < planner.limits.num_ranks
        self._planner = planner
        self._rank = rank
        self._epoch = self._first_step = 0

    def go_to(self, epoch: int, step: int) -> None:
        """Let the next iteration begin before step `step` (from 0) of an epoch."""
        self._epoch, self._first_step = epoch, step

    def __iter__(self) -> Iterator[list[int]]:
        for step in islice(self._planner.steps(self._epoch), self._first_step, None):
            for micro_batch in step[self._rank :: self._planner.limits.num_ranks]:
                yield micro_batch.tolist()

    def __len__(self) -> int:
        num_steps = self._planner.num_steps(self._epoch) - self._first_step
        return num_steps * self._planner.limits.accumulation_steps
