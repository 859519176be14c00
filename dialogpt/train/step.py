"""One optimizer step: count targets, accumulate, look for non-finite numbers, clip, update."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn

from dialogpt.command_line import UserError
from dialogpt.data.batch import AnyBatch
from dialogpt.distributed import num_ranks, sum_over_ranks
from dialogpt.models.base import DialogueLoss
from dialogpt.train.optim import set_learning_rate
from dialogpt.train.passes import Passes
from dialogpt.train.recorded import Recorder
from dialogpt.train.sharding import whole

_CLIP_EPSILON = 1e-6  # as torch adds it to the norm


class TrainingDivergedError(UserError):
    """A loss or gradient is infinite or not a number, and no smaller loss scale can mend it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What a step did; the same on every rank.

    Attributes:
        loss_sums, loss_counts: by name, over all micro-batches and ranks.
        num_tokens, num_padded_tokens: without and with padding.
        num_used_tokens: computed and no padding; what dialogues share counts once.
        num_target_tokens: scored.
        num_skipped_dialogues: single turns, left out of the batches.
        grad_norm: before clipping; of the whole gradient, all ranks together.
        was_skipped: float16 overflowed; weights are as before, the loss scale is lower.
        stop_requested: some rank was told to stop.
    """

    loss_sums: dict[str, float]
    loss_counts: dict[str, int]
    num_tokens: int
    num_padded_tokens: int
    num_used_tokens: int
    num_target_tokens: int
    num_skipped_dialogues: int
    grad_norm: float
    was_skipped: bool
    stop_requested: bool


class BegunStep:
    """A step that the device makes or has made.

    Attributes:
        stop_requested: some rank was told to stop; known from the beginning.
    """

    def __init__(
        self,
        updater: "Updater",
        micro_batches: Sequence[AnyBatch],
        number: int,
        counts: dict[str, int],
        totals: list[int],
        values: "_HostCopy",
    ) -> None:
        """Remember what `Updater.begin` found; totals are those of `Updater._add_up`."""
        self._updater = updater
        self._micro_batches = micro_batches
        self._number = number
        self._counts = counts
        self._totals = totals
        self._values = values
        self.stop_requested = totals[-1] > 0

    def result(self) -> StepResult:
        """Wait for the device.

        Raises:
            TrainingDivergedError: loss or gradient is not finite, on any rank; raised on all.
        """
        grad_norm, *values = self._values.read()
        summed, local = values[: len(self._counts)], values[len(self._counts) :]
        finite = all(map(isfinite, [grad_norm, *summed]))
        if not finite and not self._updater.scales_loss:
            width = len(self._counts)
            batches = [local[i : i + width] for i in range(0, len(local), width)]
            are_finite = [all(map(isfinite, losses)) for losses in batches]
            raise self._updater.diverged(self._micro_batches, self._number, are_finite)
        num_tokens, num_padded_tokens, num_used_tokens, num_targets, num_skipped, _ = self._totals
        return StepResult(
            loss_sums=dict(zip(self._counts, summed, strict=True)),
            loss_counts=self._counts,
            num_tokens=num_tokens,
            num_padded_tokens=num_padded_tokens,
            num_used_tokens=num_used_tokens,
            num_target_tokens=num_targets,
            num_skipped_dialogues=num_skipped,
            grad_norm=grad_norm,
            was_skipped=not finite,
            stop_requested=self.stop_requested,
        )


class _HostCopy:
    """Numbers on their way from the device, for which nothing waits until they are read."""

    def __init__(self, values: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        self._values = values
        if values.is_cuda:
            self._values = torch.empty_like(values, device="cpu", pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def read(self) -> list[float]:
        """The numbers, when they have come."""
        if self._event is not None:
            self._event.synchronize()
        numbers: list[float] = self._values.tolist()
        return numbers


class Updater:
    """Makes optimizer steps on one model.

    Args:
        model: a module with `DialogueLoss`, placed by `place_model`.
        optimizer: over the model's parameters; not wrapped by accelerate.
        accelerator: device, autocast and loss scaling.
        max_grad_norm: gradients are scaled down to it; 0 switches clipping off.
        failures: folder for the batches of a step that diverged.
        record: as for `dialogpt.train.passes.Passes`.
    """

    def __init__(
        self,
        model: DialogueLoss[AnyBatch],
        optimizer: torch.optim.Optimizer,
        *,
        accelerator: Accelerator,
        max_grad_norm: float,
        failures: Path,
        record: Recorder | None = None,
    ) -> None:
        assert isinstance(model, nn.Module)
        self._model = model
        self._optimizer = optimizer
        self._accelerator = accelerator
        self._max_grad_norm = max_grad_norm or float("inf")
        self._failures = failures
        self._passes = Passes(model, self._parameters(), accelerator=accelerator, record=record)

    def step(
        self,
        micro_batches: Sequence[AnyBatch],
        number: int,
        *,
        learning_rate: float,
        stop_requested: bool = False,
    ) -> StepResult:
        """Make step `number` with this rank's micro-batches, and wait for it.

        Raises:
            TrainingDivergedError: loss or gradient is not finite, on any rank; raised on all.
        """
        begun = self.begin(
            micro_batches, number, learning_rate=learning_rate, stop_requested=stop_requested
        )
        return begun.result()

    def begin(
        self,
        micro_batches: Sequence[AnyBatch],
        number: int,
        *,
        learning_rate: float,
        stop_requested: bool = False,
    ) -> "BegunStep":
        """Let the device make step `number` with this rank's micro-batches.

        The next step may begin before this one's result is asked for: then the device never waits
        for Python. A step with infinite or undefined numbers leaves the weights as they are,
        however late somebody looks.
        """
        counts, totals = self._add_up(micro_batches, stop_requested)
        set_learning_rate(self._optimizer, learning_rate)
        self._optimizer.zero_grad(set_to_none=True)
        local_sums = self._passes.accumulate(micro_batches, counts)
        local = torch.stack([sums[name] for sums in local_sums for name in counts])
        grad_norm = self._clip()
        summed = self._summed(local.view(len(local_sums), len(counts)))
        # Sums and gradients are the same on all ranks by now, and so is the decision.
        finite = torch.isfinite(grad_norm) & torch.isfinite(summed).all()
        self._update(finite)
        values = torch.cat([grad_norm.view(1).to(summed.dtype), summed, local.to(summed.dtype)])
        return BegunStep(self, micro_batches, number, counts, totals, _HostCopy(values))

    def _summed(self, local: Tensor) -> Tensor:
        """(names,): each loss over all micro-batches and ranks."""
        if local.device.type != "mps":  # which has no float64
            local = local.double()
        summed = local.sum(dim=0)
        if num_ranks() > 1:
            torch.distributed.all_reduce(summed)
        return summed

    def _update(self, finite: Tensor) -> None:
        """Change the weights, unless something is not finite."""
        scaler = self._accelerator.scaler
        if scaler is not None:
            scaler.step(self._optimizer)  # does nothing if the gradient has overflowed
            scaler.update()
        elif self._optimizer.defaults.get("fused"):
            # The kernel itself looks at this, so that nobody has to wait for the number.
            self._optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
            self._optimizer.step()
        elif finite:
            self._optimizer.step()

    @property
    def records(self) -> bool:
        """Whether passes are recorded."""
        return self._passes.records

    @property
    def scales_loss(self) -> bool:
        """Whether float16 overflow is met with a lower loss scale instead of an error."""
        return self._accelerator.scaler is not None

    def _add_up(
        self, micro_batches: Sequence[AnyBatch], stop_requested: bool
    ) -> tuple[dict[str, int], list[int]]:
        """The losses' counts; tokens, padded, distinct, scored ones, skipped dialogues, stops.

        Over all micro-batches and ranks, in one exchange and before the first forward pass.
        """
        per_batch = [self._model.loss_counts(batch) for batch in micro_batches]
        names = list(per_batch[0])
        local = [sum(counts[name] for counts in per_batch) for name in names]
        local += [
            sum(batch.num_tokens for batch in micro_batches),
            sum(batch.num_padded_tokens for batch in micro_batches),
            sum(batch.num_used_tokens for batch in micro_batches),
            sum(batch.num_target_tokens for batch in micro_batches),
            sum(batch.num_skipped for batch in micro_batches),
            int(stop_requested),
        ]
        totals = [int(total) for total in sum_over_ranks(local)]
        return dict(zip(names, totals, strict=False)), totals[len(names) :]

    def apart(self) -> AbstractContextManager[None]:
        """In it every rank keeps its gradients, whatever the step; shared models exchange still.

        Without it around them, steps give ranks one gradient. With it, benchmarks tell what that
        costs.
        """
        return self._passes.apart()

    def _clip(self) -> Tensor:
        """() the norm of the gradient, with which the weights then change by the clipped one."""
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.unscale_(self._optimizer)
        parameters = self._parameters()
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = whole(nn.utils.get_total_norm(gradients))
        if not isfinite(self._max_grad_norm):
            return norm
        if self._optimizer.defaults.get("fused"):
            # The kernel reads gradients anyway, and divides them by this, behind a scaler as well.
            factor = ((norm + _CLIP_EPSILON) / self._max_grad_norm).clamp(min=1.0)
            self._optimizer.grad_scale = factor.float()  # type: ignore[attr-defined]
        else:
            nn.utils.clip_grads_with_norm_(parameters, self._max_grad_norm, norm)
        return norm

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def diverged(
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
