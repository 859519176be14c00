"""What whoever watches a run should know.

It is not over, overfits, waits, loses steps, or its latent or response selection does nothing.
"""

from dialogpt.report.formats import decimal, percent, plural, when
from dialogpt.report.runs import Record, Run

MAX_WAITING_SHARE = 0.01
"""Time spent waiting for data, of all time; above it, the page says so."""
MIN_LATENTS_IN_USE = 1.5
"""Of three latents or more; below it, they have collapsed to one."""
MIN_LATENT_INFORMATION = 0.05
"""Nats that the latent tells of a response at most; below it, it tells nothing."""
MIN_SELECTION_ACCURACY = 0.55
"""Share of responses told apart rightly; half of them are by guessing."""


def notices(run: Run) -> list[str]:
    """Sentences, most urgent first; none where all is well."""
    found = (
        *_failures(run),
        _not_finished(run),
        _overfitting(run),
        _latent(run),
        _selection(run),
        _skipped(run),
        _waiting(run),
        _no_validation(run),
    )
    return [sentence for sentence in found if sentence]


def _failures(run: Run) -> list[str]:
    return [
        f"Loss or gradient was not finite in step {int(name.removeprefix('failed-step-')):,}: the "
        f"batch is saved in {name}. Lower schedule.learning_rate or lengthen "
        "schedule.warmup_steps, and start again with another output."
        for name in run.failures
        if name.removeprefix("failed-step-").isdigit()
    ]


def _not_finished(run: Run) -> str:
    if run.finished:
        return ""
    of_all = f" of {run.total_steps:,}" if run.total_steps else ""
    return (
        f"Not finished: step {run.last_step:,}{of_all} at {when(run.last_written)}. If the run has "
        "stopped, the same command goes on where it was."
    )


def _overfitting(run: Run) -> str:
    if "mmi_rl.backward_model" in run.settings:
        return ""  # training and validation have other sources, and their losses do not compare
    best, last = run.best, run.valid[-1] if run.valid else None
    if best is None or last is None or last["loss"] <= best["loss"]:
        return ""
    losses = {valid["step"]: loss for valid, loss in run.train_losses()}
    before, after = losses.get(best["step"]), losses.get(last["step"])
    if before is None or after is None or after >= before:
        return ""
    return (
        f"Overfitting: since step {best['step']:,} training loss has fallen from {before:.4f} to "
        f"{after:.4f}, and validation loss has risen from {best['loss']:.4f} to "
        f"{last['loss']:.4f}. The model in best is that of step {best['step']:,}; more data, more "
        "model.dropout or validation.patience would help."
    )


def _skipped(run: Run) -> str:
    if not run.skipped_steps:
        return ""
    return (
        f"Float16 overflow undid {plural(run.skipped_steps, 'step')} of {run.last_step:,}. A few "
        "at the beginning are normal: that is how the loss scale is found."
    )


def _waiting(run: Run) -> str:
    share = run.mean_over_time("waiting_share")
    if share is None or share <= MAX_WAITING_SHARE:
        return ""
    return (
        f"{percent(share)} of the time went into waiting for data. More "
        f"{_with_value(run, 'data.num_workers')} would help, up to the number of cores; so would "
        "shards on a faster disk."
    )


def _latent(run: Run) -> str:
    last, num_latents = _last_measured(run), run.settings.get("plato.num_latents", 0)
    if "latent_perplexity" not in last:
        return ""
    weights = [_with_value(run, f"plato.{name}_weight") for name in ("selection", "entropy")]
    if num_latents >= 3 and last["latent_perplexity"] < MIN_LATENTS_IN_USE:
        return (
            f"The latent has collapsed: {decimal(last['latent_perplexity'], 1)} of {num_latents} "
            f"latents are in use at step {last['step']:,}, so the others learn nothing of their "
            "own to say. Training longer or on more data may help; so may a higher "
            f"{' or '.join(weights)}, see docs/plato.md."
        )
    # A single latent has nothing to tell.
    if num_latents >= 2 and last["latent_information"] < MIN_LATENT_INFORMATION:
        return (
            f"The latent tells {decimal(last['latent_information'], 3)} nats of a response at most "
            f"at step {last['step']:,}: its posterior is nearly the same for all of them, so the "
            "model learns to do without it. Training longer or on more data may help; so may a "
            f"higher {weights[0]}, see docs/plato.md."
        )
    return ""


def _selection(run: Run) -> str:
    last = _last_measured(run)
    accuracy = last.get("selection_accuracy")
    if accuracy is None or accuracy >= MIN_SELECTION_ACCURACY:
        return ""
    return (
        f"Response selection is near chance: {percent(accuracy)} of true and other responses are "
        f"told apart rightly at step {last['step']:,}, where guessing gets 50 %. Replies are "
        "ranked by it, so the best of them is hardly better than any. Training longer or on more "
        f"data may help; so may a higher {_with_value(run, 'plato.selection_weight')}, see "
        "docs/plato.md."
    )


def _last_measured(run: Run) -> Record:
    """The last validation; empty while there is none of a model that has learned."""
    return run.valid[-1] if run.valid and run.valid[-1]["step"] else {}


def _with_value(run: Run, name: str) -> str:
    """The name of a setting, and what it is now where that is known."""
    value = run.settings.get(name)
    return name if value is None else f"{name} ({value} now)"


def _no_validation(run: Run) -> str:
    if run.valid:
        return ""
    return "Nothing was validated, so no curve says when to stop, and best is the last model."
