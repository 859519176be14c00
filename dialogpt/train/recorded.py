"""Forward and backward passes of packed batches, recorded once as CUDA graphs and played again.

With few tokens at once a GPU runs kernels faster than Python launches them; a graph launches those
of a whole micro-batch (CUDA's words are capture and replay). It is of one shape and works at fixed
addresses: so batches are copied to where the first one stood, with room for more tiles and targets
than that had, and gradients come where they came before.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dialogpt.command_line import UserError
from dialogpt.data.packing import PackedBatch
from dialogpt.distributed import num_ranks

_MOST_TOKENS = 32768
_MOST_TOKENS_OF_SEVERAL = 16384


def most_tokens() -> int:
    """With more at once, passes are not recorded.

    Python keeps up then with every GPU that was tried, and recordings hold memory. With several
    ranks they also cost that gradients travel beside computation, so steps have to be smaller.
    """
    return _MOST_TOKENS if num_ranks() == 1 else _MOST_TOKENS_OF_SEVERAL


_ROOM = 17 / 16
"""Of the tiles and targets of a batch; one with more of either makes a larger recording."""
_PLAIN_PASSES = 2
"""Before recording: they compile, load kernels, and find what is fastest on the GPU."""

Losses = dict[str, Tensor]
Passes = Callable[[PackedBatch, Mapping[str, Tensor]], Losses]
"""Forward and backward pass of a batch on the device: loss sums by name, () and detached. The
second argument is what each is multiplied with, () float32."""


class Graph(Protocol):
    """Work that is done again at each `replay`."""

    def replay(self) -> None:
        """Do it: read where it read when it was recorded, and write where it wrote."""
        ...


Recorder = Callable[[Callable[[], Losses], Graph | None], tuple[Graph, Losses]]
"""A function, and a graph whose memory may be shared, as both are never played at once -> the
function's graph, and where it leaves its result. Recording computes nothing."""


def record_graph(
    function: Callable[[], Losses], beside: Graph | None
) -> tuple[torch.cuda.CUDAGraph, Losses]:
    """The `Recorder` of CUDA devices."""
    graph = torch.cuda.CUDAGraph()
    pool = beside.pool() if isinstance(beside, torch.cuda.CUDAGraph) else None
    # Only this thread is held to what may be recorded: another one pins memory meanwhile.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        result = function()
    return graph, result


@dataclass(frozen=True, slots=True)
class _Recording:
    graph: Graph
    sums: Losses
    gradients: list[Tensor | None]


class RecordedPasses:
    """Makes the passes of one micro-batch after the other, all with as many tokens.

    Args:
        passes: what is recorded. It may not wait for the device, and adds to the gradients of
            parameters that have some.
        parameters: those that get gradients.
        device: where the passes are made.
        record: makes the recordings.
    """

    def __init__(
        self,
        passes: Passes,
        parameters: Iterable[nn.Parameter],
        *,
        device: torch.device,
        record: Recorder,
    ) -> None:
        self._passes = passes
        self._parameters = list(parameters)
        self._device = device
        self._record = record
        self._inputs: PackedBatch | None = None
        self._scales: dict[str, Tensor] = {}
        self._num_plain = 0
        self._first: _Recording | None = None
        self._further: _Recording | None = None

    def run(self, batch: PackedBatch, scales: Mapping[str, float], *, is_first: bool) -> Losses:
        """Make the passes of a batch; its loss sums by name, () each.

        Args:
            batch: on the host.
            scales: what each loss is multiplied with, by name; the same names each time.
            is_first: no parameter has a gradient. Otherwise this batch's are added to those of
                the batches since the last first one.
        """
        inputs = self._put(batch)
        for name, scale in scales.items():
            if name not in self._scales:
                self._scales[name] = torch.zeros((), device=self._device)
            self._scales[name].fill_(scale)
        recording = self._recording(inputs, is_first=is_first)
        if recording is None:
            self._num_plain += 1
            return self._passes(inputs, self._scales)
        recording.graph.replay()
        if is_first:
            for parameter, gradient in zip(self._parameters, recording.gradients, strict=True):
                parameter.grad = gradient
        # The next batch's come to the same place.
        return {name: value.clone() for name, value in recording.sums.items()}

    def _recording(self, inputs: PackedBatch, *, is_first: bool) -> _Recording | None:
        """What is to be played; None where the passes are to be made without."""
        if self._num_plain < _PLAIN_PASSES:
            return None
        if is_first:
            self._first = self._first or self._new_recording(inputs, None)
            return self._first
        if self._first is None:
            return None  # gradients are not where a recording would leave and find them
        self._further = self._further or self._new_recording(inputs, self._first.graph)
        return self._further

    def _new_recording(self, inputs: PackedBatch, beside: Graph | None) -> _Recording:
        try:
            graph, sums = self._record(lambda: self._passes(inputs, self._scales), beside)
        except RuntimeError as error:  # out of memory is one, too
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"the passes could not be recorded as a CUDA graph ({reason}); give `--compile "
                "false`, which does without, or half of batch.micro_batch_tokens and twice "
                "batch.accumulation_steps"
            ) from error
        return _Recording(graph, sums, [parameter.grad for parameter in self._parameters])

    def _put(self, batch: PackedBatch) -> PackedBatch:
        """Copy a batch to where others stood before; what is left of the room changes nothing."""
        inputs = self._with_room(batch)
        for name, there in inputs.tensors().items():
            value = getattr(batch, name)
            there[: len(value)].copy_(value, non_blocking=True)
            rest = there[len(value) :]
            if name == "target_places":
                # Targets of weight 0. Each has a place of its own: gradients that are added up in
                # one place would wait for one another.
                torch.arange(len(value), len(there), out=rest)
                rest.remainder_(len(inputs.input_ids))
            else:
                rest.zero_()  # tiles of no tokens
        return inputs

    def _with_room(self, batch: PackedBatch) -> PackedBatch:
        """The inputs; new ones where the batch does not fit, and then nothing is recorded yet."""
        num_tokens, num_tiles = len(batch.input_ids), len(batch.tiles)
        num_targets = len(batch.targets)
        former = self._inputs
        if former is not None:
            assert len(former.input_ids) == num_tokens, "all batches have as many tokens"
            assert former.has_branches == batch.has_branches
            if num_tiles <= len(former.tiles) and num_targets <= len(former.targets):
                return former
            num_tiles = max(num_tiles, len(former.tiles))
            num_targets = max(num_targets, len(former.targets))
        self._first = self._further = None
        self._num_plain = 0
        # A tile has a token at least. Targets may be more than tokens: in a tree the last token of
        # each leaf is a target without a place.
        lengths = {"tiles": min(num_tokens, int(_ROOM * num_tiles) + 1)}
        for name in ("target_places", "targets", "weights"):
            lengths[name] = int(_ROOM * num_targets) + 1
        there: dict[str, Any] = {
            name: tensor.new_zeros(
                (lengths.get(name, num_tokens), *tensor.shape[1:]), device=self._device
            )
            for name, tensor in batch.tensors().items()
        }
        self._inputs = replace(batch, **there)
        return self._inputs
