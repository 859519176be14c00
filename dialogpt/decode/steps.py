"""The forward model behind a batch of contexts: each call reads one more token of every row.

Shapes: C contexts, R rows (hypotheses that go on), T tokens of the longest reply, V vocabulary.
Rows of one context lie side by side, in the order of contexts.

Where there are kernels, a step is recorded as a CUDA graph and played again: launching a step's 200
kernels one by one takes Python longer than the GPU takes to run them. A graph has a fixed number of
rows, so a few are recorded, each when it is first needed.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dialogpt.decode.prefill import Prefill
from dialogpt.models.inference import CachedEngine
from dialogpt.models.kv_cache import Grouping, KvCache, attend_by_kernel, attend_by_torch

CHECK_EVERY = 8
# Steps between looks at what is finished: each look makes the host wait for the device.
_COLUMNS = 128  # a cache has a multiple of this, so that it seldom has to grow
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.125)  # of the first number of rows, for which steps are recorded
_ROWS = 16  # they are multiples of this


class Steps:
    """Rows behind contexts.

    Args:
        engine: the forward model.
        prefill: reads the contexts.
        rows_per_context: of each.
        max_new_tokens: T, without what the prefill has said.

    Attributes:
        logits: (R, V) float32 for the next token; overwritten by the next step.
        numbers: (R,) int64, which of the first C * rows_per_context rows each is.
    """

    def __init__(
        self,
        engine: CachedEngine,
        prefill: Prefill,
        *,
        rows_per_context: int,
        max_new_tokens: int,
    ) -> None:
        lengths = prefill.lengths
        num_rows = len(lengths) * rows_per_context
        self._engine = engine
        self._first_position = prefill.first_position
        self._space = _workspace(
            engine,
            contexts=len(lengths),
            tokens=max(lengths),
            slots=num_rows,
            reply_tokens=prefill.num_said + max_new_tokens,
            most_rows=rows_per_context,
        )
        self._step = prefill.num_said
        self.numbers = torch.arange(num_rows, device=engine.device)
        self._contexts = self.numbers // rows_per_context
        cache = self._space.cache
        padded = torch.zeros(cache.contexts.shape[1], dtype=torch.int32)
        padded[: len(lengths)] = torch.tensor(lengths)
        cache.lengths.copy_(padded)
        logits = prefill(cache)
        size = num_rows // len(logits)
        self.logits = logits.repeat_interleave(size, dim=0)
        own = self.numbers.to(torch.int32)
        self._slots = own[:, None].repeat(1, self._space.reply_tokens)
        # What a group begins with stands there once.
        self._slots[:, : prefill.num_said] = (own // size * size)[:, None]
        self._regroup(torch.full((len(lengths),), rows_per_context))

    def advance(self, tokens: Tensor) -> None:
        """Read one more token (R,) int64 a row."""
        space, step = self._space, self._step
        if space.graphs is not None:
            self.logits = space.graphs.play(tokens, step)
        else:
            positions = self._positions + step

            def attend(layer: int, qkv: Tensor) -> Tensor:
                return attend_by_torch(
                    *(qkv, space.cache, layer),
                    slots=self._slots,
                    step=step,
                    grouping=self._grouping,
                )

            self.logits = self._engine.logits(self._engine.states(tokens, positions, attend))
        self._step += 1

    def keep(self, indices: Tensor) -> None:
        """Go on with these rows only; indices (R',) int64, rising."""
        self.numbers = self.numbers[indices]
        self.logits = self.logits[indices]
        self._slots = self._slots[indices]
        self._contexts = self._contexts[indices]
        num_contexts = len(self._space.cache.lengths)
        self._regroup(torch.bincount(self._contexts, minlength=num_contexts).cpu())

    def reorder(self, parents: Tensor) -> None:
        """Let row r go on from what row parents[r] has read; both of one context.

        Args:
            parents: (R,) int64.
        """
        self._slots = self._slots[parents]
        self._slots[:, self._step :] = torch.arange(
            len(parents), dtype=torch.int32, device=parents.device
        )[:, None]
        if self._space.graphs is not None:
            self._space.graphs.set_slots(self._slots)

    def _regroup(self, counts: Tensor) -> None:
        """Note which rows there are; counts (at most C,) int64 on the host, of each context."""
        if self._first_position is None:
            self._positions = self._space.cache.lengths[self._contexts].long()
        else:
            self._positions = torch.full_like(self._contexts, self._first_position)
        if self._space.graphs is not None:
            self._space.graphs.set_rows(self._slots, self._positions, counts)
        else:
            self._grouping = Grouping.of(counts).to(self._engine.device)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Workspace:
    """What one batch leaves for the next."""

    cache: KvCache
    reply_tokens: int
    most_rows: int
    graphs: "_Graphs | None"


def _workspace(engine: CachedEngine, *, most_rows: int, **sizes: int) -> _Workspace:
    """The engine's, if there is room enough in it, else a new one."""
    space: _Workspace | None = engine.workspace
    # Recorded steps are for weights that stay; a model in training has none.
    lasts = engine.has_kernels and engine.is_frozen
    if lasts and space is not None and space.most_rows >= most_rows and space.cache.holds(**sizes):
        return space
    engine.workspace = None  # its memory is free before the new one's is taken
    del space
    if lasts:
        sizes["tokens"] = -(-sizes["tokens"] // _COLUMNS) * _COLUMNS
    cache = KvCache.empty(engine, **sizes)
    space = _Workspace(
        cache=cache,
        reply_tokens=sizes["reply_tokens"],
        most_rows=most_rows,
        graphs=_Graphs(engine, cache, most_rows=most_rows) if lasts else None,
    )
    if lasts:
        engine.workspace = space
    return space


class _Graphs:
    """Recorded steps on one cache: everything that changes stands at a fixed address."""

    def __init__(self, engine: CachedEngine, cache: KvCache, *, most_rows: int) -> None:
        _, num_slots, num_steps, *_ = cache.replies.shape
        self._engine = engine
        self._cache = cache
        self._most_rows = most_rows
        self._tokens = torch.zeros(num_slots, dtype=torch.long, device=engine.device)
        self._positions = torch.zeros(num_slots, dtype=torch.long, device=engine.device)
        self._slots = torch.zeros(num_slots, num_steps, dtype=torch.int32, device=engine.device)
        self._starts = torch.zeros(len(cache.lengths) + 1, dtype=torch.int32, device=engine.device)
        self._step = torch.zeros((), dtype=torch.int32, device=engine.device)
        shares = {-(-int(num_slots * share) // _ROWS) * _ROWS for share in _SHARES}
        self._sizes = sorted({min(num_slots, max(size, _ROWS)) for size in shares} | {num_slots})
        self._recorded: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._pool: Any = None
        self._num_rows = 0

    def set_rows(self, slots: Tensor, positions: Tensor, counts: Tensor) -> None:
        """Note the rows that go on: slots, positions of token 0, rows of each context."""
        self._num_rows = len(slots)
        self.set_slots(slots)
        self._positions.zero_()  # rows that a recorded step computes besides must not count on
        self._positions[: len(positions)] = positions
        starts = torch.zeros(len(self._starts), dtype=torch.int32)
        starts[1 : len(counts) + 1] = counts.cumsum(0)
        starts[len(counts) + 1 :] = starts[len(counts)]  # contexts without rows
        self._starts.copy_(starts)

    def set_slots(self, slots: Tensor) -> None:
        """Note where the rows' tokens stand, (R, T) int32."""
        self._slots[: len(slots), : slots.shape[1]] = slots

    def play(self, tokens: Tensor, step: int) -> Tensor:
        """(R, V) logits behind one more token (R,) a row."""
        self._tokens[: self._num_rows] = tokens
        self._step.fill_(step)
        size = next(size for size in self._sizes if size >= self._num_rows)
        if size not in self._recorded:
            self._recorded[size] = self._record(size)
        graph, logits = self._recorded[size]
        graph.replay()
        return logits[: self._num_rows]

    def _record(self, size: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._compute(size)  # kernels are compiled and libraries set up before recording
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self._compute(size)
        self._pool = self._pool or graph.pool()
        return graph, logits

    def _compute(self, size: int) -> Tensor:
        def attend(layer: int, qkv: Tensor) -> Tensor:
            return attend_by_kernel(
                *(qkv, self._cache, layer),
                slots=self._slots,
                step=self._step,
                starts=self._starts,
                most_rows=self._most_rows,
            )

        positions = self._positions[:size] + self._step
        states = self._engine.states(self._tokens[:size], positions, attend)
        return self._engine.logits(states)
