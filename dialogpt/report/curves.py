"""What is drawn: numbers of metrics.jsonl over steps, and the same in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dialogpt.report.formats import count, decimal, percent
from dialogpt.report.notices import MAX_WAITING_SHARE
from dialogpt.report.runs import Record, Run, mean_loss
from dialogpt.report.units import loss_unit, losses_compare, nll_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A number of the lines of metrics, over steps.

    Attributes:
        kind: the lines that have it: "train" or "valid".
        key: its name there.
        title: of the figure; label: of its axis.
        written: how its values are written.
        logarithmic: whether the axis is, where values are more than ten times apart.
        limit: a value that it should stay below; 0 for none.
        key_of: its name in the lines of a run, where not all runs call it `key`.
    """

    kind: str
    key: str
    title: str
    label: str
    written: Callable[[float], str]
    logarithmic: bool = False
    limit: float = 0.0
    key_of: Callable[[Run], str] | None = None

    def key_in(self, run: Run) -> str:
        """Its name in the lines of a run."""
        return self.key if self.key_of is None else self.key_of(run)

    def points(self, run: Run) -> tuple[list[int], list[float]]:
        """Steps and values; lines without the number are left out."""
        return _points(run.train if self.kind == "train" else run.valid, self.key_in(run))


def _points(records: Sequence[Record], key: str) -> tuple[list[int], list[float]]:
    lines = [record for record in records if key in record]
    return [record["step"] for record in lines], [record[key] for record in lines]


MMI_RL_CURVES = (
    Curve(
        kind="train",
        key="reward",
        title="Reward, log P(source | reply)",
        label="nats",
        written=lambda value: decimal(value, 2),
    ),
    Curve(
        kind="train",
        key="copy_rate",
        title="Copying",
        label="share of n-grams that stand in the source",
        written=percent,
    ),
    Curve(
        kind="train",
        key="dist_2",
        title="Dist-2 of a step's replies",
        label="different bigrams of all",
        written=lambda value: decimal(value, 3),
    ),
    Curve(
        kind="train",
        key="kl",
        title="Divergence from the start model",
        label="nats a reply",
        written=lambda value: decimal(value, 2),
    ),
    Curve(
        kind="train",
        key="reply_tokens",
        title="Length of a reply",
        label="tokens",
        written=lambda value: decimal(value, 1),
    ),
    Curve(
        kind="train",
        key="advantage_spread",
        title="Standard deviation of the advantage",
        label="units of reward",
        written=lambda value: decimal(value, 2),
    ),
)
"""Of runs that maximise mutual information (docs/mmi-rl.md)."""
PLATO_CURVES = (
    Curve(
        kind="valid",
        key="marginal_perplexity",
        title="Perplexity over all latents",
        label="perplexity a token",
        written=lambda value: decimal(value, 1),
        logarithmic=True,
    ),
    Curve(
        kind="train",
        key="latent_perplexity",
        title="Latents in use",
        label="perplexity of the mean posterior",
        written=lambda value: decimal(value, 1),
    ),
    Curve(
        kind="train",
        key="latent_information",
        title="What the latent tells of a response",
        label="nats at most",
        written=lambda value: decimal(value, 3),
    ),
    Curve(
        kind="valid",
        key="selection_accuracy",
        title="Response selection",
        label="share told apart rightly",
        written=percent,
    ),
    Curve(
        kind="train",
        key="bow_per_token",
        title="Bag of words",
        label="nats a token",
        written=lambda value: decimal(value, 3),
    ),
)
"""Of a PLATO (docs/plato.md)."""
CURVES = (
    Curve(
        kind="valid",
        key="perplexity",
        title="Perplexity on the validation dialogues",
        label="perplexity a token",
        written=lambda value: decimal(value, 1),
        logarithmic=True,
    ),
    Curve(
        kind="train",
        key="learning_rate",
        title="Learning rate",
        label="learning rate",
        written=lambda value: f"{value:.2e}",
    ),
    Curve(
        kind="train",
        key="grad_norm",
        title="Norm of the gradient before clipping",
        label="gradient norm",
        written=lambda value: decimal(value, 2),
        logarithmic=True,
    ),
    Curve(
        kind="train",
        key="tokens_per_second",
        title="Speed, without padding",
        label="tokens a second",
        written=count,
    ),
    Curve(
        kind="train",
        key="mfu",
        title="Model FLOPs utilisation",
        label="share of the devices' peak rate",
        written=percent,
    ),
    Curve(
        kind="train",
        key="waiting_share",
        title="Waiting for data",
        label="share of the time",
        written=percent,
        limit=MAX_WAITING_SHARE,
    ),
    Curve(
        kind="train",
        key="padding_share",
        title="Padding",
        label="share of computed tokens",
        written=percent,
    ),
    *MMI_RL_CURVES,
    *PLATO_CURVES,
)
LOSS = Curve(
    kind="valid",
    key="loss",
    title="Loss",
    label="nats a token",
    written=lambda value: decimal(value, 3),
)
NLL = replace(LOSS, key="nll_per_token", title="NLL", key_of=nll_key)
"""In the place of losses that do not compare."""


def loss_curve(runs: Sequence[Run]) -> Curve:
    """The loss in its unit; NLL in nats a token where the losses of the runs do not compare."""
    return replace(LOSS, label=loss_unit(runs[0])) if losses_compare(runs) else NLL


def train_loss_points(run: Run, curve: Curve) -> tuple[list[int], list[float]]:
    """Steps and losses as logged; steps that float16 overflow undid have none.

    Args:
        run: whose.
        curve: which loss, as `loss_curve` has it.
    """
    return _points(run.train, curve.key_in(run))


def smoothed(train: Sequence[Record], key: str = "loss") -> list[tuple[int, float]]:
    """Steps and training losses, each over a twentieth of all lines, those around it.

    Empty where there are too few lines for that to say anything.

    Args:
        train: lines of metrics.
        key: the loss's name there.
    """
    lines = [record for record in train if key in record]
    reach = len(lines) // 40
    if reach < 1:
        return []
    points = []
    for number, record in enumerate(lines):
        # Cut on both sides alike, so that the ends do not lean to where there are lines.
        near = min(reach, number, len(lines) - 1 - number)
        loss = mean_loss(lines[number - near : number + near + 1], key)
        if loss is not None:
            points.append((record["step"], loss))
    return points


def in_words(run: Run, points: tuple[list[int], list[float]], curve: Curve, num_runs: int) -> str:
    """The curve of a run in a sentence: where it begins and ends, and between what it moves."""
    steps, values = points
    if not steps:
        return ""
    who = f"{run.name}, " if num_runs > 1 else ""
    return (
        f"{who}from {curve.written(values[0])} at step {steps[0]:,} to "
        f"{curve.written(values[-1])} at step {steps[-1]:,}, between "
        f"{curve.written(min(values))} and {curve.written(max(values))}."
    )
