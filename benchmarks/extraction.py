"""How fast dumps become dialogues: ours, floors, and the public code.

    python benchmarks/extraction.py make --comments 1000000 --output FOLDER
    python benchmarks/extraction.py compare --release CHECKOUT --release-python PYTHON
    python benchmarks/extraction.py engines
    python benchmarks/extraction.py growth

Results go to docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.compare import compare
from benchmarks.engines import engines
from benchmarks.growth import growth
from benchmarks.measure import ROOT, MeasuredCommandError
from benchmarks.reference_release import Release

REAL_DUMPS = ROOT.parent / "shared" / "data" / "reddit"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
GROWTH_SIZES = (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000)


def main() -> None:
    options = _parser().parse_args()
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (MeasuredCommandError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="make | compare | engines | growth")

    make = commands.add_parser("make", help="make a dump of any size from real ones")
    _add_dump_options(make)
    make.add_argument("--comments", type=int, default=1_000_000, help="at least so many")
    make.add_argument("--output", type=Path, required=True, help="folder for the new dumps")
    make.add_argument("--month", default="2018-01", help="YYYY-MM of the new dumps")
    make.set_defaults(command=_make)

    comparison = commands.add_parser("compare", help="measure ours, floors and the public code")
    _add_dump_options(comparison)
    _add_measuring_options(comparison)
    comparison.add_argument("--comments", type=int, default=1_000_000, help="at least so many")
    comparison.add_argument("--release", type=Path, help="checkout of microsoft/DialoGPT")
    comparison.add_argument(
        "--release-python",
        default=sys.executable,
        help="a Python with zstandard, nltk and flashtext",
    )
    comparison.set_defaults(command=_compare)

    ways = commands.add_parser("engines", help="measure ours with duplicates, and on Spark")
    _add_dump_options(ways)
    _add_measuring_options(ways)
    ways.add_argument("--comments", type=int, default=1_000_000, help="at least so many")
    ways.set_defaults(command=_engines)

    growing = commands.add_parser("growth", help="measure ours on dumps of several sizes")
    _add_dump_options(growing)
    _add_measuring_options(growing)
    growing.add_argument("--comments", type=int, nargs="+", default=list(GROWTH_SIZES))
    growing.set_defaults(command=_growth)
    return parser


def _add_dump_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dumps", type=Path, default=REAL_DUMPS, help="folder of real dumps")
    parser.add_argument("--source-months", nargs="+", default=[], help="draw from these alone")
    parser.add_argument("--seed", type=int, default=0, help="of every draw")
    parser.add_argument("--wide", action="store_true", help="fields of 2018, not of 2006")


def _add_measuring_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=3, help="of each program; medians are shown")
    parser.add_argument("--presets", nargs="+", default=["reference", "paper"])
    parser.add_argument("--work", type=Path, help="folder that keeps the dumps for another run")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where the tables go")


def _make(options: argparse.Namespace) -> None:
    # Here, because numpy and all would count into the peaks of children: see benchmarks.measure.
    from benchmarks.dumps import DumpSettings, make_dump

    settings = DumpSettings(
        source=options.dumps,
        source_months=tuple(options.source_months),
        num_comments=options.comments,
        seed=options.seed,
        wide=options.wide,
        month=options.month,
    )
    manifest = make_dump(settings, options.output)
    print(
        f"{options.output}: {manifest['num_comments']:,} comments and "
        f"{manifest['num_submissions']:,} submissions, drawn from "
        f"{manifest['num_real_comments']:,} real comments"
    )


def _compare(options: argparse.Namespace) -> None:
    release = Release(options.release, options.release_python) if options.release else None
    with _work_folder(options.work) as work:
        compare(options, work, release)


def _engines(options: argparse.Namespace) -> None:
    with _work_folder(options.work) as work:
        engines(options, work)


def _growth(options: argparse.Namespace) -> None:
    with _work_folder(options.work) as work:
        growth(options, work)


@contextmanager
def _work_folder(work: Path | None) -> Iterator[Path]:
    """The folder that was asked for, or one that is gone afterwards."""
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    temporary = Path(tempfile.mkdtemp(prefix="extraction-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary)


if __name__ == "__main__":
    main()
