"""What whoever watches a run should know: it is not over, overfits, waits, or loses steps."""

from dialogpt.report.formats import percent, plural, when
from dialogpt.report.runs import Run

MAX_WAITING_SHARE = 0.01
"""Time spent waiting for data, of all time; above it, the page says so."""


def notices(run: Run) -> list[str]:
    """Sentences, most urgent first; none where all is well."""
    found = (
        *_failures(run),
        _not_finished(run),
        _overfitting(run),
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
    workers = run.settings.get("data.num_workers")
    now = "" if workers is None else f" ({workers} now)"
    return (
        f"{percent(share)} of the time went into waiting for data. More data.num_workers{now} "
        "would help, up to the number of cores; so would shards on a faster disk."
    )


def _no_validation(run: Run) -> str:
    if run.valid:
        return ""
    return "Nothing was validated, so no curve says when to stop, and best is the last model."
