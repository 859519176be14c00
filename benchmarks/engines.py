"""Preset `paper` in several ways: by the local engine, with a search for duplicates, on Spark."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.compare import BENCHMARK, PREFACE, kind_of_dump
from benchmarks.measure import Usage, empty_folder, environment, median_usage
from benchmarks.ours import dump_of, run_ours
from benchmarks.report import RATE, RATE_OF_CPU, shown_command, table, write_section

LOCAL = "local engine"


def engines(options: argparse.Namespace, work: Path) -> None:
    """Measure each way on one dump, and write the section; Spark only where pyspark is.

    Raises:
        MeasuredCommandError: an extraction failed.
    """
    dumps, manifest = dump_of(options, work, options.comments)
    ways = {LOCAL: [], f"{LOCAL}, --duplicates.drop near": ["--duplicates.drop", "near"]}
    if find_spec("pyspark") is not None:
        master = f"local[{os.cpu_count()}]"
        ways[f"Spark, {master}"] = ["--engine", "spark", "--master", master]
    usages: dict[str, list[Usage]] = {name: [] for name in ways}
    for _ in range(options.runs):
        for name, further in ways.items():
            run = partial(run_ours, preset="paper", num_workers=0, further=further)
            usages[name].append(run(dumps, empty_folder(work / "results" / "engines")))
            print(f"{name}: {usages[name][-1].wall_seconds:.2f} s", file=sys.stderr)
    text = "\n\n".join(
        [
            f"### Engines and the search for duplicates{kind_of_dump(options)}",
            f"`{shown_command(sys.argv)}`",
            _table(usages, int(manifest["num_comments"])),
            "\n".join(f"* {note}" for note in [*environment(), f"Runs of each: {options.runs}"]),
        ]
    )
    print(text)
    write_section(options.document, BENCHMARK, f"engines-{dumps.name}", text, preface=PREFACE)


def _table(usages: dict[str, list[Usage]], num_comments: int) -> str:
    medians = {name: median_usage(runs) for name, runs in usages.items()}
    rows: list[Sequence[str]] = [
        [
            name,
            f"{usage.wall_seconds:.2f}",
            f"{usage.cpu_seconds:.2f}",
            f"{num_comments / usage.wall_seconds / 1e3:.0f}",
            f"{num_comments / usage.cpu_seconds / 1e3:.0f}",
            f"{usage.peak_bytes / 1e6:.0f}",
            f"{usage.wall_seconds / medians[LOCAL].wall_seconds:.2f}",
        ]
        for name, usage in medians.items()
    ]
    head = ["way", "wall s", "CPU s", RATE, RATE_OF_CPU, "peak MB", "time / local"]
    return table(head, rows)
