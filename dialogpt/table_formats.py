"""Tables as Markdown, LaTeX, text and CSV. Names in cells are data: none of them acts there."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialogpt.text import clean_turn

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#&~])")
_LATEX = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as people read them.

    Attributes:
        title: a line above it.
        head: names of the columns; the first `num_names` columns are names, the others numbers.
        rows: cells.
        num_names: how many columns are set to the left.
        bold: (row, column) of cells to be stressed.
        note: what the numbers are, below it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1
    bold: frozenset[tuple[int, int]] = frozenset()
    note: str = ""


def markdown(table: Table) -> str:
    """A section of a page."""

    def cell(text: str, row: int = -1, column: int = -1) -> str:
        escaped = markdown_text(text)
        return f"**{escaped}**" if (row, column) in table.bold else escaped

    marks = [":---" if c < table.num_names else "---:" for c in range(len(table.head))]
    lines = [[cell(name) for name in table.head], marks]
    lines += [[cell(text, r, c) for c, text in enumerate(row)] for r, row in enumerate(table.rows)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = f"\n\n{cell(table.note)}" if table.note else ""
    return f"## {cell(table.title)}\n\n{body}{note}\n"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", clean_turn(text))


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return clean_turn(text).translate(_LATEX)


def latex(table: Table) -> str:
    """A tabular with its title and note as comments; needs the package booktabs."""

    def cell(text: str, row: int = -1, column: int = -1) -> str:
        escaped = latex_text(text)
        return rf"\textbf{{{escaped}}}" if (row, column) in table.bold else escaped

    lines = [[cell(name) for name in table.head]]
    lines += [[cell(text, r, c) for c, text in enumerate(row)] for r, row in enumerate(table.rows)]
    head, *body = [" & ".join(line) + r" \\" for line in lines]
    columns = "l" * table.num_names + "r" * (len(table.head) - table.num_names)
    parts = [f"% {clean_turn(table.title)}"]
    if table.note:
        parts.append(f"% {clean_turn(table.note)}")
    parts += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*parts, r"\bottomrule", r"\end{tabular}"]) + "\n"


def plain(table: Table) -> str:
    """For a terminal."""
    lines = [[clean_turn(text) for text in row] for row in (table.head, *table.rows)]
    widths = [max(len(line[c]) for line in lines) for c in range(len(table.head))]
    written = [
        "  ".join(
            text.ljust(width) if c < table.num_names else text.rjust(width)
            for c, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    note = [clean_turn(table.note)] if table.note else []
    return "\n".join([clean_turn(table.title), *(f"  {line}" for line in written), *note]) + "\n"


def csv_text(records: Iterable[Mapping[str, Any]]) -> str:
    """A line a record, numbers with all their digits, values within values as `outer_inner`.

    A name that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    rows = [dict(_flat(record)) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[_csv_cell(row.get(name)) for name in names] for row in rows])
    return stream.getvalue()


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", value


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        value = "; ".join(map(str, value))
    if isinstance(value, str):
        text = clean_turn(value)
        return "'" + text if text.startswith(_FORMULA) else text
    return str(value)
