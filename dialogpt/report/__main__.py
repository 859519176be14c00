"""python -m dialogpt.report RUN [RUN ...]: curves of training runs as a page or one picture."""

import argparse
import os
from pathlib import Path

from dialogpt.command_line import UserError, run_command
from dialogpt.report.page import write_report
from dialogpt.report.picture import draw_curves

_PICTURES = {".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp"}


def main(argv: list[str] | None = None) -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m dialogpt.report",
        description="What training runs have left, as a page with curves: a page about one run, or "
        "several compared. Runs that are going on are drawn as far as they are.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for index.html and its PNG files; without it, the folder `report` in the run, "
        "or beside several runs. A name that ends in .png, .svg or .pdf: one picture of the losses "
        "instead, a panel a run. What is there is replaced",
    )
    options = parser.parse_args(argv)
    run_command(lambda: _report(options.runs, options.output))


def _report(runs: list[Path], output: Path | None) -> None:
    if output is not None and output.suffix.lower() in _PICTURES:
        draw_curves(runs, output)
        print(f"written to {output}")
        return
    page = write_report(runs, _default_output(runs) if output is None else output)
    print(f"written to {page}")


def _default_output(runs: list[Path]) -> Path:
    """`report` in the one run, or in the deepest folder that all runs lie in."""
    if len(runs) == 1:
        return runs[0] / "report"
    common = Path(os.path.commonpath([run.resolve().parent for run in runs]))
    if common == common.parent:
        raise UserError(f"{', '.join(map(str, runs))}: they lie far apart; name an --output folder")
    return common / "report"


if __name__ == "__main__":
    main()
