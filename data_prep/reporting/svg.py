"""A matplotlib figure as SVG that stands within a page: in its colours, light and dark."""

import io
import re
from html import escape
from typing import Any

INK, MUTED, GRID, PAPER = "#1f2429", "#5b6570", "#dfe3e8", "#fcfdfe"
BAR, DROP, MARK, SOFT = "#2f6fab", "#c8551b", "#8a2f8f", "#a9c6e3"

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--card",
    BAR: "--bar",
    DROP: "--drop",
    MARK: "--limit",
    SOFT: "--soft",
}
"""Colour of the light page, which is that of the PNG files -> its name in the style sheet."""

_HEAD = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_FONT = re.compile(r"font(-family)?: ([\d.]+px )?[^;\"]*DejaVu Sans[^;\"]*")


def inline_svg(figure: Any, name: str, description: str) -> str:
    """The figure as one <svg> element without anything from elsewhere.

    Args:
        figure: drawn in the colours above.
        name: of letters; begins all ids, which must differ from those of other figures.
        description: what it shows, for those who do not see it.
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    head = _HEAD.search(text)
    assert head is not None
    body = text[head.end() :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # It would hold for the whole page; the style sheet has it for figures.
    body = re.sub(r"<style type=\"text/css\">.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"\bid=\"", f'id="{name}-', body)
    body = re.sub(r"(xlink:href=\"#|url\(#)", rf"\g<1>{name}-", body)
    body = _FONT.sub(_font, body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    return (
        f'<svg viewBox="{head[1]}" role="img" aria-label="{escape(description)}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body}'
    )


def _font(match: re.Match[str]) -> str:
    """The size alone: the font is the page's."""
    size = (match[2] or "").strip()
    return f"font-size: {size}" if size else "font-style: normal"
