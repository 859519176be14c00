"""One optimizer step: count targets, accumulate, look for non-finite numbers, clip, update."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn

from dialogpt.command_line import UserError
from dialogpt.data.batch import AnyBatch
from dialogpt.distributed import sum_over_ranks
from dialogpt.models.base import DialogueLoss
from dialogpt.train.optim import set_learning_rate


class TrainingDivergedError(UserError):
    """A loss or gradient is infinite or not a number, and no smaller loss scale can mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What a step did; the same on every rank.

    Attributes:
        loss_sums, loss_counts: by name, over all micro-batches and ranks.
        num_tokens, num_padded_tokens: without and with padding.
        num_skipped_dialogues: single turns, left out of the batches.
        grad_norm: before clipping; of the whole gradient, all ranks together.
        was_skipped: float16 overflowed; weights are as before, the loss scale is lower.
        stop_requested: some rank was told to stop.
    """

    loss_sums: dict[str, float]
    loss_counts: dict[str, int]
    num_tokens: int
    num_padded_tokens: int
    num_skipped_dialogues: int
    grad_norm: float
    was_skipped: bool
    stop_requested: bool


class Updater:
    """Makes optimizer steps on one model.

    Args:
        model: a module with `DialogueLoss`; moved to the accelerator's device and, with several
            ranks, wrapped so that gradients are averaged over them.
        optimizer: over the model's parameters; not wrapped by accelerate.
        accelerator: device, autocast and loss scaling.
        max_grad_norm: gradients are scaled down to it; 0 switches clipping off.
        failures: folder for the batches of a step that diverged.
    """

    def __init__(
        self,
        model: DialogueLoss[AnyBatch],
        optimizer: torch.optim.Optimizer,
        *,
        accelerator: Accelerator,
        max_grad_norm: float,
        failures: Path,
    ) -> None:
        assert isinstance(model, nn.Module)
        self._model = model
        self._wrapped = accelerator.prepare_model(model)
        self._optimizer = optimizer
        self._accelerator = accelerator
        self._max_grad_norm = max_grad_norm or float("inf")
        self._failures = failures

    def step(
        self,
        micro_batches: Sequence[AnyBatch],
        number: int,
        *,
        learning_rate: float,
        stop_requested: bool = False,
    ) -> StepResult:
        """Make step `number` with this rank's micro-batches.

        Raises:
            TrainingDivergedError: loss or gradient is not finite, on any rank; raised on all.
        """
        counts, totals = self._add_up(micro_batches, stop_requested)
        self._wrapped.train()
        set_learning_rate(self._optimizer, learning_rate)
        self._optimizer.zero_grad(set_to_none=True)
        local_sums = self._accumulate(micro_batches, counts)
        names = list(counts)
        local_totals = torch.stack([sums[name] for sums in local_sums for name in names])
        # To the host first: not every device has float64.
        values = local_totals.cpu().double().view(-1, len(names))
        summed = sum_over_ranks(values.sum(dim=0).tolist(), self._accelerator.device)
        grad_norm = self._clip()
        # Sums and gradients are the same on all ranks by now, and so is the decision.
        finite = isfinite(grad_norm) and all(map(isfinite, summed))
        scaler = self._accelerator.scaler
        if not finite and scaler is None:
            raise self._diverged(micro_batches, number, values.isfinite().all(dim=1).tolist())
        if scaler is None:
            self._optimizer.step()
        else:
            scaler.step(self._optimizer)  # does nothing if the gradient has overflowed
            scaler.update()
        num_tokens, num_padded_tokens, num_skipped_dialogues, num_stop_requests = totals
        return StepResult(
            loss_sums=dict(zip(names, summed, strict=True)),
            loss_counts=counts,
            num_tokens=num_tokens,
            num_padded_tokens=num_padded_tokens,
            num_skipped_dialogues=num_skipped_dialogues,
            grad_norm=grad_norm,
            was_skipped=not finite,
            stop_requested=num_stop_requests > 0,
        )

    def _add_up(
        self, micro_batches: Sequence[AnyBatch], stop_requested: bool
    ) -> tuple[dict[str, int], list[int]]:
        """The losses' counts, and tokens, padded tokens, skipped dialogues, stop requests.

        Over all micro-batches and ranks, in one exchange and before the first forward pass.
        """
        per_batch = [self._model.loss_counts(batch) for batch in micro_batches]
        names = list(per_batch[0])
        local = [sum(counts[name] for counts in per_batch) for name in names]
        local += [
            sum(batch.num_tokens for batch in micro_batches),
            sum(batch.num_padded_tokens for batch in micro_batches),
            sum(batch.num_skipped for batch in micro_batches),
            int(stop_requested),
        ]
        totals = [int(total) for total in sum_over_ranks(local, self._accelerator.device)]
        return dict(zip(names, totals, strict=False)), totals[len(names) :]

    def _accumulate(
        self, micro_batches: Sequence[AnyBatch], counts: dict[str, int]
    ) -> list[dict[str, Tensor]]:
        """Backward passes of all micro-batches; their loss sums, on the device, unsynchronised."""
        num_ranks = self._accelerator.num_processes
        local_sums = []
        for position, batch in enumerate(micro_batches):
            is_last = position == len(micro_batches) - 1
            # Gradients travel once a step, with the last micro-batch.
            with nullcontext() if is_last else self._accelerator.no_sync(self._wrapped):
                sums = self._wrapped(batch.to(self._accelerator.device))
                # Divided by the true number of targets, not a mean of means; times the ranks,
                # because the wrapper averages gradients over them.
                terms = [sums[name] * (num_ranks / max(1, counts[name])) for name in counts]
                self._accelerator.backward(torch.stack(terms).sum())
            local_sums.append({name: value.detach() for name, value in sums.items()})
        return local_sums

    def _clip(self) -> float:
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.unscale_(self._optimizer)
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        return float(nn.utils.clip_grad_norm_(parameters, self._max_grad_norm))

    def _diverged(
        self, micro_batches: Sequence[AnyBatch], number: int, is_finite: list[bool]
    ) -> TrainingDivergedError:
        """Save the batches at fault and describe them; where all losses are finite, all batches."""
        rank = self._accelerator.process_index
        at_fault = [i for i, finite in enumerate(is_finite) if not finite]
        chosen = at_fault or range(len(micro_batches))
        folder = self._failures / f"failed-step-{number:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        for i in chosen:
            tensors = micro_batches[i].tensors()
            tensors["dialogue_indices"] = torch.tensor(micro_batches[i].dialogue_indices)
            save_file(tensors, folder / f"rank-{rank:05d}-micro-batch-{i:05d}.safetensors")
        rows = [index for i in chosen for index in micro_batches[i].dialogue_indices]
        what = "loss" if at_fault else "gradient (the losses of this rank are finite)"
        shown = ", ".join(map(str, rows[:20])) + (
            f" and {len(rows) - 20} more" if rows[20:] else ""
        )
        return TrainingDivergedError(
            f"step {number}, rank {rank}: expected finite numbers, found a non-finite {what} in "
            f"the batch of dialogues {shown}; it is saved in {folder}. Lower "
            "schedule.learning_rate or lengthen schedule.warmup_steps, and start again with "
            "another output"
        )
