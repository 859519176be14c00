"""Training PLATO: the steps are those of every training; what is said of them is not."""

from itertools import zip_longest

from tqdm import tqdm

from dialogpt.distributed import sum_over_ranks
from dialogpt.plato.latent import usage
from dialogpt.plato.measure import measure
from dialogpt.plato.model import PlatoModel
from dialogpt.train.loop import Measured
from dialogpt.train.report import Metrics
from dialogpt.train.step import StepResult
from dialogpt.train.trainer import Trainer
from dialogpt.train.validate import perplexity


class PlatoTrainer(Trainer):
    """The loop over batches of examples. Arguments as `Loop`."""

    @property
    def _model(self) -> PlatoModel:
        model: PlatoModel = self._parts.model
        return model

    def _interval(self, result: StepResult) -> tuple[Metrics, dict[str, str]]:
        totals = self._progress.since_log
        values, shown = super()._interval(result)
        tokens = totals.num_target_tokens
        shown.pop("ppl")
        if tokens:
            weights = self._model.loss_weights()
            for name in ("nll", "bow"):
                if name in totals.loss_sums and weights[name]:
                    values[f"{name}_per_token"] = totals.loss_sums[name] / weights[name] / tokens
            values["perplexity"] = perplexity(values["nll_per_token"])
            shown = {"loss": shown.pop("loss"), "ppl": f"{values['perplexity']:.1f}", **shown}
        if self._model.has_latent:
            found = usage(self._latent_sums())
            if found is not None:
                values |= found.metrics()
                shown["z"] = f"{found.perplexity:.1f}"
        return values, shown

    def _latent_sums(self) -> list[float]:
        """Of all ranks since the last line; what was there before a checkpoint is in it."""
        sums = self._model.usage.take() or [0.0] * (self._model.network.sizes.num_latents + 2)
        former = self._progress.since_log.latent_sums
        return [a + b for a, b in zip_longest(sum_over_ranks(sums), former, fillvalue=0.0)]

    def _save(self) -> None:
        if self._model.has_latent:
            self._progress.since_log.latent_sums = self._latent_sums()
        super()._save()

    def _measure(self) -> Measured:
        parts, plato = self._parts, self._config.plato
        assert parts.valid_loader is not None
        assert plato is not None
        steps = tqdm(
            parts.valid_loader.epoch(0),
            desc="validation",
            total=parts.valid_loader.planner.num_steps(0),
            leave=False,
            disable=not self._shows_bar,
        )
        result = measure(
            self._model,
            steps,
            accelerator=parts.accelerator,
            all_latents=plato.validate_all_latents and self._model.has_latent,
        )
        metrics = result.metrics()
        parts_shown = [f"loss {result.loss:.4f}", f"perplexity {metrics['perplexity']:.2f} a token"]
        if "marginal_perplexity" in metrics:
            parts_shown.append(f"{metrics['marginal_perplexity']:.2f} over all latents")
        if "selection_accuracy" in metrics:
            parts_shown.append(f"selection {metrics['selection_accuracy']:.1%} right")
        if result.latents is not None:
            parts_shown.append(f"{result.latents.perplexity:.1f} latents used")
        return Measured(loss=result.loss, metrics=metrics, shown="  ".join(parts_shown))
