"""The passes of a step's micro-batches, behind which all ranks have the same gradient."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dialogpt.data.batch import AnyBatch
from dialogpt.data.packing import PackedBatch
from dialogpt.train.recorded import RecordedPasses, Recorder
from dialogpt.train.sharding import is_shared


class Passes:
    """Forward and backward passes, one micro-batch after the other.

    Ranks exchange gradients once a step. DDP does it while the last micro-batch is computed. A
    recording leaves no gap for that, so its gradients travel together when all are there. Where
    ranks share the model (FSDP), gradients travel with every micro-batch.

    Args:
        model: a module with `DialogueLoss`, placed by `place_model`.
        parameters: those that get gradients.
        accelerator: device, autocast and loss scaling.
        record: makes recordings of packed batches' passes; None makes the passes plainly. Not
            where ranks share the model.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Sequence[nn.Parameter],
        *,
        accelerator: Accelerator,
        record: Recorder | None,
    ) -> None:
        assert record is None or not is_shared(model)
        self._parameters = list(parameters)
        self._accelerator = accelerator
        self._is_shared = is_shared(model)
        # For evaluation, as accelerate calls it: without a wrapper that exchanges gradients.
        self._wrapped = (
            model
            if self._is_shared
            else accelerator.prepare_model(model, evaluation_mode=record is not None)
        )
        self._recorded: RecordedPasses | None = None
        if record is not None:
            self._recorded = RecordedPasses(
                self._run, self._parameters, device=accelerator.device, record=record
            )
        self._is_apart = False

    @property
    def records(self) -> bool:
        """Whether passes of packed batches are recorded."""
        return self._recorded is not None

    @contextmanager
    def apart(self) -> Iterator[None]:
        """In it every rank keeps its gradients, whatever the step; shared models exchange still."""
        # Gradients of a shared model travel at once: kept back, they would take the memory that
        # sharing saves.
        before, self._is_apart = self._is_apart, True
        try:
            with nullcontext() if self._is_shared else self._accelerator.no_sync(self._wrapped):
                yield
        finally:
            self._is_apart = before

    def accumulate(
        self, micro_batches: Sequence[AnyBatch], counts: Mapping[str, int]
    ) -> list[dict[str, Tensor]]:
        """Make the passes of a step; each micro-batch's loss sums, on the device, unsynchronised.

        Args:
            micro_batches: of this rank, on the host; no parameter has a gradient before them.
            counts: what each loss is divided by, over all micro-batches and ranks.
        """
        self._wrapped.train()
        # Divided by the true number of targets, not a mean of means; times the ranks where a
        # wrapper averages gradients over them.
        num_ranks = self._accelerator.num_processes
        factor = 1 if self.records else num_ranks
        scales = {name: factor / max(1, count) for name, count in counts.items()}
        local_sums = []
        for position, batch in enumerate(micro_batches):
            if self._recorded is not None:
                assert isinstance(batch, PackedBatch)
                sums = self._recorded.run(batch, scales, is_first=position == 0)
            else:
                is_last = position == len(micro_batches) - 1
                with nullcontext() if is_last else self.apart():
                    sums = self._run(batch.to(self._accelerator.device), scales)
            local_sums.append(sums)
        if self.records and num_ranks > 1 and not self._is_apart:
            self._add_over_ranks()
        return local_sums

    def _run(self, batch: AnyBatch, scales: Mapping[str, Any]) -> dict[str, Tensor]:
        """Both passes of a batch on the device; its loss sums by name."""
        with self._accelerator.autocast():
            sums = self._wrapped(batch)
        terms = [sums[name] * scale for name, scale in scales.items()]
        self._accelerator.backward(torch.stack(terms).sum())
        return {name: value.detach() for name, value in sums.items()}

    def _add_over_ranks(self) -> None:
        """Each gradient becomes the sum of all ranks'."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        assert len(gradients) == len(self._parameters)
        together = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(together)
        parts = torch.split(together, [p.numel() for p in self._parameters])
        for parameter, part in zip(self._parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
