"""Tables in docs/benchmarks.md.

A benchmark owns what stands between its two markers, and in there each of its sections: one that
is measured again is replaced, the others stay.
"""

import re
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

_NEW_FILE = """# Benchmarks

Each section is written by the script that it names, which anyone can run.
"""

RATE, RATE_OF_CPU = "thousand comments/s", "thousand comments/CPU s"
"""Heads of columns: by wall time, and by the time of all cores together."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown_command(arguments: Sequence[str]) -> str:
    """The command line of a script in benchmarks/, without the paths of this machine."""
    script, *rest = arguments
    shown = ["PATH" if argument.startswith(("/", "~", ".")) else argument for argument in rest]
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *shown])


def write_section(path: Path, benchmark: str, section: str, text: str, *, preface: str) -> None:
    """Put a section's text into the file, which is made if absent.

    Args:
        path: the file.
        benchmark: names the markers `<!-- benchmark:begin -->` and `<!-- benchmark:end -->`.
        section: names the section; sections are kept in alphabetical order.
        text: Markdown.
        preface: what stands before all sections.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else _NEW_FILE
    begin, end = (f"<!-- {benchmark}:{name} -->" for name in ("begin", "end"))
    if begin not in before:
        before = f"{before.rstrip()}\n\n{begin}\n{end}\n"
    head, _, rest = before.partition(begin)
    old, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"{path}: expected {end} after {begin}; put it back")
    marker = re.compile(rf"<!-- {re.escape(benchmark)}:section (\S+) -->\n")
    pieces = marker.split(old)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True)) | {section: text}
    body = "".join(
        f"<!-- {benchmark}:section {name} -->\n{sections[name].strip()}\n\n"
        for name in sorted(sections)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"{head}{begin}\n{preface.strip()}\n\n{body.rstrip()}\n{end}{tail}", encoding="utf-8"
    )


def project_commit() -> str:
    """The checkout's commit, and whether something there is not committed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=, with uncommitted changes"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
