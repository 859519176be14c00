"""Draws a figure once and keeps it twice: as SVG for the page, as PNG for slides."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.reporting.svg import GRID, INK, MUTED, PAPER, inline_svg
from dialogpt.command_line import UserError

WIDTH = 4.2
"""Inches: so narrow a figure keeps its letters readable on a phone."""

_DOTS_PER_INCH = 160
_STYLE = {
    "svg.fonttype": "none",  # letters stay letters: small, and read aloud
    "svg.hashsalt": "dialogpt",  # the same figure twice is the same file
    "text.parse_math": False,  # a "$" in a name is a "$"
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.edgecolor": GRID,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.left": False,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure.

    Attributes:
        name: of its PNG file, without the ending.
        svg: for the page.
    """

    name: str
    svg: str


class Drawing:
    """Draws into a folder.

    Attributes:
        files: names of the PNG files that were written.
    """

    def __init__(self, folder: Path) -> None:
        """Get matplotlib ready.

        Args:
            folder: for the PNG files.

        Raises:
            UserError: matplotlib is not installed.
        """
        try:
            import matplotlib
        except ImportError as error:
            raise UserError(
                "matplotlib is not installed; `pip install 'dialogpt[plots]'`"
            ) from error
        self._matplotlib = matplotlib
        self._folder = folder
        self.files: list[str] = []

    def draw(
        self,
        name: str,
        description: str,
        paint: Callable[[Any], None],
        *,
        height: float,
        width: float = WIDTH,
    ) -> Drawn:
        """Draw one figure.

        Args:
            name: names the file, and begins the figure's ids in the page.
            description: what it shows, for those who do not see it.
            paint: is called with an empty figure.
            height: in inches.
            width: in inches.
        """
        from matplotlib.figure import Figure

        with self._matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=(width, height), layout="constrained")
            paint(figure)
            svg = inline_svg(figure, name, description)
            unfinished = self._folder / f"{name}.png.unfinished"
            without_version = {"Software": None}
            figure.savefig(unfinished, format="png", dpi=_DOTS_PER_INCH, metadata=without_version)
            unfinished.replace(self._folder / f"{name}.png")
        self.files.append(f"{name}.png")
        return Drawn(name, svg)


def count_ticks(axis: Any, most: int) -> None:
    """Label an axis with whole numbers, no more than so many steps."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda number, _: count_text(number)))


def count_text(number: float) -> str:
    """A whole number along an axis."""
    return f"{number:,.0f}".replace("-", "−")


def percent_ticks(axis: Any, most: int) -> None:
    """Label an axis of percents, no more than so many steps."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g} %"))


def note(panel: Any, text: str, place: tuple[Any, Any], **options: Any) -> None:
    """Write a word or two beside a place in a panel.

    Args:
        panel: where to.
        text: what.
        place: x and y.
        **options: of matplotlib's annotate; `xytext` is in points from the place.
    """
    panel.annotate(text, place, **{"textcoords": "offset points", "fontsize": 7.5, **options})
