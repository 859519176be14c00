"""Curves of one run or several, as PNG; each for a light page and for a dark one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from dialogpt.command_line import UserError
from dialogpt.report.curves import (
    CURVES,
    Curve,
    in_words,
    loss_curve,
    smoothed,
    train_loss_points,
)
from dialogpt.report.runs import Run

_SIZE_INCHES = (6.0, 3.6)
_DOTS_PER_INCH = 150


@dataclass(frozen=True, kw_only=True, slots=True)
class _Theme:
    """Colours; `lines` tell runs apart, also for eyes that see red and green alike."""

    page: str
    ink: str
    grid: str
    lines: tuple[str, ...]


_LIGHT = _Theme(
    page="#fcfdfe",
    ink="#3d454d",
    grid="#dfe3e8",
    lines=("#2f6fab", "#c8551b", "#1c8a6a", "#8a2f8f", "#a67c00", "#5b6570"),
)
_DARK = _Theme(
    page="#1c2024",
    ink="#c3cad1",
    grid="#353c44",
    lines=("#5a9bd8", "#e8834e", "#4cc09c", "#d387d8", "#d6b13a", "#a0abb6"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnFigure:
    """A figure for the page.

    Attributes:
        name: of its files, without the ending.
        title: what it shows.
        alternative: the same in words and numbers, for who does not see it.
        light, dark: PNG.
    """

    name: str
    title: str
    alternative: str
    light: bytes
    dark: bytes


def draw_figures(runs: Sequence[Run]) -> Iterator[DrawnFigure]:
    """The loss first, then every curve that some run has points of.

    Raises:
        UserError: matplotlib is not installed.
    """
    require_matplotlib()
    curve = loss_curve(runs)
    loss = _figure(curve, runs, _draw_loss)
    what = "loss" if curve.key == "loss" else curve.title
    training = [in_words(run, train_loss_points(run, curve), curve, len(runs)) for run in runs]
    sentences = [f"Training {what}: {words}" for words in training if words]
    alternative = " ".join([*sentences, f"Validation {what}: {loss.alternative}"])
    yield replace(loss, alternative=alternative)
    for curve in CURVES:
        if any(curve.points(run)[0] for run in runs):
            yield _figure(curve, runs, _draw_curve)


def require_matplotlib() -> None:
    """Raise UserError unless matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401  # an optional library
    except ImportError as error:
        raise UserError("matplotlib is not installed; `pip install 'dialogpt[plots]'`") from error


def _figure(
    curve: Curve, runs: Sequence[Run], draw: Callable[[Any, Curve, Sequence[Run], _Theme], None]
) -> DrawnFigure:
    words = [in_words(run, curve.points(run), curve, len(runs)) for run in runs]
    return DrawnFigure(
        name=curve.key.replace("_", "-"),
        title=curve.title,
        alternative=" ".join(filter(None, words)),
        light=_png(curve, runs, draw, _LIGHT),
        dark=_png(curve, runs, draw, _DARK),
    )


def _png(
    curve: Curve,
    runs: Sequence[Run],
    draw: Callable[[Any, Curve, Sequence[Run], _Theme], None],
    theme: _Theme,
) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    colours = dict.fromkeys(
        ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), theme.ink
    )
    lines = dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), theme.grid)
    with matplotlib.rc_context({**colours, **lines, "font.size": 11, "legend.frameon": False}):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained", facecolor=theme.page)
        panel = figure.subplots()
        panel.set_facecolor(theme.page)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color=theme.grid, linewidth=0.8)
        panel.set_axisbelow(True)
        draw(panel, curve, runs, theme)
        panel.set_xlabel("optimizer step")
        panel.set_ylabel(curve.label)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if panel.get_legend_handles_labels()[0]:
            panel.legend()
        image = BytesIO()
        # Without the version of matplotlib, the same curves are the same bytes.
        figure.savefig(image, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return image.getvalue()


def _draw_curve(panel: Any, curve: Curve, runs: Sequence[Run], theme: _Theme) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for number, run in enumerate(runs):
        steps, values = curve.points(run)
        panel.plot(
            steps,
            values,
            color=theme.lines[number % len(theme.lines)],
            linewidth=1.4,
            marker="o" if curve.kind == "valid" or len(steps) < 3 else None,
            markersize=3.5,
            label=plain_label(run.name) if steps and len(runs) > 1 else None,
        )
    every = [value for run in runs for value in curve.points(run)[1]]
    if curve.logarithmic and min(every) > 0 and max(every) > 10 * min(every):
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        return
    if min(every) >= 0:
        panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: curve.written(value)))
    if curve.limit:
        panel.axhline(curve.limit, color=theme.lines[1], linewidth=1.4, linestyle=":")


def _draw_loss(panel: Any, curve: Curve, runs: Sequence[Run], theme: _Theme) -> None:
    """Training raw, faintly, and smoothed; validation with its best marked."""
    for number, run in enumerate(runs):
        color = theme.lines[number % len(theme.lines)]
        single = len(runs) == 1
        name = "" if single else f"{plain_label(run.name)}, "
        smooth = smoothed(run.train, curve.key_in(run))
        steps, losses = train_loss_points(run, curve)
        label = f"{name}training"
        panel.plot(
            steps,
            losses,
            color=color,
            alpha=0.35 if smooth else 1.0,
            linewidth=0.8 if smooth else 1.4,
            label=label if steps and not smooth else None,
        )
        if smooth:
            panel.plot(*zip(*smooth, strict=True), color=color, linewidth=1.6, label=label)
        steps, losses = curve.points(run)
        valid_color = theme.lines[1] if single else color
        panel.plot(
            steps,
            losses,
            color=valid_color,
            linewidth=1.2,
            linestyle="--",
            marker="o",
            markersize=3.5,
            label=f"{name}validation",
        )
        if run.best is not None:
            panel.plot(
                run.best["step"],
                run.best[curve.key_in(run)],
                color=valid_color,
                marker="*",
                markersize=12,
                linestyle="none",
                label="best" if single else None,
            )


def plain_label(name: str) -> str:
    """A name as matplotlib shows it unchanged."""
    # A dollar sign would begin a formula, and a first underscore hides a label.
    return name.replace("$", r"\$").lstrip("_")
