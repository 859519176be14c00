"""HTML from plain values. Whatever comes from a run is escaped here, and nowhere else.

The page is small, so there is no template engine: a piece of HTML is an `Html`, made by `element`,
which escapes every text and attribute that is none.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(*parts: str) -> Html:
    """The parts one after another; what is no `Html` is text, and is escaped."""
    return Html("".join(p if isinstance(p, Html) else escape(p) for p in parts))


def element(tag: str, *parts: str, **attributes: str) -> Html:
    """<tag attributes>parts</tag>; `class_` is the attribute class, empty ones are left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value
    )
    if tag in ("img", "source", "meta"):
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{html(*parts)}</{tag}>")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, marked: int = -1, text: bool = False
) -> Html:
    """A table that scrolls by itself; the first cell of a row is its heading.

    Args:
        head: names of the columns; none makes no heading.
        rows: cells.
        marked: number of a row to be marked.
        text: whether cells are text, to the left and broken into lines, instead of numbers.
    """
    body = []
    for number, (first, *others) in enumerate(rows):
        cells = [element("td", cell, class_="text" if text else "") for cell in others]
        row = element("th", first, scope="row")
        body.append(element("tr", row, *cells, class_="best" if number == marked else ""))
    headings = [element("th", name, scope="col", class_="text" if text else "") for name in head]
    top = element("thead", element("tr", *headings)) if head else Html("")
    # In the order of the keyboard, so that it scrolls without a mouse.
    inner = element("table", top, element("tbody", *body))
    return element("div", inner, class_="scroll" if text else "scroll low", tabindex="0")


def document(title: str, *parts: str) -> str:
    """A whole page with the style in it."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    head = html(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(style)),
    )
    body = element("body", element("main", *parts))
    page = element("html", element("head", head), "\n", body, lang="en")
    return f"<!DOCTYPE html>\n{page}\n"
