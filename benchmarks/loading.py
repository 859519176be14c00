"""How fast dialogues become batches: ours, datasets (Arrow), mosaicml-streaming, and the release.

    python benchmarks/loading.py --release CHECKOUT
    python benchmarks/loading.py --release CHECKOUT --shards FOLDER --workers 4

Results go to docs/benchmarks.md. See README.md beside this file.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import (
    ROOT,
    MeasuredCommandError,
    empty_folder,
    environment,
    run_measured,
)
from benchmarks.memory import PeakMemory
from benchmarks.report import shown_command, table, write_section

DOCUMENT = ROOT / "docs" / "benchmarks.md"
RELEASE = "the release"
STORE_OF = {
    "ours, packed": "ours",
    "ours, padded": "ours",
    "datasets": "datasets",
    "mosaicml-streaming": "streaming",
    RELEASE: "release",
}
"""Program -> the store that it reads."""
PREFACE = """## Loading

From files to the tensors of a micro-batch, without a model: passes over the same dialogues, cut to
256 tokens, in random order. Tokens are useful ones, without padding. CPU seconds are those of
all processes, so tokens a CPU second say how many cores a GPU needs beside it. Importing is left
out of the times. Memory is the peak of all processes together, shared pages once (PSS), with what
is mapped of the files and with torch itself.

* **ours**: LMDB shards through the loader of training; packed rows of 65,536 tokens, or padded ones
  of like length up to 16,384.
* **datasets**: rows in an Arrow file, memory-mapped, with the batches of our planner (the same as
  those of ours, padded) and a collate function as users write it.
* **mosaicml-streaming**: rows in MDS shards, 64 at a time in its own random order, the same
  function.
* **the release**: DialoGPT's own loader, shelve of gzipped JSON, 64 rows of like length; it knows
  no worker processes and leaves out what does not fill a batch.
"""

Result = dict[str, float]


def main() -> None:
    options = _parser().parse_args()
    work = nullcontext(options.work) if options.work else tempfile.TemporaryDirectory()
    try:
        with work as folder:
            _compare(options, Path(folder))
    except (MeasuredCommandError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--release", type=Path, help="checkout of microsoft/DialoGPT")
    parser.add_argument("--shards", type=Path, help="take dialogues from here; else made-up ones")
    parser.add_argument("--dialogues", type=int, default=60_000, help="at most so many")
    parser.add_argument("--workers", type=int, default=2, help="worker processes, besides none")
    parser.add_argument("--runs", type=int, default=3, help="of each program; medians are shown")
    parser.add_argument("--seconds", type=float, default=5.0, help="whole passes for so long")
    parser.add_argument("--programs", nargs="+", default=list(STORE_OF), choices=STORE_OF)
    parser.add_argument("--work", type=Path, help="folder for the stores; emptied first")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where the table goes")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser


def _compare(options: argparse.Namespace, work: Path) -> None:
    stores = _write_stores(options, work)
    ways = [
        (name, workers)
        for name in options.programs
        if STORE_OF[name] in stores["bytes"]
        for workers in ((0,) if name == RELEASE else (0, options.workers))
    ]
    results: dict[tuple[str, int], list[Result]] = {way: [] for way in ways}
    for run in range(options.runs):  # in turns, so that a disturbance meets all of them
        for name, workers in ways:
            result = _measured(options, work, name, workers)
            results[name, workers].append(result)
            print(f"run {run + 1}: {name}, {workers} workers: {result}", file=sys.stderr)
    medians = {way: median_of([rates_of(run) for run in runs]) for way, runs in results.items()}
    if options.json:
        rows = [{"program": n, "workers": w, "runs": runs} for (n, w), runs in results.items()]
        options.json.write_text(json.dumps({"stores": stores, "results": rows}, indent=1))
    text = section(medians, stores, _notes(options, stores))
    print(text)
    name = "shards" if options.shards else "made-up"
    write_section(options.document, "loading", name, text, preface=PREFACE)


def _write_stores(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    folder = empty_folder(work / "stores")
    command: list[str | Path] = [sys.executable, ROOT / "benchmarks" / "loading_data.py"]
    command += ["--output", folder, "--dialogues", str(options.dialogues)]
    for name in ("shards", "release"):
        if path := getattr(options, name):
            command += [f"--{name}", path.resolve()]
    run_measured(command, cwd=ROOT, log=work / "stores.log")
    stores: dict[str, Any] = json.loads((folder / "stores.json").read_text(encoding="utf-8"))
    for name, reason in stores["skipped"].items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    return stores


def _measured(options: argparse.Namespace, work: Path, program: str, workers: int) -> Result:
    """One pass in a process of its own."""
    path = work / "result.json"
    command: list[str | Path] = [sys.executable, ROOT / "benchmarks" / "loading_programs.py"]
    command += [program, work / "stores", str(workers), path, "--seconds", str(options.seconds)]
    if options.release:
        command += ["--release", options.release.resolve()]
    with PeakMemory() as memory:
        run_measured(command, cwd=ROOT, log=work / "program.log")
    result: Result = json.loads(path.read_text(encoding="utf-8"))
    return {**result, "peak_bytes": memory.peak_bytes}


def rates_of(result: Result) -> Result:
    """What a run says, whatever the number of passes that it had time for."""
    num_tokens = result["num_tokens"]
    return {
        "tokens_per_second": num_tokens / result["seconds"],
        "tokens_per_cpu_second": num_tokens / result["cpu_seconds"],
        "padding_share": max(0.0, 1 - num_tokens / result["num_computed"]),
        "first_batch_seconds": result["first_batch_seconds"],
        "peak_bytes": result["peak_bytes"],
    }


def median_of(runs: Sequence[Result]) -> Result:
    """The median of each number by itself."""
    return {name: median(run[name] for run in runs) for name in runs[0]}


def section(
    medians: dict[tuple[str, int], Result], stores: dict[str, Any], notes: Sequence[str]
) -> str:
    """The text that goes into the document.

    Args:
        medians: of what `rates_of` returns, for each program and number of worker processes.
        stores: what loading_data.py wrote about the stores.
        notes: lines of a list below the table.
    """
    baseline = medians.get((RELEASE, 0))
    head = ["program", "workers", "tokens/s", "tokens/CPU s", "to the release", "padding"]
    head += ["first batch s", "peak MiB", "on disk MB"]
    rows = []
    for (name, workers), result in medians.items():
        rate = result["tokens_per_cpu_second"]
        rows.append(
            [
                name,
                str(workers),
                f"{result['tokens_per_second']:,.0f}",
                f"{rate:,.0f}",
                f"{rate / baseline['tokens_per_cpu_second']:.1f}" if baseline else "",
                f"{result['padding_share']:.0%}",
                f"{result['first_batch_seconds']:.2f}",
                f"{result['peak_bytes'] / 2**20:.0f}",
                f"{stores['bytes'][STORE_OF[name]] / 1e6:.1f}",
            ]
        )
    lines = ["`" + shown_command(sys.argv) + "`", "", table(head, rows), ""]
    return "\n".join([*lines, *(f"* {note}" for note in notes)])


def _notes(options: argparse.Namespace, stores: dict[str, Any]) -> list[str]:
    source = "of shards" if options.shards else "made up of random ids, which do not compress"
    mean = stores["num_tokens"] / stores["num_dialogues"]
    skipped = [f"Left out: {name}, {reason}" for name, reason in stores["skipped"].items()]
    return [
        *environment(),
        ", ".join(_versions("torch", "lmdb", "datasets", "mosaicml-streaming")),
        f"Dialogues: {source}; {stores['num_dialogues']:,} of {mean:.0f} tokens on average",
        f"Medians of {options.runs} runs, each number by itself; the ratio is that of tokens a CPU "
        "second",
        *skipped,
    ]


def _versions(*names: str) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
