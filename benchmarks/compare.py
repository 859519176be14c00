"""Ours, the floors and the public code on one dump, in turns, and the table of it."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measure import Usage, empty_folder, environment, median_usage
from benchmarks.ours import Manifest, dump_of, presets_of, run_floor, run_ours
from benchmarks.reference_release import Release, first_difference
from benchmarks.report import RATE, RATE_OF_CPU, shown_command, table, write_section

BENCHMARK = "extraction"
PREFACE = """## Extraction

From dumps to dialogues. The dumps are made by `python benchmarks/extraction.py make`: whole real
threads, drawn at random, with new ids and with bodies spliced from real ones, nearly all of them
distinct. Every program is a process of its own, all take turns, and the medians of wall and CPU
time are shown; memory is that of the largest process.

* **Release**: the public code of DialoGPT with the training options of its Makefile, without keys.
  It is one process. Its second step reads what its Makefile compresses in between; "speed /
  release" is against the two steps without that `gzip`.
* **Floor D**: the comments through zstandard and nothing else. **Floor F**: also every line through
  orjson, six fields of each comment kept in lists. Both in one process, comments alone.
"""

FLOORS = {"floor F": "six-fields", "floor D": "decompress"}
RELEASE = "release: extract + conv"

Program = Callable[[Path], Mapping[str, Usage]]
"""Works in an empty folder; usage by the name of the step."""


def compare(options: argparse.Namespace, work: Path, release: Release | None) -> None:
    """Measure, compare the lines of the reference preset, and write the section.

    Raises:
        MeasuredCommandError: a program failed.
    """
    dumps, manifest = dump_of(options, work, options.comments)
    programs = _programs(options, dumps, manifest["settings"]["month"], release)
    usages = _measure(programs, work, options.runs)
    rows = _rows(usages, manifest["num_comments"])
    verdict = _verdict(work, manifest["settings"]["month"], release, programs)
    notes = [
        *environment(),
        *([release.description()] if release else []),
        f"Dump: {_description(manifest, dumps)}",
        f"Runs of each: {options.runs}, lowest and highest wall time in brackets",
        *verdict,
    ]
    text = "\n".join(
        [
            f"### {manifest['num_comments']:,} comments{kind_of_dump(options)}",
            "",
            f"`{shown_command(sys.argv)}`",
            "",
            rows,
            "",
            *(f"* {note}" for note in notes),
        ]
    )
    print(text)
    write_section(options.document, BENCHMARK, f"compare-{dumps.name}", text, preface=PREFACE)


def kind_of_dump(options: argparse.Namespace) -> str:
    """What a heading says of a dump, with a comma before it."""
    months = f", drawn from {', '.join(options.source_months)}" if options.source_months else ""
    return f", fields of {'2018 (wide)' if options.wide else '2006 (narrow)'}{months}"


def _description(manifest: Manifest, dumps: Path) -> str:
    sizes = {path.name[:2]: path.stat().st_size for path in dumps.glob("R?_*.zst")}
    raw = manifest["num_bytes"]
    files = ", ".join(
        f"{kind} {raw[kind] / 1e6:.0f} MB as text, {sizes[kind] / 1e6:.0f} MB in zstd frames"
        for kind in ("RC", "RS")
    )
    return (
        f"{manifest['num_comments']:,} comments and {manifest['num_submissions']:,} submissions "
        f"drawn from {manifest['num_real_comments']:,} real comments; {files}"
    )


def _programs(
    options: argparse.Namespace, dumps: Path, month: str, release: Release | None
) -> dict[str, Program]:
    """What is measured, by name, in the order of turns."""
    programs: dict[str, Program] = {}
    if release is not None:
        programs["release"] = partial(release.run, dumps, month)
    for label, floor in FLOORS.items():
        programs[label] = _single(label, partial(run_floor, dumps, floor=floor))
    for name, preset in presets_of(options).items():
        for num_workers, suffix in ((0, ""), (1, ", 1 worker")):
            label = f"ours: {name}{suffix}"
            run = partial(run_ours, dumps, preset=preset, num_workers=num_workers)
            programs[label] = _single(label, run)
    return programs


def _single(name: str, run: Callable[[Path], Usage]) -> Program:
    """A program of one step."""
    return lambda output: {name: run(output)}


def _folder(work: Path, program: str) -> Path:
    return work / "results" / "".join(c if c.isalnum() else "-" for c in program)


def _measure(programs: Mapping[str, Program], work: Path, num_runs: int) -> dict[str, list[Usage]]:
    """Usages of all runs by row of the table; the last run's output stays in the work folder."""
    usages: dict[str, list[Usage]] = {}
    for run in range(num_runs):
        for name, program in programs.items():
            steps = dict(program(empty_folder(_folder(work, name))))
            if name == "release":
                together = steps["extract"] + steps["conv"]
                steps = {f"release: {step}": usage for step, usage in steps.items()}
                steps[RELEASE] = together
                steps["release: with gzip"] = together + steps["release: gzip"]
            for row, usage in steps.items():
                usages.setdefault(row, []).append(usage)
                print(f"run {run + 1}: {row}: {usage.wall_seconds:.2f} s", file=sys.stderr)
    return usages


def _rows(usages: Mapping[str, Sequence[Usage]], num_comments: int) -> str:
    baselines = [name for name in (RELEASE, *FLOORS) if name in usages]
    head = ["program", "wall s", "CPU s", RATE, RATE_OF_CPU, "peak MB"]
    head += ["speed / release"] if RELEASE in usages else []
    head += ["time / F", "time / D"]
    walls = {name: median(run.wall_seconds for run in usages[name]) for name in baselines}
    rows = []
    for name, runs in usages.items():
        usage = median_usage(runs)
        times = [run.wall_seconds for run in runs]
        row = [
            name,
            f"{usage.wall_seconds:.2f} ({min(times):.2f}-{max(times):.2f})",
            f"{usage.cpu_seconds:.2f}",
            f"{num_comments / usage.wall_seconds / 1e3:.0f}",
            f"{num_comments / usage.cpu_seconds / 1e3:.0f}",
            f"{usage.peak_bytes / 1e6:.0f}",
        ]
        if RELEASE in walls:
            part = name.startswith("release") and name != RELEASE
            row.append("" if part else f"{walls[RELEASE] / usage.wall_seconds:.2f}")
        row += [f"{usage.wall_seconds / walls[floor]:.2f}" for floor in FLOORS]
        rows.append(row)
    return table(head, rows)


def _verdict(
    work: Path, month: str, release: Release | None, programs: Mapping[str, Program]
) -> list[str]:
    """Whether the reference preset writes the release's lines, for each way that it was run."""
    if release is None:
        return []
    theirs = _folder(work, "release") / "conv" / f"{month}.tsv"
    verdicts = []
    for name in programs:
        if not name.startswith("ours: reference"):
            continue
        ours = _folder(work, name) / "out" / "reference" / f"{month}.tsv"
        if not ours.exists():
            verdicts.append(f"Lines: {name} wrote no reference/{month}.tsv")
            continue
        num_lines, difference = first_difference(theirs, ours)
        if difference:
            print(f"{name}: {difference}", file=sys.stderr)
            difference = f"differ from the release's {num_lines:,} at {difference.split(':')[0]}"
        verdicts.append(
            f"Lines: {name}: {difference or f'equal to all {num_lines:,} of the release'}"
        )
    return verdicts
