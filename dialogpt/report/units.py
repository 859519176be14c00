"""What the loss of a run is, and what runs whose losses do not compare are compared by."""

from collections.abc import Sequence

from dialogpt.report.runs import Run

_WEIGHTS = ("plato.bow_weight", "plato.selection_weight", "plato.entropy_weight")


def has_latent(run: Run) -> bool:
    """Whether it is a PLATO with a latent."""
    return any("latent_perplexity" in record for record in [*run.valid, *run.train])


def loss_unit(run: Run) -> str:
    """What its loss is counted in."""
    if _is_mmi_rl(run):
        return "minus the objective, in units of reward"
    if not _is_plato(run) or run.settings.get("plato.reduction") == "token_mean":
        words = "nats a token"
    else:
        words = "nats a response"
    return f"{words}, all losses" if has_latent(run) else words


def losses_compare(runs: Sequence[Run]) -> bool:
    """Whether all minimise the same: the same terms in the same units, and with the same weights.

    A PLATO's loss has terms that a GPT-2's has not, and is of a response or of a token.
    """
    return len({(loss_unit(run), _weights(run)) for run in runs}) == 1


def nll_key(run: Run) -> str:
    """The name, in its lines of metrics, of the NLL of what people said, in nats a token."""
    if _is_mmi_rl(run):
        return "human_loss"
    return "nll_per_token" if _is_plato(run) else "loss"


def _is_plato(run: Run) -> bool:
    return any("nll_per_token" in record for record in [*run.valid, *run.train])


def _is_mmi_rl(run: Run) -> bool:
    return "mmi_rl.backward_model" in run.settings


def _weights(run: Run) -> tuple[object, ...]:
    """Of a PLATO's losses; without a latent it has one loss, and they do nothing."""
    return tuple(run.settings.get(name) for name in _WEIGHTS) if has_latent(run) else ()
