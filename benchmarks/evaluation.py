"""How fast replies are scored by n-grams, and how time and memory grow with them.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --sizes 1000 2000 --rounds 1 --document /tmp/try.md  # to try

NIST and BLEU, entropy and distinct n-grams; the measures that need a jar or a model are not here.
Results go to docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.evaluation_programs import write_files
from benchmarks.growth import line_through
from benchmarks.measure import ROOT, MeasuredCommandError, environment, run_measured
from benchmarks.report import shown_command, table, write_section

DOCUMENT = ROOT / "docs" / "benchmarks.md"
BASELINES = {"plain Python": "", "sacrebleu": "sacrebleu", "nltk": "nltk"}
"""Program -> the library that it needs."""
PREFACE = """## Evaluation

NIST-1 to 4, BLEU-1 to 4, Entropy-1 to 4 and Dist-1 to 4 of one system, from texts in memory to
values. Made-up texts of 3 to 22 words whose frequencies follow Zipf's law. Each program runs in a
process of its own, with one thread of numpy; making the texts is left out of the times. Memory is
the peak of the process, Python and its libraries included.

* **ours**: `dialogpt.evaluation`. **with intervals**: also 1,000 bootstrap draws and the jackknife.
* **plain Python**: the same numbers with dictionaries of tuples (`evaluation_programs.py`). The
  script fails unless ours agree with them to nine digits.
* **sacrebleu**: BLEU-2 and BLEU-4 alone, which agree with ours. **nltk**: its own BLEU and NIST of
  orders 2 and 4, which are other numbers. Left out where they are not installed.
"""


def main() -> None:
    options = _parser().parse_args()
    try:
        with tempfile.TemporaryDirectory() as work:
            for name, section in (
                ("programs", _programs),
                ("command", _commands),
                ("growth", _growth),
            ):
                text = section(options, Path(work))
                print(text)
                write_section(options.document, "evaluation", name, text, preface=PREFACE)
    except (MeasuredCommandError, ValueError) as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--hypotheses", type=int, default=2208, help="for all programs")
    parser.add_argument("--references", type=int, default=5, help="of each hypothesis")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="for growth"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each program; not for growth")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where the tables go")
    return parser


def _measured(
    options: argparse.Namespace, work: Path, program: str, size: int, rounds: int
) -> dict[str, Any]:
    """Seconds, peak memory and values of a program, run in a process of its own."""
    path = work / "result.json"
    script = ROOT / "benchmarks" / "evaluation_programs.py"
    arguments = [program, str(size), str(options.references), str(rounds)]
    one_thread = ["env", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"]
    command = [*one_thread, sys.executable, script, *arguments, path]
    run_measured(command, cwd=ROOT, log=work / "program.log")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    print(f"{program}, {size:,}: {result['seconds']}", file=sys.stderr)
    return result


def _programs(options: argparse.Namespace, work: Path) -> str:
    programs = ["ours", "ours, with intervals"]
    programs += [name for name, library in BASELINES.items() if not library or find_spec(library)]
    results = {
        name: _measured(options, work, name, options.hypotheses, options.rounds)
        for name in programs
    }
    for name in ("plain Python", "sacrebleu"):
        if name in results:
            _require_agreement(results["ours"]["values"], name, results[name]["values"])
    fastest = median(results["ours"]["seconds"])
    rows = []
    for name, result in results.items():
        seconds = sorted(result["seconds"])
        rows.append(
            [
                name,
                f"{median(seconds):.3f} ({seconds[0]:.3f}-{seconds[-1]:.3f})",
                f"{median(seconds) / fastest:.1f}",
                f"{result['peak_bytes'] / 1e6:.0f}",
            ]
        )
    versions = [
        f"{name} {version(lib)}" for name, lib in BASELINES.items() if lib and name in results
    ]
    notes = [
        *environment(),
        *([f"Libraries: {', '.join(versions)}"] if versions else []),
        f"Seconds: median of {options.rounds} rounds, lowest and highest in brackets",
    ]
    title = f"### {options.hypotheses:,} hypotheses with {options.references} references each"
    head = ["program", "seconds", "times ours", "peak MB"]
    return _section(title, table(head, rows), notes)


def _require_agreement(ours: dict[str, float], name: str, theirs: dict[str, float]) -> None:
    for metric, value in theirs.items():
        if abs(value - ours[metric]) > 1e-9 * max(1.0, abs(value)):
            raise ValueError(f"{metric}: ours is {ours[metric]}, that of {name} {value}")


def _commands(options: argparse.Namespace, work: Path) -> str:
    """The whole command, from files to a printed table with intervals, with each preset."""
    references, system = work / "items.jsonl", work / "replies.txt"
    write_files(options.hypotheses, options.references, references, system)
    rows = []
    for preset in ("reddit6k", "dstc7", "plato", "avsd"):
        command = ["env", "OMP_NUM_THREADS=1", sys.executable, "-m", "dialogpt.evaluate"]
        command += ["--references", str(references), "--systems", f"one={system}"]
        command += ["--preset", preset, "--no_meteor"]
        usages = [
            run_measured(command, cwd=ROOT, log=work / "command.log") for _ in range(options.rounds)
        ]
        seconds = sorted(usage.wall_seconds for usage in usages)
        print(f"command, {preset}: {seconds}", file=sys.stderr)
        rows.append(
            [
                preset,
                f"{median(seconds):.2f} ({seconds[0]:.2f}-{seconds[-1]:.2f})",
                f"{max(usage.peak_bytes for usage in usages) / 1e6:.0f}",
            ]
        )
    size = f"{options.hypotheses:,} hypotheses with {options.references} references each"
    notes = [*environment(), "Without METEOR; starting Python and reading files included"]
    notes.append(f"Seconds: median of {options.rounds} rounds, lowest and highest in brackets")
    head = ["preset", "seconds", "peak MB"]
    return _section(f"### The whole command, {size}", table(head, rows), notes)


def _growth(options: argparse.Namespace, work: Path) -> str:
    sizes = sorted(options.sizes)
    results = [_measured(options, work, "ours", size, 1) for size in sizes]
    times = [result["seconds"][0] for result in results]
    start, slope = line_through(sizes, times)
    rows = []
    for size, seconds, result in zip(sizes, times, results, strict=True):
        rows.append(
            [
                f"{size:,}",
                f"{seconds:.2f}",
                f"{seconds / size * 1e6:.1f}",
                f"{seconds / (start + slope * size) - 1:+.0%}",
                f"{result['peak_bytes'] / 1e6:.0f}",
            ]
        )
    head = ["hypotheses", "seconds", "microseconds each", "off the line", "peak MB"]
    title = f"### Growth with the number of hypotheses, {options.references} references each"
    return _section(title, table(head, rows), [*environment(), "Runs of each: 1"])


def _section(title: str, body: str, notes: list[str]) -> str:
    listed = "\n".join(f"* {note}" for note in notes)
    return "\n\n".join([title, f"`{shown_command(sys.argv)}`", body, listed])


if __name__ == "__main__":
    main()
